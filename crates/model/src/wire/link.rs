//! Messages between agent and gateway: JSON over HTTP, always dialled by the agent, under [`PREFIX`].
//!
//! | request | body | answer |
//! | --- | --- | --- |
//! | `POST join` (bearer: join token) | [`Join`] | [`Joined`] |
//! | `POST poll` | [`Poll`] | [`PollAnswer`], held back until there is something to say |
//! | `POST heartbeat` | [`Heartbeat`] | [`HeartbeatAnswer`] |
//! | `GET services/{name}/{revision}` | – | [`ServiceDefinition`] |
//! | `GET jobs/{job}/{attempt}/input` | – | bytes of the input |
//! | `POST jobs/{job}/{attempt}/log?offset=N` | bytes of the live log | 204 |
//! | `POST jobs/{job}/{attempt}/blobs` | bytes of one output | [`StagedBlob`] |
//! | `POST jobs/{job}/{attempt}/complete` | [`Completion`] | 200 [`Completed`] |
//! | `POST volumes` | [`VolumesReport`] | [`VolumesAnswer`] |
//!
//! All but `join` carry the node token of [`Joined`] as bearer. A request that names an attempt which is no
//! longer this node's is answered 410: the agent drops that run and its results. 401 means: join again.

mod shown;
mod volumes;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::registry::RegistryLogin;
use crate::service::Service;

pub use volumes::{
    MountedVolume, VolumeIs, VolumeReport, VolumeShall, VolumesAnswer, VolumesReport, WantedVolume,
};

/// Path in front of every request of this protocol.
pub const PREFIX: &str = "/agent/v1";

/// Inputs up to this many bytes travel inside the lease, outputs inside the completion: no second round trip.
pub const INLINE_BYTES: u64 = 32 * 1024;

/// Largest [`Completion`] body a gateway accepts, in bytes: log and inline outputs, both encoded.
pub const MAX_COMPLETION: usize = 16 * 1024 * 1024;

/// What a node has or a container takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Thousandths of a CPU core.
    pub millicores: u64,
    /// Bytes of memory.
    pub memory_bytes: u64,
}

impl Resources {
    /// Whether `self` is enough for `wanted`.
    pub fn covers(self, wanted: Self) -> bool {
        self.millicores >= wanted.millicores && self.memory_bytes >= wanted.memory_bytes
    }

    /// What is left of `self` without `taken`; never below zero.
    #[must_use]
    pub fn minus(self, taken: Self) -> Self {
        Self {
            millicores: self.millicores.saturating_sub(taken.millicores),
            memory_bytes: self.memory_bytes.saturating_sub(taken.memory_bytes),
        }
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, more: Self) -> Self {
        Self {
            millicores: self.millicores.saturating_add(more.millicores),
            memory_bytes: self.memory_bytes.saturating_add(more.memory_bytes),
        }
    }
}

/// A node introduces itself. Leases that a former process of the same node held are void from here on, except
/// those in `running`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Join {
    /// Name of the node, unique in the cluster.
    pub node: String,
    /// As Docker says it: `arm64`, `amd64`, `arm`.
    pub architecture: String,
    /// Version of the agent.
    pub version: String,
    /// What the node can give to containers.
    pub capacity: Resources,
    /// For `edge.node_selector`.
    pub labels: BTreeMap<String, String>,
    /// The container engine.
    pub engine: Engine,
    /// Attempts that this process still carries out (it lost the gateway, not its work).
    pub running: Vec<Attempt>,
}

/// The container engine of a node, as the probe at start found it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Engine {
    /// Version, such as `20.10.24`.
    pub version: String,
    /// Whether memory limits work; Raspberry Pi OS ships with the controller off.
    pub memory_limits: bool,
    /// Median milliseconds of a cold container start with the recipe in use; absent while unknown.
    pub cold_start_ms: Option<f64>,
    /// Which start recipe is in use: `joined` or `default`.
    pub recipe: String,
}

/// Welcome to the cluster.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// Bearer for all other requests.
    pub token: String,
    /// A lease lapses this many milliseconds after the last heartbeat that named it.
    pub lease_ms: u64,
    /// Send a heartbeat at least this often, in milliseconds.
    pub heartbeat_ms: u64,
}

/// "Give me work."
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Poll {
    /// What all leases of this node together may take; the gateway subtracts those it has granted.
    pub capacity: Resources,
    /// At most so many leases in this answer.
    pub max_leases: u32,
    /// How long the gateway may hold the answer back, in milliseconds.
    pub wait_ms: u64,
    /// Idle warm containers by service, a hint for placement.
    pub warm: BTreeMap<String, u32>,
    /// [`Wanted::version`] that the agent has carried out; 0 for none.
    pub wanted_version: u64,
}

/// What the gateway has to say to a polling agent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PollAnswer {
    /// Work, granted to this node from now on.
    pub leases: Vec<Lease>,
    /// Attempts to kill and forget: their job was deleted.
    pub cancelled: Vec<Attempt>,
    /// The services this node shall know, when they differ from [`Poll::wanted_version`].
    pub wanted: Option<Wanted>,
}

/// What this node shall keep ready.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Wanted {
    /// Grows with each change.
    pub version: u64,
    /// Every service that may run here. Containers of services not listed are removed.
    pub services: Vec<WantedService>,
}

/// One service of [`Wanted`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedService {
    /// Name of the service.
    pub name: String,
    /// Its current revision; containers of older ones are replaced.
    pub revision: u64,
    /// Warm containers to keep on this node (`synchronous.min_scale`, shared out between nodes).
    pub warm: u32,
    /// Pull the image before the first job asks for it.
    pub prefetch: bool,
}

/// One attempt of one job.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Attempt {
    /// Name of the job, `<service>-<uuid>`.
    pub job: String,
    /// Number of the attempt, from 1; only the newest may publish.
    pub attempt: u32,
}

/// The right and duty to run one attempt.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Which attempt.
    #[serde(flatten)]
    pub attempt: Attempt,
    /// Service to run, and the revision to run it at.
    pub service: String,
    /// See [`ServiceDefinition::revision`].
    pub revision: u64,
    /// What the container takes.
    pub resources: Resources,
    /// Variables of this job beside the service's own: `STORAGE_OBJECT_KEY`, `EVENT_TIME`, `CONT_VAR_*` …
    pub environment: BTreeMap<String, String>,
    /// The event's text: the script's standard input, and `EVENT` where it fits an environment string.
    pub event: String,
    /// The file to stage in; absent with `file_stage_in: true`.
    pub input: Option<InputFile>,
}

/// The file that becomes `INPUT_FILE_PATH`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputFile {
    /// File name, without folders.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
    /// The content in base64, when it is at most [`INLINE_BYTES`]; else it is fetched.
    pub inline: Option<String>,
}

/// What an agent needs to run a service.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceDefinition {
    /// Raised by each update; a container serves exactly one revision.
    pub revision: u64,
    /// The definition, script included.
    pub service: Service,
    /// Values of `environment.secrets`.
    pub secrets: BTreeMap<String, String>,
    /// Logins that `image_pull_secrets` names, for pulls. Kept in memory only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub registries: Vec<RegistryLogin>,
    /// The managed volume, on the nodes that have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<MountedVolume>,
}

/// "I am alive, and these are mine."
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// All attempts in progress on this node.
    pub running: Vec<Attempt>,
    /// Measured load of the node.
    pub usage: Resources,
    /// Free bytes on the agent's data disk.
    pub disk_free_bytes: u64,
    /// False while the container engine does not answer.
    pub engine_ready: bool,
    /// Words on what is wrong, for `/system/status`.
    pub conditions: Vec<String>,
    /// Image pulls in progress, for the CLI's progress bars.
    pub pulls: Vec<Pull>,
}

/// One image pull in progress.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pull {
    /// Image reference.
    pub image: String,
    /// Bytes that have arrived.
    pub current_bytes: u64,
    /// Bytes known so far to be needed.
    pub total_bytes: u64,
}

/// Answer to a heartbeat.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeartbeatAnswer {
    /// Attempts that are no longer this node's: kill and forget them.
    pub lost: Vec<Attempt>,
}

/// An output that is safe at the gateway but not visible yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedBlob {
    /// To be named in [`OutputContent::Staged`].
    pub id: String,
    /// Size in bytes.
    pub size: u64,
    /// MD5 in hexadecimal.
    pub etag: String,
}

/// The end of an attempt: log, outputs and state become visible in one transaction.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Completion {
    /// How it ended.
    pub outcome: Outcome,
    /// When the script's process began, if it did.
    pub started_at: Option<Timestamp>,
    /// When the script ended, or the attempt failed.
    pub finished_at: Timestamp,
    /// What it took.
    pub usage: Usage,
    /// Where the time went.
    pub spans: Spans,
    /// The whole log: lines of `<RFC 3339 time with nanoseconds> <text>`.
    pub log: String,
    /// Files to publish; empty unless the outcome is a success.
    pub outputs: Vec<Output>,
}

/// The completion is durable.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completed {}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Outcome {
    /// The script exited with 0 and its outputs are here.
    Succeeded,
    /// The attempt failed by the service's or the input's doing: counts against `retries`.
    Failed {
        /// What kind of failure.
        reason: FailureReason,
        /// A sentence for the user.
        message: String,
    },
    /// The node could not carry it out (engine away, agent stopping): the job goes back to the queue at once and
    /// its retries are not touched.
    Interrupted {
        /// A sentence for the user.
        message: String,
    },
}

/// Kinds of failure that a user can tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureReason {
    /// Non-zero exit code.
    ExitCode,
    /// Ended by a signal.
    Signal,
    /// The kernel killed it for exceeding its memory limit.
    OutOfMemory,
    /// It ran longer than its time limit.
    TimedOut,
    /// The image is not there and cannot be pulled.
    ImageMissing,
    /// The container could not be made or started: no shell, bad device …
    ContainerStart,
    /// The input could not be fetched.
    StageIn,
    /// The outputs could not be collected or uploaded.
    StageOut,
}

/// Resources one run took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// CPU time, user and kernel, in microseconds.
    pub cpu_us: u64,
    /// Peak memory of the container in bytes; 0 when the kernel does not tell.
    pub peak_memory_bytes: u64,
    /// Bytes staged in.
    pub input_bytes: u64,
    /// Bytes staged out.
    pub output_bytes: u64,
}

/// Where the time of an attempt went on its node, each in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spans {
    /// Waiting for, pulling the image of and starting a container; near 0 when one was warm.
    pub container_us: u64,
    /// Fetching the input.
    pub stage_in_us: u64,
    /// The script.
    pub run_us: u64,
    /// Collecting and uploading the outputs.
    pub stage_out_us: u64,
    /// Whether an idle container was reused.
    pub warm: bool,
}

/// One file to publish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// `<type>.<id>` of a provider elsewhere, to which the gateway delivers; empty for the built-in store.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub provider: String,
    /// Bucket; empty where the provider has none.
    pub bucket: String,
    /// Key in the bucket, or path of the file.
    pub key: String,
    /// Guessed from the name; `application/octet-stream` when in doubt.
    pub content_type: String,
    /// The bytes.
    pub content: OutputContent,
}

/// Where the bytes of an output are.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputContent {
    /// Base64, at most [`INLINE_BYTES`] decoded.
    Inline(String),
    /// [`StagedBlob::id`]; several outputs may name one blob.
    Staged(String),
}
