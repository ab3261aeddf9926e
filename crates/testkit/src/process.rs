//! A program under test: started, killed, looked at from outside.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::PATIENCE;

/// A child process with its output in a file.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

/// Memory of a process in bytes, as `/proc/<pid>/smaps_rollup` and `status` tell it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    pub resident: u64,
    /// Resident, with shared pages divided among those who share them.
    pub proportional: u64,
    /// The largest resident size so far.
    pub peak_resident: u64,
}

/// CPU time in nanoseconds and voluntary context switches (how often something woke it up) of each thread.
#[derive(Debug, Clone, Default)]
pub struct Activity(BTreeMap<OsString, (u64, u64)>);

impl Activity {
    /// CPU time and wake-ups since `before`, of the threads that are still there.
    pub fn since(&self, before: &Self) -> (Duration, u64) {
        let (mut nanoseconds, mut wakeups) = (0, 0);
        for (thread, now) in &self.0 {
            let then = before.0.get(thread).copied().unwrap_or_default();
            nanoseconds += now.0.saturating_sub(then.0);
            wakeups += now.1.saturating_sub(then.1);
        }
        (Duration::from_nanos(nanoseconds), wakeups)
    }
}

impl Memory {
    /// Memory of any process.
    pub fn of(pid: u32) -> Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        Ok(Self {
            resident: kib(&status, "VmRSS:"),
            proportional: kib(&rollup, "Pss:"),
            peak_resident: kib(&status, "VmHWM:"),
        })
    }
}

impl Process {
    /// Starts the program; what it prints is appended to `<folder>/<name>.log`.
    pub fn start(name: &str, program: &Path, arguments: &[String], folder: &Path) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let output = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .context("opening a log")?;
        let child = Command::new(program)
            .args(arguments)
            .env(
                "RUST_LOG",
                std::env::var("SPILLWAY_TEST_LOG").unwrap_or_else(|_| "info".to_owned()),
            )
            .env("NO_COLOR", "1")
            .stdin(std::process::Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
        })
    }

    /// Process id; an error once it has ended.
    pub fn pid(&self) -> Result<u32> {
        self.child
            .id()
            .with_context(|| format!("{} has ended; its log:\n{}", self.name, self.log_tail(40)))
    }

    /// Whether it still runs.
    pub fn alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// SIGKILL: no chance to clean up.
    pub async fn kill(&mut self) -> Result<()> {
        self.child
            .kill()
            .await
            .with_context(|| format!("killing {}", self.name))
    }

    /// SIGSTOP: it hangs, its connections stay open.
    pub fn freeze(&self) -> Result<()> {
        self.signal(Signal::SIGSTOP)
    }

    /// SIGCONT: it goes on as if no time had passed.
    pub fn thaw(&self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.pid()?)?);
        kill(pid, signal).with_context(|| format!("sending {signal} to {}", self.name))
    }

    /// SIGTERM, and waits for a clean end.
    pub async fn stop(&mut self) -> Result<()> {
        if self.child.id().is_some() {
            self.signal(Signal::SIGTERM)?;
        }
        match timeout(PATIENCE, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(status) => bail!(
                "{} ended with {status:?}; its log:\n{}",
                self.name,
                self.log_tail(40)
            ),
            Err(_) => bail!(
                "{} did not stop on SIGTERM; its log:\n{}",
                self.name,
                self.log_tail(40)
            ),
        }
    }

    /// Everything it printed so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until it has printed this.
    pub async fn wait_for_log(&self, words: &str) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !self.log().contains(words) {
            ensure!(
                Instant::now() < deadline,
                "{} did not say {words:?}; its log:\n{}",
                self.name,
                self.log_tail(40)
            );
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// The last lines it printed.
    pub fn log_tail(&self, lines: usize) -> String {
        let log = self.log();
        let all: Vec<&str> = log.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// Its memory at this moment.
    pub fn memory(&self) -> Result<Memory> {
        Memory::of(self.pid()?)
    }

    /// What all its threads have done so far.
    pub fn activity(&self) -> Result<Activity> {
        let mut threads = BTreeMap::new();
        for task in fs::read_dir(format!("/proc/{}/task", self.pid()?))? {
            let task = task?;
            // First field: time on a CPU in nanoseconds (`proc_pid_schedstat`).
            let stat = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            let nanoseconds = stat.split(' ').next().and_then(|field| field.parse().ok());
            let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
            let wakeups = field(&status, "voluntary_ctxt_switches:");
            threads.insert(task.file_name(), (nanoseconds.unwrap_or(0), wakeups));
        }
        Ok(Activity(threads))
    }
}

fn kib(text: &str, name: &str) -> u64 {
    field(text, name) * 1024
}

fn field(text: &str, name: &str) -> u64 {
    text.lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

/// Makes `file` end with what a test wants to see in a failed run.
pub(crate) fn keep_for_inspection(file: &Path, into: &Path) {
    if File::open(file).is_ok() {
        let _ = fs::create_dir_all(into);
        if let Some(name) = file.file_name() {
            let _ = fs::copy(file, into.join(name));
        }
    }
}
