//! The task that owns the board: takes questions from a bounded queue, grants, watches the clock.
//!
//! It never waits for the disk. What has to be written or read is done by tasks of their own that tell it the
//! outcome. When nothing happens it sleeps until the next deadline.

mod asks;
mod effects;
mod restore;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

pub(crate) use asks::Ask;
pub(crate) use restore::{known_nodes, next_epoch, restore};

use super::board::{Answer, Board, Grant, Ready};
use super::catalog::Catalog;
use super::completion::Staging;
use super::{QueueSettings, QueuedJob, Shared};
use crate::store::Store;

/// Questions that may wait for the dispatcher; whoever asks more waits. Announcements are not waited for: when
/// the queue is full, the dispatcher looks for the announced jobs in the database instead.
const QUEUE: usize = 1024;

/// Questions that are answered before the board is looked at as a whole.
const BATCH: usize = 128;

/// The longest sleep: the wall clock may have jumped meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_mins(10);

/// The way to the dispatcher.
#[derive(Debug, Clone)]
pub(crate) struct Handle {
    asks: mpsc::Sender<Ask>,
    signals: Arc<Signals>,
}

#[derive(Debug, Default)]
struct Signals {
    /// Some announcement found the queue full.
    missed: AtomicBool,
    /// The table of services has changed.
    services: AtomicBool,
    wake: Notify,
}

/// The receiving end.
#[derive(Debug)]
pub(crate) struct Inbox {
    asks: mpsc::Receiver<Ask>,
    sender: mpsc::WeakSender<Ask>,
    signals: Arc<Signals>,
}

/// The dispatcher itself.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    board: Board,
    inbox: Inbox,
    store: Store,
    settings: QueueSettings,
    epoch: i64,
    catalog: watch::Sender<Arc<Catalog>>,
    staged: Arc<Staging>,
    tasks: TaskTracker,
    stop: CancellationToken,
    wake_at: Instant,
    loading: bool,
}

/// A new queue of questions.
pub(crate) fn channel() -> (Handle, Inbox) {
    let (sender, asks) = mpsc::channel(QUEUE);
    let signals = Arc::new(Signals::default());
    let inbox = Inbox {
        asks,
        sender: sender.downgrade(),
        signals: Arc::clone(&signals),
    };
    (
        Handle {
            asks: sender,
            signals,
        },
        inbox,
    )
}

impl Handle {
    /// Asks; without effect once the dispatcher has stopped (then the answer's sender is dropped).
    pub(crate) async fn ask(&self, ask: Ask) {
        if self.asks.send(ask).await.is_err() {
            tracing::debug!("the queue has stopped; nobody answers");
        }
    }

    pub(crate) fn announce(&self, jobs: Vec<QueuedJob>) {
        if !jobs.is_empty() && self.asks.try_send(Ask::Announced(jobs)).is_err() {
            self.signals.missed.store(true, Ordering::Release);
            self.signals.wake.notify_one();
        }
    }

    pub(crate) fn services_changed(&self) {
        self.signals.services.store(true, Ordering::Release);
        self.signals.wake.notify_one();
    }
}

impl Dispatcher {
    pub(crate) fn new(shared: &Shared, board: Board, inbox: Inbox) -> Self {
        Self {
            board,
            inbox,
            store: shared.store.clone(),
            settings: shared.settings.clone(),
            epoch: shared.epoch,
            catalog: shared.catalog.clone(),
            staged: Arc::clone(&shared.staged),
            tasks: shared.tasks.clone(),
            stop: shared.stop.clone(),
            wake_at: Instant::now(),
            loading: false,
        }
    }

    pub(crate) async fn run(mut self) {
        self.sweep_orphans();
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return self.say_goodbye(),
                () = self.inbox.signals.wake.notified() => (),
                () = tokio::time::sleep_until(self.wake_at) => (),
                ask = self.inbox.asks.recv() => match ask {
                    None => return, // The last handle is gone.
                    Some(ask) => self.answer_batch(ask),
                },
            }
            self.look_around();
        }
    }

    /// Lets the polls go.
    fn say_goodbye(mut self) {
        let now = Instant::now();
        let nodes: Vec<String> = self.board.nodes.keys().cloned().collect();
        for node in &nodes {
            self.reply(node, now);
        }
    }

    fn answer_batch(&mut self, first: Ask) {
        self.answer(first);
        for _ in 1..BATCH {
            match self.inbox.asks.try_recv() {
                Ok(ask) => self.answer(ask),
                Err(_) => return,
            }
        }
    }

    /// Everything that follows from the state as it is now, whatever has changed.
    fn look_around(&mut self) {
        let now = Instant::now();
        if self.inbox.signals.missed.swap(false, Ordering::AcqRel) {
            self.board
                .lanes
                .values_mut()
                .for_each(super::board::Lane::due);
        }
        if !self.loading && self.inbox.signals.services.swap(false, Ordering::AcqRel) {
            self.load_catalog();
        }
        if now >= self.wake_at {
            self.watch_the_clock(now);
        }
        self.refill();
        for node in self.board.place(now) {
            self.wake_at = self.wake_at.min(now + self.settings.lease);
            self.reply(&node, now);
        }
        self.reply_to_those_with_news(now);
        let now_ms = self.settings.clock.now_ms();
        for lane in self.board.lanes.values_mut() {
            if let Some(due) = lane.next_due {
                self.wake_at = self.wake_at.min(now + self.settings.clock.until(due));
                if due <= now_ms {
                    lane.next_due = None;
                    lane.due();
                    self.wake_at = now;
                }
            }
        }
    }

    /// Ends what has lapsed and finds the next moment at which something may.
    fn watch_the_clock(&mut self, now: Instant) {
        for held in self.board.lapsed(now) {
            warn!(job.id = %held.name, attempt = held.attempt, node = %held.node, "the lease lapsed");
            self.write_back(held, "the node was not heard of any more".to_owned());
        }
        // Outputs of attempts that did not come to complete.
        self.staged
            .keep_only(|job, attempt| self.board.is_held(job, attempt));
        let mut next = now + LONGEST_SLEEP;
        let mut changed = false;
        for node in self.board.nodes.values_mut().filter(|node| node.is_ready) {
            let until = node.heard.map_or(now, |heard| heard + self.settings.lease);
            if until <= now {
                node.is_ready = false;
                changed = true;
            } else {
                next = next.min(until);
            }
        }
        if changed {
            self.board.bump_wanted();
        }
        let overdue: Vec<String> = self
            .board
            .nodes
            .iter()
            .filter(|(_, node)| {
                node.waiting
                    .as_ref()
                    .is_some_and(|waiting| waiting.until <= now)
            })
            .map(|(name, _)| name.clone())
            .collect();
        for node in overdue {
            self.reply(&node, now);
        }
        let polls = self
            .board
            .nodes
            .values()
            .filter_map(|node| Some(node.waiting.as_ref()?.until));
        let leases = self
            .board
            .held
            .values()
            .filter(|held| !held.ending)
            .map(|held| held.deadline);
        self.wake_at = polls.chain(leases).fold(next, Instant::min);
    }

    fn reply_to_those_with_news(&mut self, now: Instant) {
        let version = self.board.wanted_version;
        let with_news: Vec<String> = self
            .board
            .nodes
            .iter()
            .filter(|(_, node)| {
                let is_behind = node
                    .waiting
                    .as_ref()
                    .is_some_and(|waiting| waiting.wanted_version != version);
                is_behind || (node.waiting.is_some() && !node.cancelled.is_empty())
            })
            .map(|(name, _)| name.clone())
            .collect();
        for node in with_news {
            self.reply(&node, now);
        }
    }

    /// Answers the node's poll with whatever there is.
    fn reply(&mut self, name: &str, now: Instant) {
        let version = self.board.wanted_version;
        let Some(node) = self.board.nodes.get_mut(name) else {
            return;
        };
        let Some(waiting) = node.waiting.take() else {
            return;
        };
        let cancelled = std::mem::take(&mut node.cancelled);
        let wanted = (waiting.wanted_version != version).then(|| self.board.wanted_of(name));
        let answer = Answer {
            grants: waiting.grants,
            cancelled,
            wanted,
        };
        if let Err(unheard) = waiting.reply.send(answer) {
            self.take_back(unheard, name, now);
        }
    }

    /// The agent hung up before the answer left: as if these had never been granted.
    fn take_back(&mut self, unheard: Answer, name: &str, now: Instant) {
        if let Some(node) = self.board.nodes.get_mut(name) {
            node.cancelled = unheard.cancelled;
        }
        for grant in unheard.grants {
            self.board.drop_held(grant.id, grant.attempt);
            let service = grant.entry.name.clone();
            self.board
                .queued(&service, not_granted(grant), self.settings.clock.now_ms());
            self.wake_at = now; // Another node may be waiting for it.
        }
    }
}

fn not_granted(grant: Grant) -> Ready {
    Ready {
        id: grant.id,
        name: grant.name,
        priority: grant.priority,
        ready_ms: grant.ready_ms,
        attempt: grant.attempt - 1,
        fresh: grant.fresh,
        stored: grant.stored,
    }
}
