//! Which job goes to which node.
//!
//! Among services: the highest priority, then whoever has the least of the cluster, then who waits longest. Among
//! nodes that ask and fit: one with an idle warm container, then the one with most left.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use spillway_model::wire::link::Resources;
use tokio::time::Instant;

use super::{Board, Grant, Held, Lane, Node};
use crate::queue::catalog::Entry;

/// Parts in which a share of the cluster is counted.
const WHOLE: u64 = 1_000_000;

/// Order among services: priority, share of the cluster, who was ready first, and then the id.
type Rank = (Reverse<i32>, u64, i64, i64);

impl Board {
    /// Grants what can be granted to the polls that wait; returns the nodes whose polls have something now.
    pub(crate) fn place(&mut self, now: Instant) -> Vec<String> {
        let whole = self.capacity();
        let mut waiting: Vec<(Rank, Arc<Entry>)> = self
            .lanes
            .iter()
            .filter_map(|(name, lane)| self.rank(name, lane, whole))
            .collect();
        if waiting.is_empty() {
            return Vec::new();
        }
        let mut asking: Vec<String> = self
            .nodes
            .iter()
            .filter(|(_, node)| has_place(node))
            .map(|(name, _)| name.clone())
            .collect();
        if asking.is_empty() {
            return Vec::new();
        }
        self.reserve(now);
        let mut served = Vec::new();
        while let Some(first) = (0..waiting.len()).min_by_key(|&place| waiting[place].0) {
            let entry = Arc::clone(&waiting[first].1);
            let granted = self
                .best_node(&entry, &asking)
                .filter(|node| self.grant(node, &entry, now));
            let Some(node) = granted else {
                waiting.swap_remove(first);
                continue;
            };
            let lane = self.lanes.get(&entry.name);
            match lane.and_then(|lane| self.rank(&entry.name, lane, whole)) {
                Some(next) => waiting[first] = next,
                None => drop(waiting.swap_remove(first)),
            }
            if !self.nodes.get(&node).is_some_and(has_place) {
                asking.retain(|name| *name != node);
            }
            if !served.contains(&node) {
                served.push(node);
            }
            if asking.is_empty() {
                break;
            }
        }
        self.note_starving(now);
        served
    }

    /// Where a service stands among those that wait; nothing if none of its jobs may be granted.
    fn rank(&self, name: &str, lane: &Lane, whole: Resources) -> Option<(Rank, Arc<Entry>)> {
        let (priority, ready_ms, id) = lane.first()?.key();
        let entry = self.catalog.get(name)?;
        Self::is_under_caps(lane, entry).then(|| {
            (
                (priority, share(lane.used, whole), ready_ms, id),
                Arc::clone(entry),
            )
        })
    }

    pub(super) fn is_under_caps(lane: &Lane, entry: &Entry) -> bool {
        lane.running < entry.max_running && entry.cap.covers(lane.used.plus(entry.resources))
    }

    fn best_node(&self, entry: &Entry, asking: &[String]) -> Option<String> {
        let priority = self.lanes.get(&entry.name)?.first()?.priority;
        asking
            .iter()
            .filter_map(|name| Some((name, self.nodes.get(name)?)))
            .filter(|(name, node)| {
                has_place(node)
                    && node.free().covers(entry.resources)
                    && entry.selects(&node.about)
                    && !self.is_kept_from(name, entry, priority)
            })
            .max_by_key(|(_, node)| {
                let is_warm = node.warm.get(&entry.name).is_some_and(|&idle| idle > 0);
                (
                    is_warm,
                    Reverse(share(node.leased, node.capacity)),
                    node.free().millicores,
                )
            })
            .map(|(name, _)| name.clone())
    }

    fn grant(&mut self, name: &str, entry: &Arc<Entry>, now: Instant) -> bool {
        let Some(job) = self.lanes.get_mut(&entry.name).and_then(Lane::take_first) else {
            return false;
        };
        let attempt = job.attempt + 1;
        let Some(node) = self.nodes.get_mut(name) else {
            return false;
        };
        if let Some(idle) = node.warm.get_mut(&entry.name) {
            *idle = idle.saturating_sub(1);
        }
        let Some(waiting) = &mut node.waiting else {
            return false;
        };
        waiting.room -= 1;
        waiting.grants.push(Grant {
            id: job.id,
            name: job.name.clone(),
            attempt,
            fresh: job.fresh,
            priority: job.priority,
            ready_ms: job.ready_ms,
            entry: Arc::clone(entry),
            stored: job.stored,
        });
        let held = Held {
            id: job.id,
            name: job.name,
            service: entry.name.clone(),
            attempt,
            node: name.to_owned(),
            resources: entry.resources,
            deadline: now + self.lease_time,
            granted: now,
            confirmed: false,
            ending: false,
        };
        self.hold(held);
        true
    }

    /// For each service whose jobs no node could take, even an empty one: why.
    pub(crate) fn misfits(&self) -> BTreeMap<String, String> {
        let waiting = self.lanes.iter().filter(|(_, lane)| lane.has_work());
        waiting
            .filter_map(|(name, _)| Some((name.clone(), self.misfit(self.catalog.get(name)?)?)))
            .collect()
    }

    fn misfit(&self, entry: &Entry) -> Option<String> {
        let mut selected = self
            .nodes
            .values()
            .filter(|node| entry.selects_labels(&node.about))
            .peekable();
        let wanted = entry.resources;
        if self.nodes.is_empty() {
            return Some("no node has joined this cluster yet; start an agent".to_owned());
        }
        if selected.peek().is_none() {
            let labels: Vec<String> = entry
                .selector
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            return Some(format!(
                "no node has the labels that edge.node_selector asks for: {}",
                labels.join(", ")
            ));
        }
        if !entry.cap.covers(wanted) {
            return Some(
                "one container takes more than total_cpu or total_memory allows; raise the cap"
                    .to_owned(),
            );
        }
        if selected.any(|node| node.capacity.covers(wanted)) {
            return self.volume_misfit(entry);
        }
        Some(format!(
            "no node is large enough for cpu {}m and memory {} MiB; lower them or add a larger node",
            wanted.millicores,
            wanted.memory_bytes.div_ceil(1024 * 1024)
        ))
    }
}

impl Board {
    /// Why its volume keeps a service waiting that has nodes enough.
    fn volume_misfit(&self, entry: &Entry) -> Option<String> {
        let pin = entry.volume.as_ref()?;
        let (volume, node) = (&pin.volume, &pin.node);
        if node.is_empty() {
            return Some(format!("its volume '{volume}' waits for a node"));
        }
        let words = match self.nodes.get(node) {
            None => format!("has not joined since the gateway was started: {node}"),
            Some(known) if !known.is_ready => format!("is not heard of: {node}"),
            Some(known) if !entry.selects_labels(&known.about) => {
                format!("lacks a label that edge.node_selector asks for: {node}")
            }
            Some(known) if !known.capacity.covers(entry.resources) => {
                format!("is too small: {node}")
            }
            Some(_) if pin.phase == "ready" => return None,
            Some(_) if pin.message.is_empty() => {
                return Some(format!("its volume '{volume}' is being made on {node}"));
            }
            Some(_) => return Some(format!("its volume '{volume}': {}", pin.message)),
        };
        Some(format!("the node of its volume '{volume}' {words}"))
    }
}

/// Whether its poll can take one more lease.
fn has_place(node: &Node) -> bool {
    node.waiting
        .as_ref()
        .is_some_and(|waiting| waiting.room > 0 && !waiting.reply.is_closed())
}

/// The larger of the parts of CPU and memory, in millionths.
fn share(used: Resources, whole: Resources) -> u64 {
    let part = |used: u64, whole: u64| {
        let part = u128::from(used) * u128::from(WHOLE) / u128::from(whole.max(1));
        u64::try_from(part).unwrap_or(u64::MAX)
    };
    part(used.millicores, whole.millicores).max(part(used.memory_bytes, whole.memory_bytes))
}
