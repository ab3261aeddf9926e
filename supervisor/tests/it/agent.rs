//! A simulated agent, and a supervisor that ends with its test.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use spillway_model::wire::supervisor::{Exited, Hello, Invocation, Kind, MAX_OUTPUT, Started};

/// How long a test waits for what must come. Long, because an emulated processor on a busy machine is slow.
const PATIENCE: Duration = Duration::from_mins(1);

/// Whether the supervisor runs on an emulated processor, where `vfork` is a `fork` and memory is the emulator's.
pub(crate) fn emulated() -> bool {
    std::env::var_os("SPILLWAY_EMULATED").is_some()
}

/// A supervisor and the folder it shares with its agent.
pub(crate) struct Supervisor {
    child: Child,
    folder: tempfile::TempDir,
}

impl Supervisor {
    /// As an ordinary process that obeys anybody.
    pub(crate) fn start() -> Self {
        Self::start_as(|binary, socket| {
            let mut command = Command::new(binary);
            command.arg("--any-peer").arg("--socket").arg(socket);
            command
        })
    }

    /// By the command that `command` makes of the binary's and the socket's path.
    pub(crate) fn start_as(command: impl FnOnce(&Path, &Path) -> Command) -> Self {
        let folder = folder();
        let mut command = command(
            Path::new(env!("CARGO_BIN_EXE_spillway-supervisor")),
            &folder.path().join("s.sock"),
        );
        if emulated() {
            command = as_process_1(&command, &folder.path().join("scratch"));
        }
        let child = command.stdin(Stdio::null()).spawn().unwrap();
        Self { child, folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A new connection, greeted or not.
    pub(crate) fn dial(&self) -> Agent {
        dial(&self.path("s.sock"))
    }

    /// A new connection, after its greeting.
    pub(crate) fn connect(&self) -> Agent {
        let mut agent = self.dial();
        agent.hello();
        agent
    }

    /// An invocation of this text with nothing special.
    pub(crate) fn script(&self, text: &str) -> Invocation {
        script_in(self.folder.path(), text)
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Waits for the supervisor's own end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the supervisor ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// A field of `/proc/<pid>/status` in KiB.
    pub(crate) fn status_kib(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_ascii_whitespace()
            .nth(1)
            .unwrap()
            .parse()
            .unwrap()
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        // SIGTERM, for it takes its scripts with it. `unshare` ignores that, and takes its child with it at a SIGKILL.
        for signal in [Signal::SIGTERM, Signal::SIGKILL] {
            let patience = Instant::now() + Duration::from_millis(500);
            if self.child.try_wait().is_ok_and(|status| status.is_none()) {
                let _ = kill(self.pid(), signal);
            }
            while Instant::now() < patience
                && self.child.try_wait().is_ok_and(|status| status.is_none())
            {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }
}

/// The same command as process 1 of a PID namespace: an emulator refuses to make an ordinary process a subreaper. The
/// scratch folder is named, for as process 1 it would clean the machine's.
fn as_process_1(command: &Command, scratch: &Path) -> Command {
    if command.get_program() == "unshare" {
        let mut same = Command::new("unshare");
        same.args(command.get_args());
        return same;
    }
    let mut wrapped = Command::new("unshare");
    wrapped
        .args(["--pid", "--fork", "--kill-child", "--mount-proc"])
        .arg(command.get_program());
    wrapped
        .args(command.get_args())
        .arg("--scratch")
        .arg(scratch);
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            wrapped.env(name, value);
        }
    }
    if let Some(folder) = command.get_current_dir() {
        wrapped.current_dir(folder);
    }
    wrapped
}

/// A folder that everybody may use, as the agent makes them.
pub(crate) fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).unwrap();
    folder
}

/// Writes a script and says how to invoke it.
pub(crate) fn script_in(folder: &Path, text: &str) -> Invocation {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let id = NUMBER.fetch_add(1, Ordering::Relaxed).to_string();
    let path = folder.join(format!("script-{id}.sh"));
    std::fs::write(&path, text).unwrap();
    Invocation {
        id,
        script: path.to_str().unwrap().to_owned(),
        stdin: None,
        environment: Vec::new(),
        timeout_ms: 0,
        log_limit: 1024 * 1024,
    }
}

/// Connects once somebody listens.
pub(crate) fn dial(socket: &Path) -> Agent {
    let mut stream = None;
    eventually("somebody listens", || {
        stream = UnixStream::connect(socket).ok();
        stream.is_some()
    });
    let stream = stream.unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    Agent { stream }
}

/// How an invocation went, as the agent saw it.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Output frames in their order.
    pub(crate) frames: Vec<(Kind, Vec<u8>)>,
    pub(crate) started: bool,
    pub(crate) exited: Exited,
}

impl Outcome {
    pub(crate) fn bytes(&self, stream: Kind) -> Vec<u8> {
        self.frames
            .iter()
            .filter(|(kind, _)| *kind == stream)
            .flat_map(|(_, bytes)| bytes.clone())
            .collect()
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8(self.bytes(Kind::Stdout)).unwrap()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8(self.bytes(Kind::Stderr)).unwrap()
    }
}

/// The agent's end of a connection.
pub(crate) struct Agent {
    stream: UnixStream,
}

impl Agent {
    /// The next frame; none when the supervisor closed the connection.
    pub(crate) fn frame(&mut self) -> Option<(Kind, Vec<u8>)> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).ok()?;
        let mut body = vec![0; u32::from_le_bytes(length) as usize];
        self.stream.read_exact(&mut body).unwrap();
        let payload = body.split_off(1);
        Some((Kind::from_byte(body[0]).unwrap(), payload))
    }

    pub(crate) fn hello(&mut self) -> Hello {
        let (kind, payload) = self.frame().expect("a greeting");
        assert_eq!(kind, Kind::Hello);
        serde_json::from_slice(&payload).unwrap()
    }

    pub(crate) fn send(&mut self, kind: Kind, payload: &[u8]) {
        let mut frame = u32::try_from(payload.len() + 1)
            .unwrap()
            .to_le_bytes()
            .to_vec();
        frame.push(kind as u8);
        frame.extend_from_slice(payload);
        self.stream.write_all(&frame).unwrap();
    }

    pub(crate) fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    pub(crate) fn send_run(&mut self, invocation: &Invocation) {
        self.send(Kind::Run, &serde_json::to_vec(invocation).unwrap());
    }

    /// Starts an invocation and waits until its script exists.
    pub(crate) fn begin(&mut self, invocation: &Invocation) {
        self.send_run(invocation);
        let (kind, payload) = self.frame().expect("the connection stays open");
        assert_eq!(kind, Kind::Started, "{}", String::from_utf8_lossy(&payload));
        assert_eq!(
            serde_json::from_slice::<Started>(&payload).unwrap().id,
            invocation.id
        );
    }

    /// Reads to the end of the invocation.
    pub(crate) fn outcome(&mut self) -> Outcome {
        let (mut frames, mut started) = (Vec::new(), false);
        loop {
            let (kind, payload) = self
                .frame()
                .expect("the connection stays open until the end is reported");
            match kind {
                Kind::Started => started = true,
                Kind::Stdout | Kind::Stderr => {
                    assert!(
                        (1..=MAX_OUTPUT).contains(&payload.len()),
                        "a frame of {} bytes",
                        payload.len()
                    );
                    frames.push((kind, payload));
                }
                Kind::Exited => {
                    let exited = serde_json::from_slice(&payload).unwrap();
                    return Outcome {
                        frames,
                        started,
                        exited,
                    };
                }
                other => panic!("unexpected {other:?}"),
            }
        }
    }

    pub(crate) fn run(&mut self, invocation: &Invocation) -> Outcome {
        self.send_run(invocation);
        let outcome = self.outcome();
        assert_eq!(outcome.exited.id, invocation.id);
        outcome
    }
}

/// Waits until something holds.
#[track_caller]
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let give_up = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < give_up, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A number that names one process of one test: as the argument of `sleep` it is found in the process table,
/// whatever namespace the process is in.
pub(crate) fn marker() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!(
        "9{:07}.{}",
        std::process::id(),
        NUMBER.fetch_add(1, Ordering::Relaxed)
    )
}

/// How many processes with this marker run.
pub(crate) fn marked(marker: &str) -> usize {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let has_marker = |entry: &std::fs::DirEntry| {
        let arguments = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        arguments
            .split(|byte| *byte == 0)
            .any(|argument| argument == marker.as_bytes())
    };
    entries.filter(has_marker).count()
}
