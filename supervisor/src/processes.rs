//! Every process below us: reaping them all the time, and getting rid of what a script leaves behind.

use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::signals::Signals;

/// How long a killed process may take to go. It takes longer only when it hangs in the kernel, on a dead network
/// file system for instance; then the container is of no use any more and the supervisor ends.
pub(crate) const UNKILLABLE: Duration = Duration::from_secs(10);

/// How a process ended and what it used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    pub(crate) process: Pid,
    /// Exit code, when it exited by itself.
    pub(crate) code: Option<i32>,
    /// Signal that ended it, when one did.
    pub(crate) signal: Option<i32>,
    pub(crate) user: Duration,
    pub(crate) system: Duration,
    pub(crate) max_rss_bytes: u64,
}

/// What one look for ended children found.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reaped {
    Ended(End),
    /// Children live, none has ended.
    Alive,
    /// There are no children.
    None,
}

/// Collects one ended child without waiting.
pub(crate) fn reap() -> nix::Result<Reaped> {
    match wait4() {
        Ok((0, ..)) | Err(Errno::EINTR) => Ok(Reaped::Alive),
        Ok((pid, status, usage)) => {
            let exited = libc::WIFEXITED(status);
            Ok(Reaped::Ended(End {
                process: Pid::from_raw(pid),
                code: exited.then(|| libc::WEXITSTATUS(status)),
                signal: (!exited).then(|| libc::WTERMSIG(status)),
                user: duration(usage.ru_utime),
                system: duration(usage.ru_stime),
                max_rss_bytes: u64::try_from(usage.ru_maxrss)
                    .unwrap_or(0)
                    .saturating_mul(1024),
            }))
        }
        Err(Errno::ECHILD) => Ok(Reaped::None),
        Err(error) => Err(error),
    }
}

/// `wait4(-1, WNOHANG)`, the one call that gives exit status and resource usage of a single child together.
#[allow(unsafe_code)]
fn wait4() -> nix::Result<(libc::pid_t, libc::c_int, libc::rusage)> {
    let mut status: libc::c_int = 0;
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both pointers are valid for writes during the call; `rusage` is plain integers, so the zeroed value
    // is initialised also when the kernel does not write it.
    let (pid, usage) = unsafe {
        let pid = libc::wait4(-1, &raw mut status, libc::WNOHANG, usage.as_mut_ptr());
        (pid, usage.assume_init())
    };
    Errno::result(pid).map(|pid| (pid, status, usage))
}

fn duration(time: libc::timeval) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let microseconds = u64::try_from(time.tv_usec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_micros(microseconds)
}

/// Why a container cannot be used any longer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClearError {
    #[error("a killed process is still there after {} s: it hangs in the kernel", UNKILLABLE.as_secs())]
    Unkillable,
    #[error("waiting for killed processes")]
    Wait(#[source] Errno),
}

/// Kills everything that a finished script left running, waits until it is gone, and says how many there were.
pub(crate) fn clear(signals: &mut Signals, process_1: bool) -> Result<u32, ClearError> {
    let give_up = Instant::now() + UNKILLABLE;
    let mut left_behind = 0;
    loop {
        kill_everything(process_1);
        loop {
            match reap().map_err(ClearError::Wait)? {
                Reaped::Ended(end) => left_behind += u32::from(end.signal == Some(libc::SIGKILL)),
                Reaped::Alive => break,
                Reaped::None => return Ok(left_behind),
            }
        }
        let left = give_up.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ClearError::Unkillable);
        }
        wait_for_child(signals, left.min(Duration::from_millis(100))).map_err(ClearError::Wait)?;
    }
}

fn wait_for_child(signals: &mut Signals, limit: Duration) -> nix::Result<()> {
    let timeout = PollTimeout::try_from(limit).unwrap_or(PollTimeout::ZERO);
    match poll(
        &mut [PollFd::new(
            std::os::fd::AsFd::as_fd(signals),
            PollFlags::POLLIN,
        )],
        timeout,
    ) {
        Ok(0) | Err(Errno::EINTR) => Ok(()),
        Ok(_) => signals.take(),
        Err(error) => Err(error),
    }
}

/// Sends SIGKILL to a script and its process group. Both, because a process may leave its group.
pub(crate) fn kill_script(script: Pid) {
    // They fail only when there is nobody left to kill.
    let _ = killpg(script, Signal::SIGKILL);
    let _ = kill(script, Signal::SIGKILL);
}

/// Sends SIGKILL to every process below us. Errors mean that there are none; what cannot be killed shows when it
/// is waited for.
fn kill_everything(process_1: bool) {
    if process_1 {
        let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
    } else {
        // We are a subreaper: what a killed process leaves becomes our child, and the caller comes back for it.
        for child in children() {
            let _ = kill(child, Signal::SIGKILL);
        }
    }
}

/// Our children, by a look at the process table. Only where we are not process 1, that is in tests and in
/// containers with an init of their own.
fn children() -> Vec<Pid> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let us = Pid::this();
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok().map(Pid::from_raw))
        .filter(|process| parent(*process) == Some(us))
        .collect()
}

fn parent(process: Pid) -> Option<Pid> {
    let stat = std::fs::read(format!("/proc/{process}/stat")).ok()?;
    // `pid (name) state ppid …`, and the name may contain anything, so look from its last bracket.
    let after_name = stat.iter().rposition(|byte| *byte == b')')? + 1;
    let fields = std::str::from_utf8(&stat[after_name..]).ok()?;
    fields
        .split_ascii_whitespace()
        .nth(1)?
        .parse()
        .ok()
        .map(Pid::from_raw)
}
