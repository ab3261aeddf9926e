//! The holder of a network namespace: a container that does nothing but exist, so that others can join its network.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::AsFd;

use crate::processes::{Reaped, reap};
use crate::signals::Signals;

/// Why the holder could not hold.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HoldError {
    #[error("waiting for signals")]
    Signals(#[source] Errno),
    #[error("collecting ended children")]
    Reap(#[source] Errno),
}

/// Sleeps until ordered to stop; collects children it may have inherited.
pub(crate) fn hold() -> Result<(), HoldError> {
    let mut signals = Signals::listen(false).map_err(HoldError::Signals)?;
    while !signals.stop() {
        match poll(
            &mut [PollFd::new(signals.as_fd(), PollFlags::POLLIN)],
            PollTimeout::NONE,
        ) {
            Ok(_) | Err(Errno::EINTR) => signals.take().map_err(HoldError::Signals)?,
            Err(error) => return Err(HoldError::Signals(error)),
        }
        while let Reaped::Ended(_) = reap().map_err(HoldError::Reap)? {}
    }
    Ok(())
}
