//! Signals as something to poll: ended children, and orders to stop.

use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Orders to stop. Engines send SIGTERM, or what the image declares as its `STOPSIGNAL`; these are the usual ones.
const STOP: [Signal; 3] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT];

/// The signals this process listens to, blocked for good and readable from a descriptor.
#[derive(Debug)]
pub(crate) struct Signals {
    descriptor: SignalFd,
    outside_only: bool,
    stop: bool,
}

impl Signals {
    /// Blocks the signals and opens the descriptor. With `outside_only` an order to stop counts only when it comes
    /// from outside our PID namespace, so that a script cannot end its own container in the middle of things.
    pub(crate) fn listen(outside_only: bool) -> nix::Result<Self> {
        let mut set = SigSet::empty();
        set.add(Signal::SIGCHLD);
        for signal in STOP {
            set.add(signal);
        }
        set.thread_block()?;
        let descriptor =
            SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Ok(Self {
            descriptor,
            outside_only,
            stop: false,
        })
    }

    /// Takes one pending signal. The kernel keeps at most one of each kind, so the caller's next poll brings the rest.
    pub(crate) fn take(&mut self) -> nix::Result<()> {
        match self.descriptor.read_signal() {
            Ok(Some(signal)) => {
                let child = signal.ssi_signo == Signal::SIGCHLD as u32;
                // The kernel writes 0 for a sender that has no number in our namespace.
                self.stop |= !child && (signal.ssi_pid == 0 || !self.outside_only);
                Ok(())
            }
            Ok(None) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Whether somebody entitled to it has ordered us to stop.
    pub(crate) fn stop(&self) -> bool {
        self.stop
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}
