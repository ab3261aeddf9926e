//! Containers: a pool of them per service, each with our supervisor as process 1, serving one run after another.
//!
//! Owner of this module: the runtime. Others use what is public here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use spillway_model::wire::link::{
    Engine, FailureReason, Pull, Resources, ServiceDefinition, VolumeReport, WantedService,
    WantedVolume,
};
use spillway_model::wire::supervisor::{Exited, Invocation};
use tokio::sync::mpsc;

use self::core::Core;
use self::engine::EngineClient;
use self::folders::Folders;
use self::keep::Wish;
use self::member::Held;
use self::probe::{Probe, Recipe};

pub(crate) use self::volumes::Measured;

mod adopt;
mod cgroup;
mod channel;
mod container;
mod core;
mod engine;
mod folders;
mod holder;
mod image;
mod keep;
mod labels;
mod member;
mod plan;
mod pool;
mod probe;
mod process;
mod volumes;

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
pub struct Runtime {
    core: Arc<Core>,
    engine: Engine,
    recipe: Recipe,
}

/// A container that is held for one run. Dropped without [`Member::release`], the container is removed.
#[derive(Debug)]
pub struct Member {
    held: Held,
}

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
    pub async fn start(mut settings: RuntimeSettings) -> anyhow::Result<Self> {
        tokio::fs::create_dir_all(&settings.data)
            .await
            .with_context(|| format!("creating the data folder {}", settings.data.display()))?;
        // The engine takes absolute paths only.
        settings.data = tokio::fs::canonicalize(&settings.data).await?;
        let folders = Folders::prepare(&settings.data, &settings.supervisor)
            .with_context(|| format!("copying the supervisor {}", settings.supervisor.display()))?;
        let client = Arc::new(EngineClient::connect(&settings.docker).await);
        let facts = client.facts().await?;
        let core = Arc::new(Core::new(settings, client, folders));
        adopt::adopt(&core).await?;
        core.clean_folders(Vec::new())
            .await
            .context("removing folders of a former process")?;
        holder::remove_old_images(&core).await;
        let holder_image = holder::image_name(&core.folders);
        if !core.images.is_present(&core.engine, &holder_image).await? {
            holder::import_image(&core).await?;
        }
        let probe = Probe::of(&core, &facts).await;
        let engine = Engine {
            version: facts.version,
            memory_limits: facts.memory_limits,
            cold_start_ms: probe.cold_start_ms(),
            recipe: probe.recipe.name().into(),
        };
        core.tasks
            .spawn(keep::keep(Arc::clone(&core), probe.recipe));
        let watched = Arc::clone(&core);
        core.tasks.spawn(async move {
            watched
                .engine
                .watch(&watched.stop, |is_back| watched.engine_changed(is_back))
                .await;
        });
        Ok(Self {
            core,
            engine,
            recipe: probe.recipe,
        })
    }

    /// What the probe found.
    pub fn engine(&self) -> Engine {
        self.engine.clone()
    }

    /// Whether the engine answers at the moment.
    pub fn ready(&self) -> bool {
        self.core.engine.is_ready()
    }

    /// A container of this service and revision: an idle one, or a new one, evicting idle ones of others if their
    /// memory is needed and pulling the image if it is missing.
    pub async fn claim(&self, service: &Arc<ServiceDefinition>) -> Result<Member, ClaimError> {
        let plan = self.core.plan(service)?;
        let held = member::claim(&self.core, plan, self.recipe).await?;
        Ok(Member { held })
    }

    /// What shall be kept warm and prefetched; containers of services not listed, or of other revisions, go as
    /// soon as they are idle.
    pub fn keep(&self, wanted: Vec<(WantedService, Option<Arc<ServiceDefinition>>)>) {
        let wishes = wanted
            .into_iter()
            .map(|(wanted, definition)| Wish { wanted, definition });
        keep::note(&self.core, wishes.collect());
    }

    /// Makes and removes volumes as they shall be; says how they are then. What is not known is left out.
    pub(crate) async fn keep_volumes(
        &self,
        wanted: &[WantedVolume],
        measured: &mut Measured,
    ) -> Vec<VolumeReport> {
        volumes::carry_out(&self.core, wanted, measured).await
    }

    /// Idle warm containers by service.
    pub fn warm(&self) -> BTreeMap<String, u32> {
        self.core.pool().warm_counts()
    }

    /// Image pulls in progress.
    pub fn pulls(&self) -> Vec<Pull> {
        self.core.images.pulls()
    }

    /// Removes idle containers and holders; for a clean stop. Containers in use are killed and removed too.
    pub async fn stop(&self) {
        self.core.shut_down().await;
    }
}

impl Member {
    /// Whether it was idle before it was claimed.
    pub fn was_warm(&self) -> bool {
        self.held.warm
    }

    /// Folder on the host that the container sees as [`Member::inside`].
    pub fn folder(&self) -> &Path {
        self.held.folder()
    }

    /// The container's name for a path below [`Member::folder`].
    #[allow(clippy::unused_self)] // Which container is none of the caller's concern.
    pub fn inside(&self, relative: &str) -> String {
        Held::inside(relative)
    }

    /// Runs the script once. Output pieces go to `output` as they come. Dropping the future kills the run.
    /// An error means that container or engine went away under the run.
    pub async fn run(
        &mut self,
        invocation: &Invocation,
        output: mpsc::Sender<Output>,
    ) -> Result<RunEnd, ClaimError> {
        self.held.run(invocation, output).await
    }

    /// Back to the pool, or away with it where the service says `reuse: false`, the revision is old, or the run
    /// left it in doubt. The folder's content must have been taken out.
    #[allow(clippy::unused_async)] // Callers await it: part of the contract.
    pub async fn release(self) {
        self.held.release();
    }
}
