//! Attempts in progress on this node: named in heartbeats, ended when the gateway says that they are no longer ours.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use spillway_model::wire::link::Attempt;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Attempts that this node works on at once, at most: those that run, and those whose end is not delivered yet.
pub(crate) const MAX_ATTEMPTS: usize = 64;

/// The attempts in progress.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    attempts: Mutex<BTreeMap<Attempt, CancellationToken>>,
    left: Notify,
}

/// One attempt's place in the ledger, given up when dropped.
#[derive(Debug)]
pub(crate) struct Entry {
    ledger: Arc<Ledger>,
    attempt: Attempt,
    /// Cancelled when the attempt is no longer this node's.
    pub(crate) lost: CancellationToken,
}

impl Ledger {
    /// Takes an attempt up; nothing if it is in progress already. When the agent abandons all, this is lost too.
    pub(crate) fn enter(
        self: &Arc<Self>,
        attempt: &Attempt,
        abandon: &CancellationToken,
    ) -> Option<Entry> {
        let lost = abandon.child_token();
        let mut attempts = self.lock();
        if attempts.contains_key(attempt) {
            return None;
        }
        attempts.insert(attempt.clone(), lost.clone());
        Some(Entry {
            ledger: Arc::clone(self),
            attempt: attempt.clone(),
            lost,
        })
    }

    /// Everything in progress.
    pub(crate) fn running(&self) -> Vec<Attempt> {
        self.lock().keys().cloned().collect()
    }

    /// An attempt is no longer this node's. Returns whether it was in progress.
    pub(crate) fn lose(&self, attempt: &Attempt) -> bool {
        let lost = self.lock().get(attempt).cloned();
        lost.is_some_and(|token| {
            token.cancel();
            true
        })
    }

    /// How many more attempts may be taken up; waits until that is at least one.
    pub(crate) async fn room(&self) -> usize {
        loop {
            let left = self.left.notified();
            let room = MAX_ATTEMPTS.saturating_sub(self.lock().len());
            if room > 0 {
                return room;
            }
            left.await;
        }
    }

    // A panic while the lock was held cannot leave the map half-changed, so poisoning says nothing.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Attempt, CancellationToken>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.ledger.lock().remove(&self.attempt);
        self.ledger.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(number: u32) -> Attempt {
        Attempt {
            job: "s-1".to_owned(),
            attempt: number,
        }
    }

    #[test]
    fn an_attempt_is_taken_up_once() {
        let ledger = Arc::new(Ledger::default());
        let entry = ledger
            .enter(&attempt(1), &CancellationToken::new())
            .unwrap();
        assert!(
            ledger
                .enter(&attempt(1), &CancellationToken::new())
                .is_none()
        );
        assert!(ledger.lose(&attempt(1)) && entry.lost.is_cancelled());
        assert_eq!(ledger.running(), [attempt(1)]);
        drop(entry);
        assert!(ledger.running().is_empty() && !ledger.lose(&attempt(1)));
    }

    #[tokio::test]
    async fn a_full_ledger_makes_the_caller_wait() {
        let ledger = Arc::new(Ledger::default());
        let mut entries: Vec<_> = (1..=64)
            .map(|number| {
                ledger
                    .enter(&attempt(number), &CancellationToken::new())
                    .unwrap()
            })
            .collect();
        let waiting = tokio::spawn({
            let ledger = Arc::clone(&ledger);
            async move { ledger.room().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        entries.pop();
        assert_eq!(waiting.await.unwrap(), 1);
    }
}
