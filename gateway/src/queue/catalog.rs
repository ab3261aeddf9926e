//! What the queue knows of the services: read from their table after each change, and shared as a snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::Connection;
use spillway_model::quantity::{Cpu, Memory};
use spillway_model::service::{DEFAULT_RETRIES, Service, StringMap};
use spillway_model::wire::link::{Join, Resources};
use tracing::warn;

use crate::store::StoreError;
use crate::volumes::Pin;

/// CPU of a container whose service names none, in millicores (OSCAR's default).
const DEFAULT_MILLICORES: u64 = 200;

/// Memory of a container whose service names none, in bytes (OSCAR's default).
const DEFAULT_MEMORY: u64 = 256 * 1024 * 1024;

/// All services.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    pub(crate) entries: BTreeMap<String, Arc<Entry>>,
}

/// One service, as far as scheduling is concerned.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) revision: u64,
    /// Tells a service from an older one of the same name.
    pub(crate) created_ms: i64,
    pub(crate) owner: String,
    /// What one container takes.
    pub(crate) resources: Resources,
    /// What all of them together may take.
    pub(crate) cap: Resources,
    /// Jobs at the same time.
    pub(crate) max_running: u64,
    /// Warm containers in the whole cluster.
    pub(crate) min_scale: u32,
    pub(crate) prefetch: bool,
    pub(crate) priority: i32,
    /// Further attempts after a failed one.
    pub(crate) retries: u32,
    pub(crate) selector: StringMap,
    /// Where its volume is, if it has one.
    pub(crate) volume: Option<Pin>,
    /// Whether the input becomes a file.
    pub(crate) stage_in: bool,
    /// The definition, without what is large or secret.
    pub(crate) service: Service,
}

impl Catalog {
    /// Reads the table.
    pub(crate) fn load(db: &Connection) -> Result<Self, StoreError> {
        let mut statement = db.prepare_cached(
            "SELECT name, revision, created_ms, unsealed('service/' || name, definition) FROM services",
        )?;
        let mut rows = statement.query([])?;
        let mut pins = crate::volumes::pins(db)?;
        let mut entries = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let name: String = row.get(0)?;
            match serde_json::from_str::<Service>(row.get_ref(3)?.as_str().unwrap_or_default()) {
                Ok(service) => {
                    let revision = u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0);
                    let mut entry = Entry::new(&name, revision, row.get(2)?, &service);
                    entry.volume = pins.remove(&name);
                    entries.insert(name, Arc::new(entry));
                }
                Err(error) => {
                    warn!(service.name = %name, %error, "the stored definition cannot be read; its jobs wait");
                }
            }
        }
        Ok(Self { entries })
    }

    pub(crate) fn get(&self, service: &str) -> Option<&Arc<Entry>> {
        self.entries.get(service)
    }
}

impl Entry {
    pub(crate) fn new(name: &str, revision: u64, created_ms: i64, service: &Service) -> Self {
        let edge = service.edge.clone().unwrap_or_default();
        Self {
            name: name.to_owned(),
            revision,
            created_ms,
            owner: service.owner.clone(),
            resources: Resources {
                millicores: millicores(&service.cpu).unwrap_or(DEFAULT_MILLICORES),
                memory_bytes: bytes(&service.memory).unwrap_or(DEFAULT_MEMORY),
            },
            cap: Resources {
                millicores: millicores(&service.total_cpu).unwrap_or(u64::MAX),
                memory_bytes: bytes(&service.total_memory).unwrap_or(u64::MAX),
            },
            max_running: match service.synchronous.max_scale {
                0 => u64::MAX,
                bound => u64::from(bound),
            },
            min_scale: service.synchronous.min_scale,
            prefetch: service.image_prefetch,
            priority: edge.priority.unwrap_or(0),
            retries: edge.retries.unwrap_or(DEFAULT_RETRIES),
            selector: edge.node_selector,
            volume: None,
            stage_in: !service.file_stage_in,
            service: Service {
                script: String::new(),
                token: String::new(),
                environment: spillway_model::service::Environment::default(),
                ..service.clone()
            },
        }
    }

    /// Whether the node may run it: it has the labels, and the volume, if there is one.
    pub(crate) fn selects(&self, node: &Join) -> bool {
        has_labels(&node.labels, &self.selector)
            && self.volume.as_ref().is_none_or(|pin| pin.is_on(&node.node))
    }

    /// The same, wherever its volume is.
    pub(crate) fn selects_labels(&self, node: &Join) -> bool {
        has_labels(&node.labels, &self.selector)
    }
}

/// What a service asks of a node.
#[derive(Debug, Clone)]
pub(crate) struct Needs {
    pub(crate) resources: Resources,
    pub(crate) selector: StringMap,
}

impl Needs {
    /// Whether a node with these labels may run it.
    pub(crate) fn selects(&self, labels: &StringMap) -> bool {
        has_labels(labels, &self.selector)
    }
}

fn has_labels(labels: &StringMap, wanted: &StringMap) -> bool {
    wanted
        .iter()
        .all(|(key, value)| labels.get(key) == Some(value))
}

/// Nothing for what is empty or zero: neither can be meant.
fn millicores(text: &str) -> Option<u64> {
    text.parse::<Cpu>()
        .ok()
        .map(Cpu::millicores)
        .filter(|&amount| amount > 0)
}

fn bytes(text: &str) -> Option<u64> {
    text.parse::<Memory>()
        .ok()
        .map(Memory::bytes)
        .filter(|&amount| amount > 0)
}
