//! A large job must not starve behind small ones, which take up at once whatever room comes free.
//!
//! When the job that is next in order has found no room for [`PATIENCE`], the node that will soonest have it takes
//! nothing else (but what has a higher priority) until the job is granted: it drains.

use tokio::time::{Duration, Instant};

use super::{Board, Node};
use crate::queue::catalog::Entry;

/// How long the next job waits for room before a node is kept free for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// The job that is next in order but fits nowhere at the moment.
#[derive(Debug)]
pub(super) struct Starving {
    id: i64,
    service: String,
    priority: i32,
    since: Instant,
    /// Drains for it.
    node: Option<String>,
}

impl Board {
    /// Whether the node must not take a job of this service now: it drains for another one.
    pub(super) fn is_kept_from(&self, node: &str, entry: &Entry, priority: i32) -> bool {
        self.starving.as_ref().is_some_and(|starving| {
            starving.node.as_deref() == Some(node)
                && starving.service != entry.name
                && starving.priority >= priority
        })
    }

    /// Chooses a node to drain if the starving job has waited long enough, or lets it go.
    pub(super) fn reserve(&mut self, now: Instant) {
        let Some(starving) = &self.starving else {
            return;
        };
        let is_next = self
            .lanes
            .get(&starving.service)
            .and_then(|lane| lane.first())
            .is_some_and(|job| job.id == starving.id);
        let entry = self.catalog.get(&starving.service);
        let (Some(entry), true) = (entry, is_next) else {
            self.starving = None;
            return;
        };
        let kept = starving.node.as_ref().filter(|name| {
            self.nodes
                .get(*name)
                .is_some_and(|node| could_hold(node, entry))
        });
        let node = match kept {
            Some(node) => Some(node.clone()),
            None if now < starving.since + PATIENCE => None,
            None => self
                .nodes
                .iter()
                .filter(|(_, node)| could_hold(node, entry))
                .max_by_key(|(_, node)| (node.free().memory_bytes, node.free().millicores))
                .map(|(name, _)| name.clone()),
        };
        if let Some(starving) = &mut self.starving {
            starving.node = node;
        }
    }

    /// After all that could be granted was: notes the next job in order, if there is no room for it.
    pub(super) fn note_starving(&mut self, now: Instant) {
        let next = self
            .lanes
            .iter()
            .filter_map(|(name, lane)| {
                let entry = self.catalog.get(name)?;
                let job = lane.first().filter(|_| Self::is_under_caps(lane, entry))?;
                Some((job.key(), entry, job))
            })
            // What fits no node at all must not hide those that starve.
            .filter(|(_, entry, _)| self.nodes.values().any(|node| could_hold(node, entry)))
            .min_by_key(|(key, _, _)| *key);
        let Some((_, entry, job)) = next else {
            self.starving = None;
            return;
        };
        let has_room = |node: &Node| could_hold(node, entry) && node.free().covers(entry.resources);
        if self.nodes.values().any(has_room) {
            // Its node has only to ask. A node that was drained for it stays so until then.
            if self.starving.as_ref().is_some_and(|now| now.id != job.id) {
                self.starving = None;
            }
        } else if self.starving.as_ref().is_none_or(|now| now.id != job.id) {
            self.starving = Some(Starving {
                id: job.id,
                service: entry.name.clone(),
                priority: job.priority,
                since: now,
                node: None,
            });
        }
    }
}

/// Whether the node, when empty, can take a job of the service.
fn could_hold(node: &Node, entry: &Entry) -> bool {
    node.is_ready && node.capacity.covers(entry.resources) && entry.selects(&node.about)
}
