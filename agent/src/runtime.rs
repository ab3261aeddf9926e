//! Containers: a pool of them per service, each with our supervisor as process 1, serving one run after another.
//!
//! Owner of this module: the runtime. Others use what is public here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use spillway_model::wire::link::{
    Engine, FailureReason, Pull, Resources, ServiceDefinition, WantedService,
};
use spillway_model::wire::supervisor::{Exited, Invocation};
use tokio::sync::mpsc;

/// Settings of the runtime.
#[derive(Debug, Clone)]
pub struct RuntimeSettings {
    /// Engine's address, such as `unix:///var/run/docker.sock`.
    pub docker: String,
    /// The agent's data folder; the runtime keeps `services/`, `members/` and `engine.json` in it.
    pub data: PathBuf,
    /// The static supervisor binary.
    pub supervisor: PathBuf,
    /// Node name: `RESOURCE_ID`, label and part of container names.
    pub node: String,
    /// Random, kept in the data folder: containers labelled with it are ours, whatever the node is called.
    pub identity: String,
    /// More labels on everything that is created.
    pub labels: BTreeMap<String, String>,
    /// What all containers together may take.
    pub capacity: Resources,
    /// An idle container above `min_scale` is removed after so long.
    pub idle: Duration,
}

/// Clonable handle.
#[derive(Debug, Clone)]
pub struct Runtime {}

/// A container that is held for one run. Dropped without [`Member::release`], the container is removed.
#[derive(Debug)]
pub struct Member {}

/// Why there is no container.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// The service's or image's doing: counts against its retries.
    #[error("{message}")]
    Failed {
        reason: FailureReason,
        message: String,
    },
    /// The engine's or node's doing.
    #[error("{0}")]
    Interrupted(String),
}

/// A piece of what the script writes.
#[derive(Debug, Clone)]
pub struct Output {
    pub stderr: bool,
    pub bytes: Bytes,
}

/// How a run ended, as seen from outside the container.
#[derive(Debug, Clone, Default)]
pub struct RunEnd {
    /// What the supervisor said.
    pub exited: Exited,
    /// The kernel killed something in the container for want of memory.
    pub out_of_memory: bool,
    /// Peak memory of the container during this run in bytes; 0 when unknown.
    pub peak_memory_bytes: u64,
}

impl Runtime {
    /// Connects to the engine (waiting for it if it is away), probes it, adopts idle containers of a former
    /// process and removes all other leftovers of ours.
    pub async fn start(_settings: RuntimeSettings) -> anyhow::Result<Self> {
        todo!()
    }

    /// What the probe found.
    pub fn engine(&self) -> Engine {
        todo!()
    }

    /// Whether the engine answers at the moment.
    pub fn ready(&self) -> bool {
        todo!()
    }

    /// A container of this service and revision: an idle one, or a new one, evicting idle ones of others if their
    /// memory is needed and pulling the image if it is missing.
    pub async fn claim(&self, _service: &Arc<ServiceDefinition>) -> Result<Member, ClaimError> {
        todo!()
    }

    /// What shall be kept warm and prefetched; containers of services not listed, or of other revisions, go as
    /// soon as they are idle.
    pub fn keep(&self, _wanted: Vec<(WantedService, Option<Arc<ServiceDefinition>>)>) {
        todo!()
    }

    /// Idle warm containers by service.
    pub fn warm(&self) -> BTreeMap<String, u32> {
        todo!()
    }

    /// Image pulls in progress.
    pub fn pulls(&self) -> Vec<Pull> {
        todo!()
    }

    /// Removes idle containers and holders; for a clean stop. Containers in use are killed and removed too.
    pub async fn stop(&self) {
        todo!()
    }
}

impl Member {
    /// Whether it was idle before it was claimed.
    pub fn was_warm(&self) -> bool {
        todo!()
    }

    /// Folder on the host that the container sees as [`Member::inside`].
    pub fn folder(&self) -> &Path {
        todo!()
    }

    /// The container's name for a path below [`Member::folder`].
    pub fn inside(&self, _relative: &str) -> String {
        todo!()
    }

    /// Runs the script once. Output pieces go to `output` as they come. Dropping the future kills the run.
    /// An error means that container or engine went away under the run.
    pub async fn run(
        &mut self,
        _invocation: &Invocation,
        _output: mpsc::Sender<Output>,
    ) -> Result<RunEnd, ClaimError> {
        todo!()
    }

    /// Back to the pool, or away with it where the service says `reuse: false`, the revision is old, or the run
    /// left it in doubt. The folder's content must have been taken out.
    pub async fn release(self) {
        todo!()
    }
}
