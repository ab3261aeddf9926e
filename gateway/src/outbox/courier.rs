//! Brings the files out: one task that decides, and a few that carry.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use spillway_storage::{Content, ObjectPath, ProviderError, StorageError, Why};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::Shared;
use super::lane::Lane;
use super::rows::{self, Due};
use crate::objects::ObjectError;
use crate::queue::Backoff;
use crate::store::StoreError;

/// Files that move at the same time, over all destinations.
const AT_ONCE: usize = 8;

/// Rows read ahead for one destination.
const AHEAD: usize = 64;

/// Pauses of a file that its destination refuses: doubling, with a fifth of jitter either way.
const PAUSE: Backoff = Backoff {
    first: Duration::from_secs(2),
    ceiling: Duration::from_mins(15),
};

/// The longest sleep: the wall clock may have jumped meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_mins(5);

/// After the database did not answer.
const BREATH: Duration = Duration::from_secs(5);

/// Between two looks for what was given up too long ago.
const TIDY: Duration = Duration::from_hours(1);

/// Longest message that is kept, in bytes.
const MESSAGE: usize = 1000;

type Destination = (String, String);

/// What one try came to.
enum Outcome {
    Delivered,
    /// The destination's doing.
    Away(String),
    /// This file's doing.
    Refused(String),
    /// No further try would help.
    Hopeless(String),
    /// It was deleted meanwhile.
    Gone,
}

pub(super) async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    let mut lanes: HashMap<Destination, Lane> = HashMap::new();
    let mut moving: JoinSet<(Due, Outcome)> = JoinSet::new();
    let mut services = shared.queue.catalog_changes();
    let (added, retried): (&Notify, &Notify) = {
        let errands = shared.queue.errands();
        (&errands.deliveries, &errands.retried)
    };
    let mut tidied = Instant::now();
    let mut is_stale = true;
    loop {
        if is_stale {
            if let Err(error) = refresh(&shared, &mut lanes).await {
                if matches!(error, StoreError::Closed) {
                    return;
                }
                warn!(%error, "reading what is to be delivered");
                if stop
                    .run_until_cancelled(tokio::time::sleep(BREATH))
                    .await
                    .is_none()
                {
                    break;
                }
                continue;
            }
            is_stale = false;
        }
        start(&shared, &mut lanes, &mut moving);
        if tidied.elapsed() >= TIDY {
            tidied = Instant::now();
            tidy(&shared).await;
        }
        let wake = wake_at(&shared, &lanes);
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(moved) = moving.join_next(), if !moving.is_empty() => {
                if let Ok((due, outcome)) = moved {
                    is_stale = settle(&shared, &mut lanes, due, outcome).await;
                }
            }
            changed = services.changed() => {
                if changed.is_err() {
                    break;
                }
                lanes.values_mut().for_each(Lane::reopen); // There may be better credentials.
                is_stale = true;
            }
            () = retried.notified() => {
                lanes.values_mut().for_each(Lane::reopen);
                is_stale = true;
            }
            () = added.notified() => is_stale = true,
            () = tokio::time::sleep_until(wake) => is_stale = true,
        }
    }
    // What moves is broken off: it will be delivered anew.
    moving.shutdown().await;
}

/// Reads more for the lanes that have run dry.
async fn refresh(
    shared: &Shared,
    lanes: &mut HashMap<Destination, Lane>,
) -> Result<(), StoreError> {
    let store = shared.queue.store();
    let destinations = store.read(rows::destinations).await?;
    lanes.retain(|destination, lane| !lane.is_idle() || destinations.contains(destination));
    for destination in destinations {
        let lane = lanes.entry(destination.clone()).or_default();
        if !lane.queue.is_empty() {
            continue;
        }
        let now_ms = shared.queue.now_ms();
        let (service, provider) = destination;
        let limit = AHEAD + lane.in_flight.len();
        let (found, next_ms) = store
            .read(move |db| rows::due(db, &service, &provider, now_ms, limit))
            .await?;
        lane.queue = found
            .into_iter()
            .filter(|due| !lane.in_flight.contains(&due.id))
            .collect();
        lane.next_ms = next_ms;
    }
    Ok(())
}

/// One from each lane in turn, as long as there is room.
fn start(
    shared: &Arc<Shared>,
    lanes: &mut HashMap<Destination, Lane>,
    moving: &mut JoinSet<(Due, Outcome)>,
) {
    let now = Instant::now();
    let mut has_started = true;
    while has_started {
        has_started = false;
        for lane in lanes.values_mut() {
            if moving.len() >= AT_ONCE {
                return;
            }
            if lane.room(now) == 0 {
                continue;
            }
            let Some(due) = lane.queue.pop_front() else {
                continue;
            };
            lane.in_flight.insert(due.id);
            let shared = Arc::clone(shared);
            moving.spawn(async move {
                let outcome = deliver(&shared, &due).await;
                (due, outcome)
            });
            has_started = true;
        }
    }
}

fn wake_at(shared: &Shared, lanes: &HashMap<Destination, Lane>) -> Instant {
    let now = Instant::now();
    let now_ms = shared.queue.now_ms();
    let due = |lane: &Lane| {
        if let Some(opens) = lane.opens(now) {
            return Some(opens);
        }
        let wait = u64::try_from(lane.next_ms?.saturating_sub(now_ms)).unwrap_or(0);
        Some(now + Duration::from_millis(wait.max(10)))
    };
    let next = lanes
        .values()
        .filter(|lane| lane.in_flight.is_empty() || lane.queue.is_empty())
        .filter_map(due)
        .min();
    next.unwrap_or(now + LONGEST_SLEEP).min(now + LONGEST_SLEEP)
}

async fn deliver(shared: &Shared, due: &Due) -> Outcome {
    let Some(service) = shared.queue.definition(&due.service) else {
        return Outcome::Hopeless(format!(
            "the service {:?}, whose definition has the credentials, does not exist any more; create it again and retry, or purge this delivery",
            due.service
        ));
    };
    let client = match shared.providers.client(&service.service, &due.provider) {
        Ok(client) => client,
        Err(error @ ProviderError::Storage(_)) => return Outcome::Away(error.to_string()),
        Err(error) => {
            return Outcome::Hopeless(format!("{error}; define it in the service and retry"));
        }
    };
    let bytes = match shared.queue.blobs().read(due.blob, 0..due.size).await {
        Ok(bytes) => bytes,
        Err(ObjectError::NoSuchBlob(_)) => return Outcome::Gone,
        Err(error) => return Outcome::Refused(format!("its content cannot be read: {error}")),
    };
    let content = Content::new(bytes, Some(due.size)).with_content_type(due.content_type.clone());
    let path = ObjectPath::new(due.bucket.clone(), due.key.clone());
    let written = client.storage().put(&path, content, &|_| ()).await;
    match written {
        Ok(()) => Outcome::Delivered,
        Err(error) => {
            let words = error.in_full();
            match error.why() {
                Some(Why::Denied | Why::Busy | Why::Unreachable) => Outcome::Away(words),
                _ if matches!(error, StorageError::Key { .. }) => Outcome::Hopeless(words),
                _ => Outcome::Refused(words),
            }
        }
    }
}

/// Writes down what became of a try; whether the table has to be looked at again.
async fn settle(
    shared: &Shared,
    lanes: &mut HashMap<Destination, Lane>,
    due: Due,
    outcome: Outcome,
) -> bool {
    let destination = (due.service.clone(), due.provider.clone());
    let lane = lanes.entry(destination).or_default();
    let (store, id) = (shared.queue.store(), due.id);
    let now_ms = shared.queue.now_ms();
    let patience = i64::try_from(shared.settings.patience.as_millis()).unwrap_or(i64::MAX);
    let is_over = now_ms.saturating_sub(due.since_ms) >= patience;
    let (written, is_dry) = match outcome {
        Outcome::Delivered => {
            lane.worked();
            debug!(delivery = id, job.id = %due.job, provider = %due.provider, "delivered");
            let written = store.write(move |db| rows::delivered(db, id)).await;
            (written, lane.queue.is_empty())
        }
        Outcome::Gone => (store.write(move |db| rows::delivered(db, id)).await, true),
        Outcome::Hopeless(message) => (give_up(shared, &due, message, now_ms).await, true),
        Outcome::Away(message) => {
            lane.close(Instant::now());
            warn!(delivery = id, job.id = %due.job, provider = %due.provider, "not delivered: {message}");
            let written = if is_over {
                give_up(shared, &due, message, now_ms).await
            } else {
                let message = cut(&message).to_owned();
                store
                    .write(move |db| rows::failed(db, id, &message, now_ms))
                    .await
            };
            (written, true)
        }
        Outcome::Refused(message) => {
            lane.worked();
            warn!(delivery = id, job.id = %due.job, provider = %due.provider, "refused: {message}");
            let written = if is_over {
                give_up(shared, &due, message, now_ms).await
            } else {
                let ready_ms = PAUSE.after(due.tries + 1, now_ms);
                let message = cut(&message).to_owned();
                store
                    .write(move |db| rows::failed(db, id, &message, ready_ms))
                    .await
            };
            (written, true)
        }
    };
    if let Err(error) = written {
        // It is tried once more than needed, then.
        warn!(%error, delivery = id, "what became of a delivery could not be written down");
    }
    lane.in_flight.remove(&id);
    is_dry
}

async fn give_up(
    shared: &Shared,
    due: &Due,
    message: String,
    now_ms: i64,
) -> Result<(), StoreError> {
    info!(delivery = due.id, job.id = %due.job, provider = %due.provider, "given up: {message}");
    let (due, message) = (due.clone(), cut(&message).to_owned());
    let store = shared.queue.store();
    store
        .write(move |db| rows::give_up(db, &due, &message, now_ms))
        .await
}

async fn tidy(shared: &Shared) {
    let keep = i64::try_from(shared.settings.keep.as_millis()).unwrap_or(i64::MAX);
    let oldest_ms = shared.queue.now_ms().saturating_sub(keep);
    let store = shared.queue.store();
    while let Ok(1..) = store.write(move |db| rows::forget(db, oldest_ms)).await {}
}

/// The message's first part.
fn cut(message: &str) -> &str {
    message
        .get(..message.floor_char_boundary(MESSAGE))
        .unwrap_or(message)
}
