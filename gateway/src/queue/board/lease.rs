//! A granted attempt.

use spillway_model::wire::link::{Attempt, Resources};
use tokio::time::Instant;

/// A job in the hands of a node.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) service: String,
    pub(crate) attempt: u32,
    pub(crate) node: String,
    pub(crate) resources: Resources,
    /// Lapses then, unless a heartbeat names it before.
    pub(crate) deadline: Instant,
    pub(crate) granted: Instant,
    /// A heartbeat has named it: the lease has arrived.
    pub(crate) confirmed: bool,
    /// It is being written back to the queue.
    pub(crate) ending: bool,
}

impl Held {
    pub(crate) fn as_attempt(&self) -> Attempt {
        Attempt {
            job: self.name.clone(),
            attempt: self.attempt,
        }
    }
}
