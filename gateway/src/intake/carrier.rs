//! Fetches inputs: one task that decides, and a few that carry.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use spillway_storage::ObjectPath;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Shared;
use super::fetch::fetch;
use super::rows::{self, Due};
use crate::objects::NewBlob;
use crate::queue::Backoff;
use crate::store::StoreError;

/// Files that move at the same time.
const AT_ONCE: usize = 4;

/// Files of one provider of one service that move at the same time: one that is away must not keep others waiting.
const AT_ONCE_OF_ONE: usize = 2;

/// Pauses between tries: doubling, with a fifth of jitter either way.
const PAUSE: Backoff = Backoff {
    first: Duration::from_secs(1),
    ceiling: Duration::from_mins(5),
};

/// Tries of a file that its provider refuses, or does not have.
const REFUSALS: u32 = 4;

/// The longest sleep: the wall clock may have jumped meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_mins(5);

/// After the database did not answer.
const BREATH: Duration = Duration::from_secs(5);

enum Outcome {
    Fetched(Box<NewBlob>),
    /// It may come back.
    Away(String),
    Refused(String),
    /// No further try would help.
    Hopeless(String),
}

pub(super) async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    let mut moving: JoinSet<(Due, Outcome)> = JoinSet::new();
    let mut in_flight: HashSet<i64> = HashSet::new();
    let mut busy: HashMap<(String, String), usize> = HashMap::new();
    loop {
        let now_ms = shared.queue.now_ms();
        let skip = in_flight.len();
        let store = shared.queue.store();
        let next = match store.read(move |db| rows::due(db, now_ms, skip)).await {
            Ok((found, next)) => {
                for due in found {
                    let of = (due.service.clone(), due.provider.clone());
                    let same = busy.entry(of).or_insert(0);
                    let has_room = moving.len() < AT_ONCE && *same < AT_ONCE_OF_ONE;
                    if has_room && in_flight.insert(due.job) {
                        *same += 1;
                        let shared = Arc::clone(&shared);
                        moving.spawn(async move {
                            let outcome = carry(&shared, &due).await;
                            (due, outcome)
                        });
                    }
                }
                next.map_or(LONGEST_SLEEP, |next| {
                    let wait = u64::try_from(next.saturating_sub(now_ms)).unwrap_or(0);
                    Duration::from_millis(wait.max(10))
                })
            }
            Err(StoreError::Closed) => break,
            Err(error) => {
                warn!(%error, "reading what is to be fetched");
                BREATH
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(moved) = moving.join_next(), if !moving.is_empty() => {
                if let Ok((due, outcome)) = moved {
                    in_flight.remove(&due.job);
                    let of = (due.service.clone(), due.provider.clone());
                    if let Some(same) = busy.get_mut(&of) {
                        *same = same.saturating_sub(1);
                    }
                    busy.retain(|_, same| *same > 0);
                    settle(&shared, due, outcome).await;
                }
            }
            () = shared.queue.errands().fetches.notified() => (),
            () = tokio::time::sleep_until(Instant::now() + next.min(LONGEST_SLEEP)) => (),
        }
    }
    moving.shutdown().await;
}

async fn carry(shared: &Shared, due: &Due) -> Outcome {
    let Some(entry) = shared.queue.definition(&due.service) else {
        return Outcome::Away("the service is not there".to_owned());
    };
    let client = match shared.providers.client(&entry.service, &due.provider) {
        Ok(client) => client,
        Err(error) => return Outcome::Hopeless(format!("the input cannot be fetched: {error}")),
    };
    let path = ObjectPath::new(due.bucket.clone(), due.key.clone());
    let (blobs, limit) = (shared.queue.blobs(), shared.queue.settings().output_limit);
    match fetch(&client, blobs, &path, None, limit).await {
        Ok((blob, _)) => Outcome::Fetched(Box::new(blob)),
        Err(error) => {
            let words = format!(
                "the input {path} of {} cannot be fetched: {}",
                due.provider,
                error.words()
            );
            if error.is_away() {
                Outcome::Away(words)
            } else {
                Outcome::Refused(words)
            }
        }
    }
}

async fn settle(shared: &Shared, due: Due, outcome: Outcome) {
    let (store, now_ms) = (shared.queue.store(), shared.queue.now_ms());
    let patience = i64::try_from(shared.patience.as_millis()).unwrap_or(i64::MAX);
    let (message, is_over) = match outcome {
        Outcome::Fetched(blob) => return keep(shared, due, *blob).await,
        Outcome::Away(words) => {
            let is_over = now_ms.saturating_sub(due.since_ms) >= patience;
            (words, is_over)
        }
        Outcome::Refused(words) => (words, due.tries + 1 >= REFUSALS),
        Outcome::Hopeless(words) => (words, true),
    };
    warn!(job.id = %due.name, provider = %due.provider, "{message}");
    let job = due.job;
    let written = if is_over {
        let given_up = store
            .write(move |db| rows::give_up(db, job, &message, now_ms))
            .await;
        if let Ok(true) = given_up {
            info!(job.id = %due.name, "given up");
            shared.queue.one_less();
        }
        given_up.map(drop)
    } else {
        let ready_ms = PAUSE.after(due.tries + 1, now_ms);
        store
            .write(move |db| rows::failed(db, job, &message, ready_ms))
            .await
    };
    if let Err(error) = written {
        warn!(%error, job.id = %due.name, "what became of a fetch could not be written down");
    }
}

async fn keep(shared: &Shared, due: Due, blob: NewBlob) {
    let queue = shared.queue.clone();
    let (epoch, service, name) = (queue.epoch(), due.service.clone(), due.name.clone());
    let written = queue.store().write(move |db| {
        let is_wanted = rows::fetched(db, &due, &blob, epoch)?;
        Ok::<_, StoreError>((is_wanted, blob))
    });
    match written.await {
        Ok((true, blob)) => {
            blob.keep();
            info!(job.id = %name, "its input has arrived");
            queue.look_again(service).await;
        }
        Ok((false, _)) => (),
        Err(error) => warn!(%error, job.id = %name, "a fetched input could not be kept"),
    }
}
