//! The next jobs of one service, a window on what waits in the database.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use spillway_model::wire::link::Resources;

use crate::queue::cause::Stored;

/// Jobs of one service in memory; the others wait in the database until half of these are gone.
pub(crate) const WINDOW: usize = 64;

/// Order of grants within a service: priority, then who was ready first.
pub(crate) type Key = (Reverse<i32>, i64, i64);

/// A job that may be granted.
#[allow(clippy::struct_field_names)] // The name of the column.
#[derive(Debug, Clone)]
pub(crate) struct Ready {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) priority: i32,
    pub(crate) ready_ms: i64,
    /// Highest number that an attempt of it may have had so far.
    pub(crate) attempt: u32,
    /// Accepted in this epoch and never granted: its first grant may be recorded late.
    pub(crate) fresh: bool,
    /// What the row says, when it is at hand.
    pub(crate) stored: Option<Arc<Stored>>,
}

/// What waits and runs of one service.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    jobs: BTreeMap<Key, Ready>,
    /// Nothing that is ready waits in the database only.
    complete: bool,
    /// When the next delayed job becomes ready.
    pub(crate) next_due: Option<i64>,
    refill: Option<Refill>,
    pub(crate) running: u64,
    /// What the running ones take.
    pub(crate) used: Resources,
}

/// A refill in progress: what happened since its snapshot was asked for.
#[derive(Debug, Default)]
struct Refill {
    departed: HashSet<i64>,
    /// A job was left to the database meanwhile, or one became due.
    stale: bool,
}

impl Ready {
    pub(crate) fn key(&self) -> Key {
        (Reverse(self.priority), self.ready_ms, self.id)
    }
}

impl Lane {
    /// The job to be granted next.
    pub(crate) fn first(&self) -> Option<&Ready> {
        self.jobs.first_key_value().map(|(_, job)| job)
    }

    pub(crate) fn take_first(&mut self) -> Option<Ready> {
        let job = self.jobs.pop_first().map(|(_, job)| job)?;
        self.note_departure(job.id);
        Some(job)
    }

    /// Whether anything is ready, here or in the database.
    pub(crate) fn has_work(&self) -> bool {
        !self.jobs.is_empty() || !self.complete
    }

    /// Takes a job in if the window has room for it; else the database keeps it for a refill.
    pub(crate) fn offer(&mut self, job: Ready) {
        let key = job.key();
        let is_early = self
            .jobs
            .last_key_value()
            .is_some_and(|(last, _)| key < *last);
        if is_early || (self.complete && self.jobs.len() < WINDOW) {
            self.jobs.insert(key, job);
            self.trim();
        } else {
            self.left_to_database();
        }
    }

    /// A job is in the queue, but not ready before `ready_ms`.
    pub(crate) fn delay(&mut self, ready_ms: i64) {
        self.next_due = Some(self.next_due.map_or(ready_ms, |due| due.min(ready_ms)));
    }

    /// Delayed jobs may have become ready, or a job that was in here waits in the database again.
    pub(crate) fn due(&mut self) {
        self.left_to_database();
    }

    /// The job must not be granted from here.
    pub(crate) fn depart(&mut self, id: i64) {
        self.jobs.retain(|_, job| job.id != id);
        self.note_departure(id);
    }

    /// Nothing of this service is left.
    pub(crate) fn forget(&mut self) {
        self.jobs.clear();
        self.next_due = None;
        self.left_to_database();
    }

    /// Whether a refill should be asked for now; if so it counts as begun.
    pub(crate) fn begin_refill(&mut self) -> bool {
        if self.complete || self.refill.is_some() || self.jobs.len() > WINDOW / 2 {
            return false;
        }
        self.refill = Some(Refill::default());
        true
    }

    /// The first ready jobs of the database arrived; `is_all` if there are no more. Those to `skip` are leased.
    pub(crate) fn refilled(
        &mut self,
        jobs: Vec<Ready>,
        is_all: bool,
        next_due: Option<i64>,
        skip: impl Fn(i64) -> bool,
    ) {
        let Some(refill) = self.refill.take() else {
            return;
        };
        for job in jobs {
            if !refill.departed.contains(&job.id) && !skip(job.id) {
                self.jobs.entry(job.key()).or_insert(job);
            }
        }
        self.complete = is_all && !refill.stale;
        self.trim();
        if let Some(due) = next_due {
            self.delay(due);
        }
    }

    /// The refill came to nothing; it is tried again with the next occasion.
    pub(crate) fn refill_failed(&mut self) {
        self.refill = None;
    }

    fn trim(&mut self) {
        while self.jobs.len() > WINDOW {
            self.jobs.pop_last();
            self.left_to_database();
        }
    }

    fn left_to_database(&mut self) {
        self.complete = false;
        if let Some(refill) = &mut self.refill {
            refill.stale = true;
        }
    }

    fn note_departure(&mut self, id: i64) {
        if let Some(refill) = &mut self.refill {
            refill.departed.insert(id);
        }
    }
}
