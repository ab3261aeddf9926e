//! The intake: inputs that lie in a storage elsewhere, fetched before their jobs run.
//!
//! An event may name a file of another storage. Its job is accepted at once and durably, in the state `fetching`; nobody
//! is granted it before the file is here. The provider may be away meanwhile. What it refuses makes the job fail with
//! its words, as a dead letter that can be retried.

mod carrier;
mod fetch;
mod rows;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::providers::Providers;
use crate::queue::Queue;

pub(crate) use fetch::{FetchError, fetch, version};
pub(crate) use rows::insert;

/// What the intake works with.
#[derive(Debug)]
struct Shared {
    queue: Queue,
    providers: Providers,
    /// A provider that is away is waited for so long.
    patience: Duration,
}

/// Starts to fetch; ends when `stop` says so.
pub(crate) fn start(
    queue: Queue,
    providers: Providers,
    patience: Duration,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) {
    let shared = Shared {
        queue,
        providers,
        patience,
    };
    tasks.spawn(carrier::run(Arc::new(shared), stop.clone()));
}
