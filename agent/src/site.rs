//! What the tasks of one agent share.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use spillway_model::wire::link::Resources;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::definitions::Definitions;
use crate::home::Home;
use crate::ledger::Ledger;
use crate::link::{Link, Patience};
use crate::runtime::Runtime;

/// Longest pause between interrupted attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Everything that the tasks share.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) home: Home,
    pub(crate) runtime: Runtime,
    pub(crate) link: Link,
    pub(crate) ledger: std::sync::Arc<Ledger>,
    pub(crate) definitions: Definitions,
    pub(crate) node: String,
    pub(crate) capacity: Resources,
    pub(crate) labels: spillway_model::service::StringMap,
    /// Bytes of one attempt's log.
    pub(crate) log_limit: usize,
    pub(crate) ends: Ends,
    pub(crate) pause: Pause,
    /// Asks for a heartbeat before it is due: there is news.
    pub(crate) news: Notify,
    /// Version of the wanted services that is being carried out; 0 for none.
    pub(crate) wanted_version: AtomicU64,
    pub(crate) runs: AtomicU64,
}

/// The steps of a clean stop, each cancelled in turn.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    /// No new work; what has not begun is handed back.
    pub(crate) stopping: CancellationToken,
    /// Running scripts are killed.
    pub(crate) kill: CancellationToken,
    /// What the gateway has not taken by now is forgotten.
    pub(crate) abandon: CancellationToken,
}

/// Keeps a node that cannot carry work out from asking for more at full speed: an interrupted job is queued again
/// at once, and may come straight back.
#[derive(Debug)]
pub(crate) struct Pause(Mutex<(Patience, Option<Instant>)>);

impl Site {
    /// A number for a new run.
    pub(crate) fn next_run(&self) -> u64 {
        self.runs.fetch_add(1, Ordering::Relaxed)
    }
}

impl Default for Pause {
    fn default() -> Self {
        Self(Mutex::new((Patience::new(LONGEST_PAUSE), None)))
    }
}

impl Pause {
    /// An attempt was interrupted by this node's doing.
    pub(crate) fn interrupted(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = state.0.next();
        state.1 = Some(Instant::now() + wait);
    }

    /// An attempt was carried out.
    pub(crate) fn carried_out(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.0.reset();
        state.1 = None;
    }

    /// Waits until the next attempt may be asked for.
    pub(crate) async fn over(&self) {
        let until = self.0.lock().unwrap_or_else(PoisonError::into_inner).1;
        if let Some(until) = until {
            tokio::time::sleep_until(until).await;
        }
    }
}
