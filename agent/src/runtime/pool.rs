//! Who gets which container: the book-keeping of the pool, without a container in sight.
//!
//! Every container, from the moment room is made for it to its end, has a slot; the limits of all slots together
//! stay within the node's capacity. Claims are served in the order in which they came: one that waits for room
//! holds up later ones that need room too, never those for which an idle container is there.

use std::collections::{BTreeMap, HashMap, VecDeque};

use spillway_model::wire::link::Resources;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::plan::Key;

/// Names one slot.
pub(crate) type SlotId = u64;

/// The book. `C` is an idle container.
#[derive(Debug)]
pub(crate) struct Pool<C> {
    capacity: Resources,
    next: SlotId,
    slots: HashMap<SlotId, Slot>,
    /// Longest idle first.
    idle: VecDeque<Idle<C>>,
    waiting: VecDeque<Waiting<C>>,
    /// By service; absent until somebody says what is wanted.
    wanted: Option<BTreeMap<String, Want>>,
}

/// What is wanted of one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Want {
    pub(crate) revision: u64,
    /// Containers to keep.
    pub(crate) warm: u32,
}

#[derive(Debug)]
struct Slot {
    key: Key,
    resources: Resources,
}

/// A container that nobody uses.
#[derive(Debug)]
pub(crate) struct Idle<C> {
    slot: SlotId,
    pub(crate) key: Key,
    pub(crate) since: Instant,
    pub(crate) container: C,
}

/// What a claim asks for.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) key: Key,
    pub(crate) resources: Resources,
    /// Most slots of the service; 0 for no bound.
    pub(crate) max_scale: u32,
}

#[derive(Debug)]
struct Waiting<C> {
    ask: Ask,
    reply: oneshot::Sender<Grant<C>>,
}

/// A slot, with the idle container in it, or with room to make one.
#[derive(Debug)]
pub(crate) struct Grant<C> {
    pub(crate) slot: SlotId,
    pub(crate) container: Option<C>,
}

/// What to do after the book was changed, once its lock is given back.
#[derive(Debug)]
#[must_use]
pub(crate) struct Moves<C> {
    /// To be sent; a grant that nobody takes any more must be given back.
    pub(crate) granted: Vec<(oneshot::Sender<Grant<C>>, Grant<C>)>,
    /// To be removed: their room is given to others already.
    pub(crate) evicted: Vec<C>,
}

impl<C> Pool<C> {
    pub(crate) fn new(capacity: Resources) -> Self {
        Self {
            capacity,
            next: 0,
            slots: HashMap::new(),
            idle: VecDeque::new(),
            waiting: VecDeque::new(),
            wanted: None,
        }
    }

    /// Puts a claim at the end of the line.
    pub(crate) fn ask(&mut self, ask: Ask) -> (oneshot::Receiver<Grant<C>>, Moves<C>) {
        let (reply, answer) = oneshot::channel();
        self.waiting.push_back(Waiting { ask, reply });
        (answer, self.serve())
    }

    /// A slot for a container that is kept ready: only where there is room that nobody waits for.
    pub(crate) fn spare(&mut self, ask: &Ask) -> Option<SlotId> {
        let free = self.capacity.minus(self.taken());
        let room = self.waiting.is_empty() && free.covers(ask.resources) && !self.is_full(ask);
        room.then(|| self.open(ask))
    }

    /// Books a container that a former process left; `None` when it does not fit.
    pub(crate) fn adopt(&mut self, ask: &Ask, container: C) -> Result<Moves<C>, C> {
        if !self.capacity.minus(self.taken()).covers(ask.resources) {
            return Err(container);
        }
        let slot = self.open(ask);
        Ok(self.rest(slot, container))
    }

    /// The container in this slot has nothing to do.
    pub(crate) fn rest(&mut self, slot: SlotId, container: C) -> Moves<C> {
        if let Some(Slot { key, .. }) = self.slots.get(&slot) {
            let key = key.clone();
            self.idle.push_back(Idle {
                slot,
                key,
                since: Instant::now(),
                container,
            });
            self.serve()
        } else {
            Moves {
                granted: Vec::new(),
                evicted: vec![container],
            }
        }
    }

    /// The container in this slot is gone, or going: its room is free.
    pub(crate) fn free(&mut self, slot: SlotId) -> Moves<C> {
        self.slots.remove(&slot);
        self.serve()
    }

    /// Says what is wanted from now on.
    pub(crate) fn want(&mut self, wanted: BTreeMap<String, Want>) {
        self.wanted = Some(wanted);
    }

    /// Whether a container of this key may serve another claim.
    pub(crate) fn is_current(&self, key: &Key) -> bool {
        let Some(wanted) = &self.wanted else {
            return true;
        };
        // A definition may be newer than the list that we know.
        wanted
            .get(&key.service)
            .is_some_and(|want| key.revision >= want.revision)
    }

    /// Takes out the idle containers that `goes` picks, longest idle first; their slots are free.
    pub(crate) fn take_idle(&mut self, mut goes: impl FnMut(&Self, &Idle<C>) -> bool) -> Moves<C> {
        let mut evicted = Vec::new();
        let mut at = 0;
        while let Some(idle) = self.idle.remove(at) {
            if goes(self, &idle) {
                self.slots.remove(&idle.slot);
                evicted.push(idle.container);
            } else {
                self.idle.insert(at, idle);
                at += 1;
            }
        }
        let mut moves = self.serve();
        moves.evicted.append(&mut evicted);
        moves
    }

    /// Whether this idle container is one of those that its service shall keep, given its idle time.
    pub(crate) fn is_kept(&self, idle: &Idle<C>) -> bool {
        let count = u32::try_from(self.count(&idle.key.service)).unwrap_or(u32::MAX);
        // It is out of `idle` while it is looked at, but still in its slot.
        count <= self.warm(&idle.key.service)
    }

    pub(crate) fn idle_mut(&mut self) -> impl Iterator<Item = &mut Idle<C>> {
        self.idle.iter_mut()
    }

    /// Idle containers of services in their current revision, by service.
    pub(crate) fn warm_counts(&self) -> BTreeMap<String, u32> {
        let mut counts = BTreeMap::new();
        for idle in self.idle.iter().filter(|idle| self.is_current(&idle.key)) {
            *counts.entry(idle.key.service.clone()).or_default() += 1;
        }
        counts
    }

    /// Whether there is no container at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Containers of a service, whatever they do.
    pub(crate) fn count(&self, service: &str) -> usize {
        self.slots
            .values()
            .filter(|slot| slot.key.service == service)
            .count()
    }

    /// Containers of this key, whatever they do.
    pub(crate) fn count_of(&self, key: &Key) -> usize {
        self.slots.values().filter(|slot| slot.key == *key).count()
    }

    fn warm(&self, service: &str) -> u32 {
        self.wanted
            .as_ref()
            .and_then(|wanted| wanted.get(service))
            .map_or(0, |want| want.warm)
    }

    fn taken(&self) -> Resources {
        self.slots
            .values()
            .fold(Resources::default(), |sum, slot| sum.plus(slot.resources))
    }

    fn is_full(&self, ask: &Ask) -> bool {
        ask.max_scale > 0 && self.count(&ask.key.service) >= ask.max_scale as usize
    }

    fn open(&mut self, ask: &Ask) -> SlotId {
        self.next += 1;
        self.slots.insert(
            self.next,
            Slot {
                key: ask.key.clone(),
                resources: ask.resources,
            },
        );
        self.next
    }

    /// Serves those who wait, as far as there is something to serve them with.
    fn serve(&mut self) -> Moves<C> {
        let mut moves = Moves {
            granted: Vec::new(),
            evicted: Vec::new(),
        };
        let mut room_is_promised = false;
        let mut at = 0;
        while let Some(waiting) = self.waiting.get(at) {
            let ask = waiting.ask.clone();
            let grant = if waiting.reply.is_closed() {
                None
            } else if let Some(idle) = self.take_newest(&ask.key) {
                Some(Grant {
                    slot: idle.slot,
                    container: Some(idle.container),
                })
            } else if !room_is_promised && let Some(mut evicted) = self.make_room(&ask) {
                moves.evicted.append(&mut evicted);
                Some(Grant {
                    slot: self.open(&ask),
                    container: None,
                })
            } else {
                // Waiting for a member of its own service holds nobody else up.
                room_is_promised |= !self.is_full(&ask);
                at += 1;
                continue;
            };
            if let Some(waiting) = self.waiting.remove(at)
                && let Some(grant) = grant
            {
                moves.granted.push((waiting.reply, grant));
            }
        }
        moves
    }

    /// The idle container of this key that was used last: its memory is the warmest, and the others grow old.
    fn take_newest(&mut self, key: &Key) -> Option<Idle<C>> {
        let at = self.idle.iter().rposition(|idle| idle.key == *key)?;
        self.idle.remove(at)
    }

    /// Evicts as many idle containers as it takes, or none at all if that does not help: first those of other
    /// revisions of the service, then those that nobody asked to keep, longest idle first, at last the kept ones.
    fn make_room(&mut self, ask: &Ask) -> Option<Vec<C>> {
        let mut candidates: Vec<(u8, SlotId)> = Vec::new();
        let mut spared: HashMap<&str, u32> = HashMap::new();
        // Newest first: the newest of each service are the ones to be kept.
        for idle in self.idle.iter().rev() {
            let service = idle.key.service.as_str();
            let busy = self.count(service)
                - self
                    .idle
                    .iter()
                    .filter(|other| other.key.service == service)
                    .count();
            let spared = spared
                .entry(service)
                .or_insert_with(|| u32::try_from(busy).unwrap_or(u32::MAX));
            let rank = if service == ask.key.service || !self.is_current(&idle.key) {
                0
            } else if *spared < self.warm(service) {
                *spared += 1;
                2
            } else {
                1
            };
            candidates.push((rank, idle.slot));
        }
        candidates.reverse();
        candidates.sort_by_key(|(rank, _)| *rank);

        let mut free = self.capacity.minus(self.taken());
        let mut count = self.count(&ask.key.service);
        let fits = |free: Resources, count: usize| {
            free.covers(ask.resources) && (ask.max_scale == 0 || count < ask.max_scale as usize)
        };
        let mut going = Vec::new();
        for (_, id) in candidates {
            if fits(free, count) {
                break;
            }
            let Some(slot) = self.slots.get(&id) else {
                continue;
            };
            // Where only the service's own bound is in the way, others need not suffer.
            if free.covers(ask.resources) && slot.key.service != ask.key.service {
                continue;
            }
            free = free.plus(slot.resources);
            count -= usize::from(slot.key.service == ask.key.service);
            going.push(id);
        }
        if !fits(free, count) {
            return None;
        }
        let mut evicted = Vec::new();
        for id in going {
            self.slots.remove(&id);
            if let Some(at) = self.idle.iter().position(|idle| idle.slot == id)
                && let Some(idle) = self.idle.remove(at)
            {
                evicted.push(idle.container);
            }
        }
        Some(evicted)
    }
}

#[cfg(test)]
mod tests;
