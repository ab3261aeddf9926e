//! One destination: what waits for it in memory, and whether it is worth trying.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::rows::Due;
use crate::queue::Backoff;

/// Files that move to one destination at the same time.
const AT_ONCE: usize = 4;

/// Pauses after a destination did not answer, or let nobody in: doubling, with a fifth of jitter either way.
const PAUSE: Backoff = Backoff {
    first: Duration::from_secs(1),
    ceiling: Duration::from_mins(5),
};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) queue: VecDeque<Due>,
    pub(super) in_flight: HashSet<i64>,
    /// When the next one in the table may be tried.
    pub(super) next_ms: Option<i64>,
    /// Failures in a row that are the destination's, not a file's.
    failures: u32,
    closed_until: Option<Instant>,
}

impl Lane {
    /// How many more may start now. After a failure one goes ahead to see whether the destination is back.
    pub(super) fn room(&self, now: Instant) -> usize {
        if self.closed_until.is_some_and(|until| now < until) {
            return 0;
        }
        let most = if self.failures > 0 { 1 } else { AT_ONCE };
        most.saturating_sub(self.in_flight.len())
    }

    /// When there is room again, if time alone makes it.
    pub(super) fn opens(&self, now: Instant) -> Option<Instant> {
        self.closed_until.filter(|until| now < *until)
    }

    pub(super) fn worked(&mut self) {
        self.failures = 0;
        self.closed_until = None;
    }

    /// The destination is in trouble: a pause for all that waits for it.
    pub(super) fn close(&mut self, now: Instant) {
        // What was under way when it closed tells nothing new.
        if self.opens(now).is_none() {
            self.failures = self.failures.saturating_add(1);
            let pause = u64::try_from(PAUSE.after(self.failures, 0)).unwrap_or(0);
            self.closed_until = Some(now + Duration::from_millis(pause));
        }
        self.queue.clear();
    }

    /// Something has changed that may end the trouble: the next try is due now.
    pub(super) fn reopen(&mut self) {
        self.closed_until = None;
        self.queue.clear();
    }

    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.in_flight.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_destination_in_trouble_gets_one_try_after_each_growing_pause() {
        let mut lane = Lane::default();
        let start = Instant::now();
        assert_eq!(lane.room(start), AT_ONCE);
        lane.close(start);
        lane.close(start); // Another one that was under way.
        assert_eq!(lane.room(start), 0);
        let first = lane.opens(start).unwrap();
        assert!(first - start <= Duration::from_millis(1200));
        assert_eq!(lane.room(first), 1);
        lane.in_flight.insert(1);
        assert_eq!(lane.room(first), 0);
        lane.in_flight.clear();
        lane.close(first);
        assert!(lane.opens(first).unwrap() - first >= Duration::from_millis(1600));
        lane.reopen();
        assert_eq!(lane.room(first), 1);
        lane.worked();
        assert_eq!(lane.room(first), AT_ONCE);
    }
}
