//! The Service object: what OSCAR's API sends and returns and what each entry of an FDL file holds, plus the
//! edge extensions (`edge`, storage providers `mqtt` and `file`).
//!
//! Serialising gives the canonical JSON of the API: members in the documented order, `[]` and `{}` rather than
//! null, absent where the reference says so. Deserialising with serde reads that canonical form back.

pub(crate) mod decode;
mod error;
mod normalise;
mod running;
mod secrets;
mod shown;
mod storage;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use decode::Decoded;
pub use error::{SpecError, Warning};
pub use normalise::{DEFAULT_CPU, DEFAULT_MEMORY, LEAST_MEMORY, LONGEST_NAME};
pub use secrets::HIDDEN;
pub use storage::{DEFAULT_PROVIDER, PROVIDER_TYPES, split_provider};

/// Map of strings with a stable order.
pub type StringMap = BTreeMap<String, String>;

/// A service.
#[allow(clippy::struct_excessive_bools)] // OSCAR's shape, not ours.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Service {
    /// 1 to 39 characters, a DNS label; unique in the cluster.
    pub name: String,
    /// Key of the FDL entry it came from.
    pub cluster_id: String,
    /// Kubernetes quantity: memory limit of one container.
    pub memory: String,
    /// Kubernetes quantity: CPU limit of one container.
    pub cpu: String,
    /// Quantity; cap on the memory of all running jobs of the service together. Empty: none.
    pub total_memory: String,
    /// Quantity; the same for CPU.
    pub total_cpu: String,
    /// Quantity; scratch space a container asks for.
    pub ephemeral_storage_request: String,
    pub enable_gpu: bool,
    pub enable_sgx: bool,
    /// Pull the image on all nodes when the service is created.
    pub image_prefetch: bool,
    pub synchronous: Synchronous,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub federation: Option<Federation>,
    /// `NOTSET`, `DEBUG`, `INFO`, `WARNING`, `ERROR` or `CRITICAL`.
    pub log_level: String,
    /// Container image reference.
    pub image: String,
    /// OSCAR's switch to a musl supervisor; accepted, meaningless here.
    pub alpine: bool,
    /// 64 hexadecimal digits that authorise `/job` and `/run`.
    pub token: String,
    /// True means: do *not* stage the input file in.
    pub file_stage_in: bool,
    pub input: Vec<StorageIo>,
    pub output: Vec<StorageIo>,
    /// The text of the script that `/bin/sh` runs.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub script: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub image_pull_secrets: Vec<String>,
    pub expose: Expose,
    pub environment: Environment,
    pub annotations: StringMap,
    pub vo: String,
    pub labels: StringMap,
    pub storage_providers: StorageProviders,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub clusters: BTreeMap<String, Cluster>,
    pub owner: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    pub interlink_node_name: String,
    /// `private`, `restricted` or `public`.
    pub visibility: String,
    pub allowed_users: Vec<String>,
    /// Empty, `SERVICE` or `USER`.
    pub isolation_level: String,
    pub bucket_list: Vec<String>,
    pub mount: StorageIo,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<Volume>,
    pub volume_status: VolumeStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kserve: Option<serde_json::Value>,
    /// Spillway's own settings; absent when none was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edge: Option<Edge>,
}

/// Warm containers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Synchronous {
    pub min_scale: u32,
    /// 0 means no bound.
    pub max_scale: u32,
}

/// One input, one output, or the mount.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StorageIo {
    /// `<type>` or `<type>.<id>`, as written.
    pub storage_provider: String,
    /// Bucket and folder, folder, or topic (filter), by type.
    pub path: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub suffix: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prefix: Vec<String>,
    /// Extra flags of the mount tool.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub options: String,
}

/// A long-running web service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Expose {
    pub min_scale: u32,
    pub max_scale: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub api_port: Vec<u16>,
    /// Percent.
    pub cpu_threshold: u32,
    pub rewrite_target: bool,
    #[serde(rename = "nodePort", skip_serializing_if = "Vec::is_empty")]
    pub node_port: Vec<u16>,
    pub default_command: bool,
    pub set_auth: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub auth_type: String,
    pub health_path: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub probe_mode: String,
}

/// Variables and secrets of the container.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Environment {
    pub variables: StringMap,
    /// Values are blank in everything the API returns.
    pub secrets: StringMap,
}

/// Storage providers by type, then id. Types are absent when empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StorageProviders {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub s3: BTreeMap<String, S3Provider>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub minio: BTreeMap<String, MinioProvider>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub onedata: BTreeMap<String, OnedataProvider>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub webdav: BTreeMap<String, WebdavProvider>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rucio: BTreeMap<String, RucioProvider>,
    /// Edge extension: MQTT brokers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub mqtt: BTreeMap<String, MqttProvider>,
    /// Edge extension: folders on the nodes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub file: BTreeMap<String, FileProvider>,
}

/// AWS S3.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct S3Provider {
    pub access_key: String,
    pub secret_key: String,
    pub region: String,
}

/// `MinIO` or anything that speaks S3.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MinioProvider {
    pub endpoint: String,
    /// Verify the endpoint's certificate.
    pub verify: bool,
    pub access_key: String,
    pub secret_key: String,
    pub region: String,
}

/// Onedata.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OnedataProvider {
    pub oneprovider_host: String,
    pub token: String,
    pub space: String,
}

/// `WebDAV` and dCache.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WebdavProvider {
    pub hostname: String,
    pub login: String,
    pub password: String,
}

/// Rucio.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RucioProvider {
    pub host: String,
    pub account: String,
    pub rse: String,
    pub refresh_token: String,
    pub auth_host: String,
    pub oidc_audience: String,
    pub token_endpoint: String,
}

/// Edge extension: an MQTT broker.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MqttProvider {
    /// `mqtt://host:1883` or `mqtts://host:8883`.
    pub broker: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub username: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub password: String,
}

/// Edge extension: a folder on the nodes that match the service's `edge.node_selector`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FileProvider {
    /// Absolute path on the node.
    pub root: String,
}

/// Another OSCAR cluster.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cluster {
    pub endpoint: String,
    pub auth_user: String,
    pub auth_password: String,
    pub ssl_verify: bool,
}

/// Where work may go besides this cluster.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Federation {
    pub group_id: String,
    /// `none`, `star` or `mesh`.
    pub topology: String,
    /// `static`, `random`, `load-based` or `topsis`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub delegation: String,
    /// Seconds a job may stay pending; 0 for the server's default.
    #[serde(skip_serializing_if = "is_zero")]
    pub rescheduler_threshold: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<Replica>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // The signature serde asks for.
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// One member of a federation.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Replica {
    /// `oscar` or `endpoint`.
    #[serde(rename = "type")]
    pub kind: String,
    pub cluster_id: String,
    pub service_name: String,
    pub url: String,
    pub ssl_verify: bool,
    /// 0 is the first choice.
    pub priority: u32,
    pub headers: StringMap,
}

/// A managed volume.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Volume {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub size: String,
    pub mount_path: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub lifecycle_policy: String,
}

/// State of the managed volume.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VolumeStatus {
    pub enabled: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub phase: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub error: String,
}

/// Edge extension: how the service runs on small nodes. Absent members take the documented defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Edge {
    /// Labels a node must have.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: StringMap,
    /// Host devices given to the container, `/dev/…`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<String>,
    /// Higher first; 0 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// From event to result, a duration such as `5s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<String>,
    /// One run of the script, a duration; [`DEFAULT_TIMEOUT_SECONDS`] when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// Further attempts after a failure; [`DEFAULT_RETRIES`] when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// Reuse warm containers; true when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reuse: Option<bool>,
    /// `auto`, `never` or `always`; `auto` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offload: Option<String>,
    /// What happens to a dropped input file: `keep`, `delete` or `move:<folder>`; `keep` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Root file system of the container read-only; false when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
    /// `default` (the node's network, outgoing) or `none`; `default` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
}

/// Further attempts after a failed one.
pub const DEFAULT_RETRIES: u32 = 3;

/// Longest run of a script unless the service says otherwise: one hour. OSCAR has no limit; a hung script on a
/// small node would hold its memory for ever.
pub const DEFAULT_TIMEOUT_SECONDS: u64 = 3600;
