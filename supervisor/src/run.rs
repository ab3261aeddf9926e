//! One invocation, from the script's start to the report of its end.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, read};
use spillway_model::wire::supervisor::{Exited, Invocation, Kind};

use crate::connection::{Connection, Lost};
use crate::output::Output;
use crate::processes::{End, UNKILLABLE, kill_script};
use crate::spawn::{SpawnError, Spawner};

/// Between SIGTERM at the deadline and SIGKILL: time to write a last word, not to go on.
const GRACE: Duration = Duration::from_secs(2);

/// How far the script is.
#[derive(Debug, Clone, Copy)]
enum Stage {
    Running {
        deadline: Option<Instant>,
    },
    /// SIGTERM was sent, SIGKILL follows.
    Terminating {
        kill_at: Instant,
    },
    /// SIGKILL was sent.
    Killed {
        give_up_at: Instant,
    },
}

/// An invocation whose script has been started and not yet collected.
#[derive(Debug)]
pub(crate) struct Run {
    id: String,
    process: Pid,
    started: Instant,
    stage: Stage,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    output: Output,
    timed_out: bool,
    killed: bool,
}

/// The script hangs in the kernel and cannot be killed.
#[derive(Debug)]
pub(crate) struct Unkillable;

impl Run {
    pub(crate) fn start(spawner: &Spawner, invocation: Invocation) -> Result<Self, SpawnError> {
        let started = Instant::now();
        let script = spawner.spawn(&invocation)?;
        // A time so long that the clock cannot express it is none.
        let limit = Some(invocation.timeout_ms)
            .filter(|limit| *limit > 0)
            .map(Duration::from_millis);
        Ok(Self {
            id: invocation.id,
            process: script.process,
            started,
            stage: Stage::Running {
                deadline: limit.and_then(|limit| started.checked_add(limit)),
            },
            stdout: Some(script.stdout),
            stderr: Some(script.stderr),
            output: Output::new(invocation.log_limit),
            timed_out: false,
            killed: false,
        })
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn process(&self) -> Pid {
        self.process
    }

    /// The open end of a stream.
    pub(crate) fn pipe(&self, stream: Kind) -> Option<BorrowedFd<'_>> {
        let pipe = if stream == Kind::Stdout {
            &self.stdout
        } else {
            &self.stderr
        };
        pipe.as_ref().map(AsFd::as_fd)
    }

    /// When [`Run::on_time`] has something to do next.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Running { deadline } => deadline,
            Stage::Terminating { kill_at } => Some(kill_at),
            Stage::Killed { give_up_at } => Some(give_up_at),
        }
    }

    /// Ends the script step by step when its time is over.
    pub(crate) fn on_time(&mut self, now: Instant) -> Result<(), Unkillable> {
        if self.next_deadline().is_none_or(|deadline| now < deadline) {
            return Ok(());
        }
        match self.stage {
            Stage::Running { .. } => {
                self.timed_out = true;
                self.stage = Stage::Terminating {
                    kill_at: now + GRACE,
                };
                // It fails only when the whole group has just ended.
                let _ = killpg(self.process, Signal::SIGTERM);
                Ok(())
            }
            Stage::Terminating { .. } => {
                self.kill_now(now);
                Ok(())
            }
            Stage::Killed { .. } => Err(Unkillable),
        }
    }

    /// Kills the script because nobody wants its result any more.
    pub(crate) fn kill(&mut self) {
        self.killed = true;
        if !matches!(self.stage, Stage::Killed { .. }) {
            self.kill_now(Instant::now());
        }
    }

    fn kill_now(&mut self, now: Instant) {
        kill_script(self.process);
        self.stage = Stage::Killed {
            give_up_at: now + UNKILLABLE,
        };
    }

    /// Reads once from a stream and passes on what the log limit allows. Says whether there may be more.
    pub(crate) fn pump(
        &mut self,
        stream: Kind,
        connection: Option<&mut Connection>,
        scratch: &mut [u8],
    ) -> Result<bool, Lost> {
        let pipe = if stream == Kind::Stdout {
            &mut self.stdout
        } else {
            &mut self.stderr
        };
        let Some(descriptor) = pipe else {
            return Ok(false);
        };
        match read(descriptor, scratch) {
            Err(Errno::EAGAIN) => Ok(false),
            Err(Errno::EINTR) => Ok(true),
            // A pipe has no other errors; whatever it is, nothing more will come.
            Ok(0) | Err(_) => {
                *pipe = None;
                Ok(false)
            }
            Ok(length) => {
                let head = self.output.take(stream, &scratch[..length]);
                if let Some(connection) = connection {
                    connection.send_output(stream, head)?;
                }
                Ok(true)
            }
        }
    }

    /// Takes what is left in the pipes after everybody who could write to them is gone, and sends the tail. This may
    /// exceed what usually waits for the agent by the size of two pipes, at most 2 MiB.
    pub(crate) fn drain(
        &mut self,
        mut connection: Option<&mut Connection>,
        scratch: &mut [u8],
    ) -> Result<(), Lost> {
        for stream in [Kind::Stdout, Kind::Stderr] {
            while self.pump(stream, connection.as_deref_mut(), scratch)? {}
        }
        if let Some(connection) = connection {
            for (stream, bytes) in self.output.tail() {
                connection.send_output(stream, bytes)?;
            }
        }
        Ok(())
    }

    /// The report.
    pub(crate) fn report(self, end: &End, ended: Instant, left_behind: u32) -> Exited {
        Exited {
            id: self.id,
            code: end.code,
            signal: end.signal,
            error: None,
            timed_out: self.timed_out,
            killed: self.killed,
            wall_us: microseconds(ended.duration_since(self.started)),
            user_us: microseconds(end.user),
            system_us: microseconds(end.system),
            max_rss_bytes: end.max_rss_bytes,
            dropped_bytes: self.output.dropped(),
            left_behind,
        }
    }
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
