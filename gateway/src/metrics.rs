//! Who asked which service how often, and what that took: counted in memory by the hour, written out once a minute
//! together with other writes. Losing power loses the last minute; nothing waits for a disk.
//!
//! Bounded throughout: so many keys at a time, so many users of a service an hour, days instead of hours after a
//! while, and an end to what is kept.

mod rows;
mod summary;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::store::{Store, StoreError};

pub(crate) use rows::{Amount, Range, amounts};
pub(crate) use summary::{Totals, by_service, by_user, totals};

/// How often what was counted is written out.
const EVERY: Duration = Duration::from_mins(1);

/// How often old rows are looked after.
const TIDY_EVERY: Duration = Duration::from_hours(6);

/// Counters in memory; beyond, nothing new is counted until they are written out.
const KEYS: usize = 8192;

/// Users of one service that are told apart in one hour; the others are counted as [`OTHERS`].
const USERS: usize = 256;

/// Stands for users beyond [`USERS`].
const OTHERS: &str = "(others)";

/// Milliseconds of an hour.
const HOUR: i64 = 3_600_000;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// `POST /run`.
    Sync,
    /// `POST /job` and uploads.
    Async,
    /// Through `/exposed`.
    Exposed,
    /// Microseconds of processor time.
    Cpu,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Sync, Self::Async, Self::Exposed, Self::Cpu];

    /// As the table has it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Async => "async",
            Self::Exposed => "exposed",
            Self::Cpu => "cpu",
        }
    }
}

/// Clonable handle to the counters.
#[derive(Debug, Clone, Default)]
pub struct Metrics(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    counted: Mutex<Counted>,
    /// Names under which the administrator calls, and the one he is counted under.
    administrators: Vec<String>,
    administrator: String,
}

#[derive(Debug, Default)]
struct Counted {
    amounts: BTreeMap<Key, u64>,
    /// Users of the current hour, by service.
    users: HashMap<String, HashSet<String>>,
    hour_ms: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    hour_ms: i64,
    service: String,
    kind: Kind,
    user: String,
}

impl Metrics {
    /// Callers that appear as one of `administrators` are counted as `administrator`.
    pub(crate) fn new(administrator: &str, administrators: Vec<String>) -> Self {
        Self(Arc::new(Shared {
            administrators,
            administrator: administrator.to_owned(),
            ..Shared::default()
        }))
    }

    /// Counts one request of `user`, who may be unknown (empty).
    pub(crate) fn request(&self, kind: Kind, service: &str, user: &str) {
        let user = if self.0.administrators.iter().any(|name| name == user) {
            &self.0.administrator
        } else {
            user
        };
        self.add(kind, service, user, 1);
    }

    /// Adds processor time.
    pub(crate) fn cpu(&self, service: &str, microseconds: u64) {
        self.add(Kind::Cpu, service, "", microseconds);
    }

    fn add(&self, kind: Kind, service: &str, user: &str, amount: u64) {
        if amount == 0 {
            return;
        }
        let now_ms = Timestamp::now().as_millisecond();
        self.counted().add(now_ms, kind, service, user, amount);
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.0
            .counted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes out now and then, until told to stop; what is counted after that, [`Metrics::flush`] writes.
    pub(crate) async fn run(self, store: Store, keep_days: u32, stop: CancellationToken) {
        let mut minute = interval(EVERY);
        minute.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut tidy_at = Instant::now() + EVERY;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = minute.tick() => (),
            }
            if !self.counted().amounts.is_empty() {
                let this = self.clone();
                store.write_lazily(move |db| this.write(db));
            }
            if Instant::now() >= tidy_at {
                tidy_at = Instant::now() + TIDY_EVERY;
                if let Err(error) = rows::tidy(&store, Timestamp::now(), keep_days).await {
                    warn!(%error, "old metrics could not be summed up");
                }
            }
        }
    }

    /// Writes out what is counted.
    pub(crate) async fn flush(&self, store: &Store) {
        if self.counted().amounts.is_empty() {
            return;
        }
        let this = self.clone();
        if let Err(error) = store.write(move |db| this.write(db)).await {
            warn!(%error, "the last metrics are lost");
        }
    }

    /// Inside a write. Taken out only here, so that nobody who reads misses them meanwhile.
    fn write(&self, db: &rusqlite::Connection) -> Result<(), StoreError> {
        let amounts = std::mem::take(&mut self.counted().amounts);
        rows::add(db, &amounts)
    }

    /// What is counted and not written out yet.
    fn pending(&self, range: &Range) -> Vec<Amount> {
        let counted = self.counted();
        counted
            .amounts
            .iter()
            .filter(|(key, _)| range.touches(key.hour_ms, 1))
            .map(|(key, amount)| Amount {
                service: key.service.clone(),
                kind: key.kind,
                user: key.user.clone(),
                sum: *amount,
            })
            .collect()
    }
}

impl Counted {
    fn add(&mut self, now_ms: i64, kind: Kind, service: &str, user: &str, amount: u64) {
        let hour_ms = now_ms - now_ms.rem_euclid(HOUR);
        if hour_ms != self.hour_ms {
            self.hour_ms = hour_ms;
            self.users.clear();
        }
        let user = if user.is_empty() || self.knows(service, user) {
            user
        } else {
            OTHERS
        };
        let key = Key {
            hour_ms,
            service: service.to_owned(),
            kind,
            user: user.to_owned(),
        };
        if self.amounts.len() < KEYS || self.amounts.contains_key(&key) {
            let counter = self.amounts.entry(key).or_default();
            *counter = counter.saturating_add(amount);
        }
    }

    /// Whether the user is one of those told apart, making it one if there is room.
    fn knows(&mut self, service: &str, user: &str) -> bool {
        if !self.users.contains_key(service) {
            if self.users.len() >= KEYS {
                return false;
            }
            self.users.insert(service.to_owned(), HashSet::new());
        }
        let Some(users) = self.users.get_mut(service) else {
            return false;
        };
        users.contains(user) || (users.len() < USERS && users.insert(user.to_owned()))
    }
}
