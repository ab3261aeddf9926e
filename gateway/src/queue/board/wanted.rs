//! Which services each node shall know, and how many warm containers of each it keeps.

use std::hash::{DefaultHasher, Hash, Hasher};

use spillway_model::wire::link::{Wanted, WantedService};

use super::Board;
use crate::queue::catalog::Entry;

impl Board {
    /// Every node is to be told anew.
    pub(crate) fn bump_wanted(&mut self) {
        self.wanted_version += 1;
    }

    /// What this node shall know.
    pub(crate) fn wanted_of(&self, name: &str) -> Wanted {
        let Some(node) = self.nodes.get(name) else {
            return Wanted::default();
        };
        let services = self
            .catalog
            .entries
            .values()
            .filter(|entry| entry.selects(&node.about))
            .map(|entry| WantedService {
                name: entry.name.clone(),
                revision: entry.revision,
                warm: self.warm_on(name, entry),
                prefetch: entry.prefetch || entry.min_scale > 0,
            })
            .collect();
        Wanted {
            version: self.wanted_version,
            services,
        }
    }

    /// The node's part of `min_scale`: dealt out in turn, beginning with another node for each service.
    fn warm_on(&self, name: &str, entry: &Entry) -> u32 {
        if entry.min_scale == 0 {
            return 0;
        }
        let able: Vec<&String> = self
            .nodes
            .iter()
            .filter(|(_, node)| {
                node.is_ready && entry.selects(&node.about) && node.capacity.covers(entry.resources)
            })
            .map(|(name, _)| name)
            .collect();
        let Some(place) = able.iter().position(|other| *other == name) else {
            return 0;
        };
        let count = able.len();
        let mut hasher = DefaultHasher::new();
        entry.name.hash(&mut hasher);
        let first = usize::try_from(hasher.finish() % count as u64).unwrap_or(0);
        let turn = u32::try_from((place + count - first) % count).unwrap_or(u32::MAX);
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        entry.min_scale / count + u32::from(turn < entry.min_scale % count)
    }
}
