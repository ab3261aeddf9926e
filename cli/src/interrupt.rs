//! Ctrl-C and `SIGTERM`: whoever holds something that must not be left behind gets a moment to clean up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::exit::CommandError;

/// Longest time for cleaning up.
const GRACE: Duration = Duration::from_secs(3);

/// Clonable; says whether the user wants to stop, and who still has to clean up.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupt {
    stop: CancellationToken,
    busy: Arc<AtomicUsize>,
}

/// While one of these lives, an interrupt waits for it.
#[derive(Debug)]
pub(crate) struct Busy(Arc<AtomicUsize>);

impl Interrupt {
    /// Announces that an interrupt must not simply drop the caller.
    pub(crate) fn busy(&self) -> Busy {
        self.busy.fetch_add(1, Ordering::AcqRel);
        Busy(Arc::clone(&self.busy))
    }

    /// Ends when the user wants to stop.
    pub(crate) async fn requested(&self) {
        self.stop.cancelled().await;
    }

    /// Carries `work` out unless the user interrupts it.
    pub(crate) async fn guard(
        &self,
        work: impl Future<Output = anyhow::Result<()>>,
    ) -> anyhow::Result<()> {
        let mut work = std::pin::pin!(work);
        tokio::select! {
            outcome = &mut work => outcome,
            asked = asked_to_stop() => {
                asked?;
                self.stop.cancel();
                if self.busy.load(Ordering::Acquire) > 0 {
                    // Its own outcome is of no interest any more: the user has asked to stop.
                    let _ = tokio::time::timeout(GRACE, work).await;
                }
                Err(CommandError::Interrupted.into())
            }
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Ends with the first `SIGINT` or `SIGTERM`.
pub(crate) async fn asked_to_stop() -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    }
}
