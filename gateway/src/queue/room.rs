//! How many unfinished jobs there are, and how many there may be.
//!
//! The number is kept in memory, so that asking costs nothing: it is counted at the start, after deletions and with
//! each round of retention, and goes up and down with what is announced and ended. What is being committed at
//! the same moment is not in it, so the limit may be passed by one batch of the writer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::Connection;

use crate::store::StoreError;

/// Clonable handle to the number.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    unfinished: Arc<AtomicU64>,
    limit: u64,
}

impl Room {
    pub(super) fn new(unfinished: u64, limit: u64) -> Self {
        Self {
            unfinished: Arc::new(AtomicU64::new(unfinished)),
            limit,
        }
    }

    /// The limit, if no further event may start a job.
    pub(crate) fn exhausted(&self) -> Option<u64> {
        (self.unfinished.load(Ordering::Relaxed) >= self.limit).then_some(self.limit)
    }

    pub(super) fn add(&self, jobs: usize) {
        self.unfinished.fetch_add(jobs as u64, Ordering::Relaxed);
    }

    pub(super) fn one_less(&self) {
        let less = |unfinished: u64| Some(unfinished.saturating_sub(1));
        // The closure always has an answer.
        let _ = self
            .unfinished
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    pub(super) fn set(&self, unfinished: u64) {
        self.unfinished.store(unfinished, Ordering::Relaxed);
    }
}

/// Counts them, by the partial indexes alone.
pub(super) fn count(db: &Connection) -> Result<u64, StoreError> {
    let unfinished: i64 = db
        .prepare_cached(
            "SELECT (SELECT count(*) FROM jobs WHERE state = 'queued')
                  + (SELECT count(*) FROM jobs WHERE state = 'leased')
                  + (SELECT count(*) FROM jobs WHERE state = 'fetching')",
        )?
        .query_row([], |row| row.get(0))?;
    Ok(u64::try_from(unfinished).unwrap_or(0))
}
