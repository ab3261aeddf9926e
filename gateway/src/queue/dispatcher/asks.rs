//! What the dispatcher is asked and told.

use std::collections::BTreeMap;
use std::sync::Arc;

use spillway_model::report::NodeReport;
use spillway_model::wire::link::{Attempt, Heartbeat, Join, Poll};
use tokio::sync::oneshot;
use tokio::time::{Duration, Instant};

use super::Dispatcher;
use crate::queue::QueuedJob;
use crate::queue::board::{Answer, Held, Node, Waiting};
use crate::queue::catalog::Catalog;
use crate::queue::rows::{After, Finished, LeasedRow, Page};
use crate::queue::timestamp;

/// The longest that a poll is held back.
const LONGEST_POLL: Duration = Duration::from_mins(1);

/// Leases in one answer at most.
const LEASES_PER_POLL: u32 = 64;

/// Cancellations kept for a node that does not ask; its heartbeats tell it as well.
const CANCELLED: usize = 1024;

/// A question or a message.
#[derive(Debug)]
pub(crate) enum Ask {
    /// These jobs are committed.
    Announced(Vec<QueuedJob>),
    /// An agent joined. The answer: attempts it says it runs of which nothing is known here.
    Join {
        about: Box<Join>,
        reply: oneshot::Sender<Vec<Attempt>>,
    },
    /// An agent wants work.
    Poll {
        node: String,
        poll: Poll,
        reply: oneshot::Sender<Answer>,
    },
    /// An agent is alive. The answer is as for `Join`.
    Heartbeat {
        node: String,
        heartbeat: Heartbeat,
        reply: oneshot::Sender<Vec<Attempt>>,
    },
    /// Whether this node has this lease.
    Holds {
        node: String,
        attempt: Attempt,
        reply: oneshot::Sender<bool>,
    },
    /// The row says that this node has the lease.
    Claimed(LeasedRow),
    /// The row of this job was not as a grant assumed.
    Void { id: i64, attempt: u32 },
    /// An attempt came to its end in the table.
    Ended { finished: Finished, attempt: u32 },
    /// The end of an attempt could not be written; it is tried again.
    NotEnded(Held),
    /// These jobs are no longer in the table.
    Deleted { service: String, ids: Vec<i64> },
    /// Jobs of these services are in the table that were not announced.
    Revived(Vec<String>),
    /// The next jobs of a service; nothing if they could not be read.
    Refilled { service: String, page: Option<Page> },
    /// The services as they are now; nothing if they could not be read.
    Services(Option<Catalog>),
    /// Why services wait, those that no node fits.
    Misfits(oneshot::Sender<BTreeMap<String, String>>),
    /// All nodes.
    Nodes(oneshot::Sender<Vec<NodeReport>>),
}

impl Dispatcher {
    pub(super) fn answer(&mut self, ask: Ask) {
        let now = Instant::now();
        let now_ms = self.settings.clock.now_ms();
        match ask {
            Ask::Announced(jobs) => {
                for job in jobs {
                    let service = job.service.clone();
                    self.board.queued(&service, job.ready(), now_ms);
                }
            }
            Ask::Join { about, reply } => drop(reply.send(self.join(*about, now))),
            Ask::Poll { node, poll, reply } => self.poll(&node, poll, reply, now),
            Ask::Heartbeat {
                node,
                heartbeat,
                reply,
            } => drop(reply.send(self.heartbeat(&node, heartbeat, now))),
            Ask::Holds {
                node,
                attempt,
                reply,
            } => drop(reply.send(self.board.find(&node, &attempt).is_some())),
            Ask::Claimed(row) => self.claimed(row, now),
            Ask::Void { id, attempt } => {
                if let Some(held) = self.board.drop_held(id, attempt) {
                    self.board.lanes.entry(held.service).or_default().due();
                }
            }
            Ask::Ended { finished, attempt } => self.ended(finished, attempt, now_ms),
            Ask::NotEnded(held) => {
                if let Some(held) = self
                    .board
                    .held
                    .get_mut(&held.id)
                    .filter(|now| now.attempt == held.attempt)
                {
                    held.ending = false;
                    held.deadline = now + self.settings.handover;
                    self.wake_at = self.wake_at.min(held.deadline);
                }
            }
            Ask::Deleted { service, ids } => self.deleted(&service, ids),
            Ask::Revived(services) => {
                for service in services {
                    self.board.lanes.entry(service).or_default().due();
                }
            }
            Ask::Refilled { service, page } => self.refilled(&service, page),
            Ask::Services(catalog) => self.services(catalog),
            Ask::Misfits(reply) => drop(reply.send(self.board.misfits())),
            Ask::Nodes(reply) => drop(reply.send(self.node_reports())),
        }
    }

    fn join(&mut self, about: Join, now: Instant) -> Vec<Attempt> {
        let name = about.node.clone();
        for held in self.board.disowned(&name, &about.running, |_| true) {
            self.write_back(held, "the node's agent was restarted".to_owned());
        }
        let running = about.running.clone();
        let node = self
            .board
            .nodes
            .entry(name.clone())
            .or_insert_with(|| Node::new(about.clone()));
        node.capacity = about.capacity;
        node.about = about;
        node.waiting = None; // Of the agent's former process.
        node.cancelled.clear();
        node.warm.clear();
        self.board.bump_wanted();
        self.heard(&name, now);
        self.extend(&name, running, now)
    }

    fn poll(&mut self, name: &str, poll: Poll, reply: oneshot::Sender<Answer>, now: Instant) {
        self.heard(name, now);
        let Some(node) = self.board.nodes.get_mut(name) else {
            return;
        };
        node.capacity = poll.capacity;
        node.warm = poll.warm;
        let until = now + Duration::from_millis(poll.wait_ms).min(LONGEST_POLL);
        let former = node.waiting.replace(Waiting {
            room: poll.max_leases.min(LEASES_PER_POLL),
            until,
            wanted_version: poll.wanted_version,
            reply,
            grants: Vec::new(),
        });
        if let Some(former) = former {
            drop(former.reply.send(Answer::default())); // A node has one poll at a time.
        }
        self.wake_at = self.wake_at.min(until);
    }

    fn heartbeat(&mut self, name: &str, heartbeat: Heartbeat, now: Instant) -> Vec<Attempt> {
        self.heard(name, now);
        let grace = self.settings.handover;
        let is_lost_on_the_way = |held: &Held| !held.confirmed && held.granted + grace <= now;
        for held in self
            .board
            .disowned(name, &heartbeat.running, is_lost_on_the_way)
        {
            self.write_back(held, "the lease did not reach the node".to_owned());
        }
        let running = heartbeat.running.clone();
        if let Some(node) = self.board.nodes.get_mut(name) {
            node.heartbeat = heartbeat;
        }
        self.extend(name, running, now)
    }

    fn heard(&mut self, name: &str, now: Instant) {
        let Some(node) = self.board.nodes.get_mut(name) else {
            return;
        };
        node.heard = Some(now);
        node.heard_ms = self.settings.clock.now_ms();
        if !std::mem::replace(&mut node.is_ready, true) {
            self.board.bump_wanted();
        }
        self.wake_at = self.wake_at.min(now + self.settings.lease);
    }

    /// Extends the leases that a node names; returns those it does not have.
    fn extend(&mut self, name: &str, running: Vec<Attempt>, now: Instant) -> Vec<Attempt> {
        let deadline = now + self.settings.lease;
        let mut unknown = Vec::new();
        for attempt in running {
            match self.board.find(name, &attempt) {
                Some(held) => {
                    held.deadline = deadline;
                    held.confirmed = true;
                }
                None => unknown.push(attempt),
            }
        }
        unknown
    }

    fn claimed(&mut self, row: LeasedRow, now: Instant) {
        let held = row.into_held(&self.board.catalog, now, now + self.settings.lease);
        self.wake_at = self.wake_at.min(held.deadline);
        self.board.hold(held);
    }

    fn ended(&mut self, finished: Finished, attempt: u32, now_ms: i64) {
        let Finished { id, service, after } = finished;
        self.board.drop_held(id, attempt);
        match after {
            After::Queued(job) if !self.board.held.contains_key(&id) => {
                self.board.queued(&service, job, now_ms);
            }
            After::Queued(_) => (),
            After::Over | After::Repeated => self.board.left(&service, id),
            // What was in memory was wrong; the table knows.
            After::Stale => {
                if let Some(lane) = self.board.lanes.get_mut(&service) {
                    lane.due();
                }
            }
        }
    }

    fn deleted(&mut self, service: &str, ids: Vec<i64>) {
        for id in ids {
            self.board.left(service, id);
            let Some(attempt) = self.board.held.get(&id).map(|held| held.attempt) else {
                continue;
            };
            let Some(held) = self.board.drop_held(id, attempt) else {
                continue;
            };
            if let Some(node) = self
                .board
                .nodes
                .get_mut(&held.node)
                .filter(|node| node.cancelled.len() < CANCELLED)
            {
                node.cancelled.push(held.as_attempt());
            }
        }
    }

    fn refilled(&mut self, service: &str, page: Option<Page>) {
        let held = &self.board.held;
        let Some(lane) = self.board.lanes.get_mut(service) else {
            return;
        };
        match page {
            Some(page) => lane.refilled(page.jobs, page.is_all, page.next_due, |id| {
                held.contains_key(&id)
            }),
            None => lane.refill_failed(),
        }
    }

    fn services(&mut self, catalog: Option<Catalog>) {
        self.loading = false;
        let Some(catalog) = catalog else { return };
        let catalog = Arc::new(catalog);
        self.catalog.send_replace(Arc::clone(&catalog));
        let gone = self.board.set_catalog(catalog);
        if !gone.is_empty() {
            self.sweep_orphans();
        }
    }

    fn node_reports(&self) -> Vec<NodeReport> {
        let running = |name: &str| {
            let mut running: Vec<Attempt> = self
                .board
                .held
                .values()
                .filter(|held| held.node == name)
                .map(Held::as_attempt)
                .collect();
            running.sort();
            running
        };
        let nodes = self.board.nodes.iter();
        nodes
            .map(|(name, node)| NodeReport {
                about: node.about.clone(),
                ready: node.is_ready,
                last_seen: timestamp(node.heard_ms),
                leased: node.leased,
                running: running(name),
                heartbeat: node.heartbeat.clone(),
            })
            .collect()
    }
}
