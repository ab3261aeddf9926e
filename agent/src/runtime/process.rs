//! A process that is watched and ended through its descriptor: no process id can be mistaken for another.

use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Process 1 of a container, seen from the host.
#[derive(Debug)]
pub(crate) struct Process {
    pid: i32,
    descriptor: OwnedFd,
}

impl Process {
    /// The process with this id. The caller makes sure that it has not ended, for instance by still being
    /// connected to it.
    pub(crate) fn open(pid: i32) -> Option<Self> {
        let descriptor = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::NONBLOCK).ok()?;
        Some(Self { pid, descriptor })
    }

    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// Whether it has not ended yet.
    pub(crate) fn is_alive(&self) -> bool {
        let mut descriptors = [PollFd::new(&self.descriptor, PollFlags::IN)];
        !matches!(
            poll(
                &mut descriptors,
                Some(&Timespec {
                    tv_sec: 0,
                    tv_nsec: 0
                })
            ),
            Ok(1..)
        )
    }

    /// Ends it, and with it all of its PID namespace. One that has ended already is left in peace.
    pub(crate) fn kill(&self) {
        if let Err(error) = pidfd_send_signal(&self.descriptor, Signal::KILL)
            && error != rustix::io::Errno::SRCH
        {
            tracing::warn!(pid = self.pid, %error, "cannot kill process {}", self.pid);
        }
    }

    /// Returns when it has ended.
    #[allow(deprecated)] // What is unsound about it is for descriptors that are not owned; this one is.
    pub(crate) async fn ended(self) {
        // Where the descriptor cannot be registered, the process counts as ended and is replaced.
        if let Ok(descriptor) = AsyncFd::with_interest(self.descriptor, Interest::READABLE) {
            let _ = descriptor.readable().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_of_a_process_is_seen_through_its_descriptor() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let process = Process::open(i32::try_from(child.id()).unwrap()).unwrap();
        assert!(process.is_alive());
        process.kill();
        child.wait().unwrap();
        assert!(!process.is_alive());
        tokio::time::timeout(std::time::Duration::from_secs(5), process.ended())
            .await
            .unwrap();
    }
}
