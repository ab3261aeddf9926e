//! The outbox: outputs for storages elsewhere, kept until they have arrived.
//!
//! A job's completion writes a row for each such file in the transaction that ends the job. From then on the job is done,
//! and the files are the outbox's care: they are delivered again and again, with growing pauses, through restarts of
//! gateway and provider, until they have arrived or the time for it is over. What is given up stays listed, with
//! its reason and its content.
//!
//! Files for one key are delivered in the order in which their jobs ended, so that the newest one stays.

mod courier;
mod lane;
mod rows;

use std::sync::Arc;
use std::time::Duration;

use spillway_model::report::{DeliveryPage, DeliveryReport};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::providers::Providers;
use crate::queue::Queue;
use crate::store::StoreError;

pub(crate) use rows::{Filter, NewDelivery, insert, waiting};

/// Settings of the outbox.
#[derive(Debug, Clone)]
pub(crate) struct OutboxSettings {
    /// A file is given up when it could not be delivered for so long.
    pub(crate) patience: Duration,
    /// Given-up deliveries are kept so long.
    pub(crate) keep: Duration,
}

impl Default for OutboxSettings {
    fn default() -> Self {
        Self {
            patience: Duration::from_hours(7 * 24),
            keep: Duration::from_hours(30 * 24),
        }
    }
}

/// What the outbox works with.
#[derive(Debug)]
struct Shared {
    queue: Queue,
    providers: Providers,
    settings: OutboxSettings,
}

/// Starts to deliver; ends when `stop` says so.
pub(crate) fn start(
    queue: Queue,
    providers: Providers,
    settings: OutboxSettings,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) {
    let shared = Shared {
        queue,
        providers,
        settings,
    };
    tasks.spawn(courier::run(Arc::new(shared), stop.clone()));
}

/// Deliveries, newest first.
pub(crate) async fn list(queue: &Queue, filter: Filter) -> Result<DeliveryPage, StoreError> {
    let store = queue.store();
    store.read(move |db| rows::list(db, &filter)).await
}

/// One of them.
pub(crate) async fn get(queue: &Queue, id: i64) -> Result<Option<DeliveryReport>, StoreError> {
    queue.store().read(move |db| rows::get(db, id)).await
}

/// Tries again at once what waits or was given up; returns how many.
pub(crate) async fn retry(queue: &Queue, which: Which) -> Result<u64, StoreError> {
    let (store, now_ms) = (queue.store(), queue.now_ms());
    let touched = store
        .write(move |db| rows::retry(db, &which, now_ms))
        .await?;
    queue.errands().retried.notify_one();
    Ok(touched)
}

/// Deletes deliveries with their contents, those that were given up unless one is named; returns how many.
pub(crate) async fn purge(queue: &Queue, which: Which) -> Result<u64, StoreError> {
    let mut touched = 0;
    loop {
        let which = which.clone();
        let removed = queue.store().write(move |db| rows::purge(db, &which));
        match removed.await? {
            0 => return Ok(touched),
            some => touched += some,
        }
    }
}

/// Which deliveries are meant.
#[derive(Debug, Clone, Default)]
pub(crate) struct Which {
    pub(crate) id: Option<i64>,
    pub(crate) service: Option<String>,
}
