//! A node, as its agent tells of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use spillway_model::wire::link::{Attempt, Heartbeat, Join, Resources, Wanted};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::queue::catalog::Entry;
use crate::queue::cause::Stored;

/// One node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) about: Join,
    pub(crate) capacity: Resources,
    /// What its leases take.
    pub(crate) leased: Resources,
    /// Idle warm containers by service, as of its last poll, less those granted since.
    pub(crate) warm: BTreeMap<String, u32>,
    pub(crate) heartbeat: Heartbeat,
    pub(crate) heard: Option<Instant>,
    pub(crate) heard_ms: i64,
    /// Heard of within the lease time.
    pub(crate) is_ready: bool,
    pub(crate) waiting: Option<Waiting>,
    /// To be said with the next answer.
    pub(crate) cancelled: Vec<Attempt>,
}

/// A poll that is held back.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) room: u32,
    pub(crate) until: Instant,
    pub(crate) wanted_version: u64,
    pub(crate) reply: oneshot::Sender<Answer>,
    pub(crate) grants: Vec<Grant>,
}

/// What a poll is answered with, before the leases are written out.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) grants: Vec<Grant>,
    pub(crate) cancelled: Vec<Attempt>,
    pub(crate) wanted: Option<Wanted>,
}

/// The decision to give a job to a node.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) attempt: u32,
    /// May be recorded late, see `Ready::fresh`.
    pub(crate) fresh: bool,
    pub(crate) priority: i32,
    pub(crate) ready_ms: i64,
    pub(crate) entry: Arc<Entry>,
    pub(crate) stored: Option<Arc<Stored>>,
}

impl Node {
    pub(crate) fn new(about: Join) -> Self {
        Self {
            capacity: about.capacity,
            about,
            leased: Resources::default(),
            warm: BTreeMap::new(),
            heartbeat: Heartbeat::default(),
            heard: None,
            heard_ms: 0,
            is_ready: false,
            waiting: None,
            cancelled: Vec::new(),
        }
    }

    /// What it can take on top of its leases.
    pub(crate) fn free(&self) -> Resources {
        self.capacity.minus(self.leased)
    }
}
