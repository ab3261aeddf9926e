//! What the dispatcher has in its head: nodes, leases and the next few jobs of each service. Pure: no I/O, no
//! clock; the rows in the database are the truth, and this is rebuilt from them after a restart.

mod lane;
mod lease;
mod node;
mod placement;
mod reserve;
#[cfg(test)]
mod tests;
mod wanted;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use spillway_model::wire::link::{Attempt, Resources};
use tokio::time::{Duration, Instant};

pub(crate) use lane::{Lane, Ready, WINDOW};
pub(crate) use lease::Held;
pub(crate) use node::{Answer, Grant, Node, Waiting};

use super::catalog::Catalog;

/// All of it.
#[derive(Debug)]
pub(crate) struct Board {
    pub(crate) nodes: BTreeMap<String, Node>,
    pub(crate) lanes: BTreeMap<String, Lane>,
    pub(crate) held: HashMap<i64, Held>,
    by_name: HashMap<String, i64>,
    pub(crate) catalog: Arc<Catalog>,
    /// See [`spillway_model::wire::link::Wanted::version`].
    pub(crate) wanted_version: u64,
    pub(crate) lease_time: Duration,
    starving: Option<reserve::Starving>,
}

/// Bits of a version that count changes within one epoch.
const VERSION_BITS: u32 = 20;

impl Board {
    pub(crate) fn new(epoch: i64, lease_time: Duration) -> Self {
        Self {
            nodes: BTreeMap::new(),
            lanes: BTreeMap::new(),
            held: HashMap::new(),
            by_name: HashMap::new(),
            catalog: Arc::default(),
            wanted_version: (u64::try_from(epoch).unwrap_or(0) << VERSION_BITS) + 1,
            lease_time,
            starving: None,
        }
    }

    /// Takes a new snapshot of the services; returns those that are gone (or were made anew).
    pub(crate) fn set_catalog(&mut self, catalog: Arc<Catalog>) -> Vec<String> {
        let old = std::mem::replace(&mut self.catalog, catalog);
        let gone: Vec<String> = old
            .entries
            .values()
            .filter(|old| {
                self.catalog
                    .get(&old.name)
                    .is_none_or(|new| new.created_ms != old.created_ms)
            })
            .map(|old| old.name.clone())
            .collect();
        for name in &gone {
            if let Some(lane) = self.lanes.get_mut(name) {
                lane.forget();
            }
        }
        for name in self.catalog.entries.keys() {
            self.lanes.entry(name.clone()).or_default();
        }
        self.lanes
            .retain(|name, lane| self.catalog.get(name).is_some() || lane.running > 0);
        self.bump_wanted();
        gone
    }

    /// A job was announced or went back to the queue.
    pub(crate) fn queued(&mut self, service: &str, job: Ready, now_ms: i64) {
        let lane = self.lanes.entry(service.to_owned()).or_default();
        if job.ready_ms > now_ms {
            lane.delay(job.ready_ms);
        } else {
            lane.offer(job);
        }
    }

    /// A job is no longer to be granted: it was deleted, or somebody else holds it.
    pub(crate) fn left(&mut self, service: &str, id: i64) {
        if let Some(lane) = self.lanes.get_mut(service) {
            lane.depart(id);
        }
    }

    /// Notes a lease; its job is in no lane from here on.
    pub(crate) fn hold(&mut self, held: Held) {
        self.left(&held.service, held.id);
        let lane = self.lanes.entry(held.service.clone()).or_default();
        lane.running += 1;
        lane.used = lane.used.plus(held.resources);
        if let Some(node) = self.nodes.get_mut(&held.node) {
            node.leased = node.leased.plus(held.resources);
        }
        self.by_name.insert(held.name.clone(), held.id);
        if let Some(former) = self.held.insert(held.id, held) {
            self.uncount(&former);
        }
    }

    /// Ends the lease of this job, if that is the attempt; what it took is free again.
    pub(crate) fn drop_held(&mut self, id: i64, attempt: u32) -> Option<Held> {
        if self.held.get(&id)?.attempt != attempt {
            return None;
        }
        let held = self.held.remove(&id)?;
        self.by_name.remove(&held.name);
        self.uncount(&held);
        Some(held)
    }

    fn uncount(&mut self, held: &Held) {
        if let Some(lane) = self.lanes.get_mut(&held.service) {
            lane.running = lane.running.saturating_sub(1);
            lane.used = lane.used.minus(held.resources);
        }
        if let Some(node) = self.nodes.get_mut(&held.node) {
            node.leased = node.leased.minus(held.resources);
        }
    }

    /// The lease of this attempt, if the node has it.
    pub(crate) fn find(&mut self, node: &str, attempt: &Attempt) -> Option<&mut Held> {
        let id = self.by_name.get(&attempt.job)?;
        self.held
            .get_mut(id)
            .filter(|held| held.node == node && held.attempt == attempt.attempt && !held.ending)
    }

    /// Whether anybody has this attempt.
    pub(crate) fn is_held(&self, job: &str, attempt: u32) -> bool {
        self.by_name
            .get(job)
            .and_then(|id| self.held.get(id))
            .is_some_and(|held| held.attempt == attempt)
    }

    /// Lapsed leases, marked as ending: each is to be written back to the queue.
    pub(crate) fn lapsed(&mut self, now: Instant) -> Vec<Held> {
        self.end_where(|held| held.deadline <= now)
    }

    /// Marks the leases of a node that it does not know of (any more) as ending.
    pub(crate) fn disowned(
        &mut self,
        node: &str,
        running: &[Attempt],
        only_if: impl Fn(&Held) -> bool,
    ) -> Vec<Held> {
        self.end_where(|held| {
            held.node == node
                && !running
                    .iter()
                    .any(|own| own.attempt == held.attempt && own.job == held.name)
                && only_if(held)
        })
    }

    fn end_where(&mut self, is_over: impl Fn(&Held) -> bool) -> Vec<Held> {
        let mut ended = Vec::new();
        for held in self.held.values_mut() {
            if !held.ending && is_over(held) {
                held.ending = true;
                ended.push(held.clone());
            }
        }
        ended
    }

    /// What all nodes together can give.
    fn capacity(&self) -> Resources {
        self.nodes
            .values()
            .fold(Resources::default(), |sum, node| sum.plus(node.capacity))
    }
}
