//! `GET /system/status`: nodes, jobs and objects in numbers.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use rusqlite::Connection;
use serde::Serialize;
use spillway_model::report::NodeReport;
use spillway_model::wire::link::Resources;

use super::answer::json;
use super::problem::Problem;
use super::{App, Here};
use crate::auth::Caller;
use crate::objects::buckets;

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
struct Status<'a> {
    cluster: Cluster,
    oscar: Oscar<'a>,
    minio: Objects,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = ClusterStatus))]
struct Cluster {
    nodes_count: usize,
    metrics: Metrics,
    nodes: Vec<Node>,
}

#[derive(Default, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = ClusterMetrics))]
struct Metrics {
    cpu: CpuMetrics,
    memory: MemoryMetrics,
    gpu: GpuMetrics,
}

/// All in thousandths of a core, whatever the names say; they are the reference's.
#[derive(Default, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[allow(clippy::struct_field_names)]
struct CpuMetrics {
    total_free_cores: u64,
    max_free_on_node_cores: u64,
    total_schedulable_cores: u64,
    /// The most that one node has.
    total_schedulable_on_node_cores: u64,
}

#[derive(Default, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[allow(clippy::struct_field_names)]
struct MemoryMetrics {
    total_free_bytes: u64,
    max_free_on_node_bytes: u64,
    total_schedulable_bytes: u64,
    max_schedulable_on_node_bytes: u64,
}

#[derive(Default, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
struct GpuMetrics {
    total_gpu: u64,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = NodeStatus))]
struct Node {
    name: String,
    cpu: NodeCpu,
    memory: NodeMemory,
    gpu: u64,
    is_interlink: bool,
    status: &'static str,
    conditions: Vec<Condition>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[allow(clippy::struct_field_names)]
struct NodeCpu {
    capacity_cores: u64,
    usage_cores: u64,
    request_cores: u64,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[allow(clippy::struct_field_names)]
struct NodeMemory {
    capacity_bytes: u64,
    usage_bytes: u64,
    request_bytes: u64,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = NodeCondition))]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: bool,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = OscarStatus))]
struct Oscar<'a> {
    deployment_name: &'a str,
    ready: bool,
    deployment: Deployment,
    jobs_count: i64,
    pods: Pods,
    oidc: Oidc<'a>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = ManagerDeployment))]
struct Deployment {
    available_replicas: u32,
    ready_replicas: u32,
    replicas: u32,
    creation_timestamp: String,
    strategy: &'static str,
    labels: BTreeMap<&'static str, &'static str>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
struct Pods {
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    states: Option<States>,
}

#[derive(Default, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = PodStates))]
#[serde(rename_all = "PascalCase")]
struct States {
    pending: i64,
    running: i64,
    succeeded: i64,
    failed: i64,
    unknown: i64,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = OidcStatus))]
struct Oidc<'a> {
    enabled: bool,
    issuers: &'a [String],
    groups: &'a [String],
}

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = ObjectsStatus))]
struct Objects {
    buckets_count: u64,
    total_objects: u64,
}

/// Shows the cluster in numbers.
#[cfg_attr(test, utoipa::path(get, path = "/system/status",
    responses(
        (status = 200, description = "Nodes, jobs and objects in numbers.", body = Status<'_>),
    ),
))]
pub(super) async fn show(State(app): Here, caller: Caller) -> Result<Response, Problem> {
    let nodes = app.queue.nodes().await;
    let (states, (buckets_count, total_objects)) = app
        .store
        .read(|db| Ok::<_, Problem>((states(db)?, buckets::count(db)?)))
        .await?;
    // Users learn of the machines, and of nobody else's work.
    let sees_jobs = caller.is_administrator();
    let (buckets_count, total_objects) = if caller.sees_system_logs() {
        (buckets_count, total_objects)
    } else {
        (0, 0)
    };
    let total = states.pending + states.running + states.succeeded + states.failed + states.unknown;
    json(&Status {
        cluster: Cluster {
            nodes_count: nodes.len(),
            metrics: metrics(&nodes),
            nodes: nodes.into_iter().map(Node::from).collect(),
        },
        oscar: Oscar {
            deployment_name: &app.settings.name,
            ready: true,
            deployment: deployment(&app),
            jobs_count: if sees_jobs { total } else { 0 },
            pods: Pods {
                total: sees_jobs.then_some(total),
                states: sees_jobs.then_some(states),
            },
            oidc: Oidc {
                enabled: app.settings.oidc.enabled,
                issuers: &app.settings.oidc.issuers,
                groups: &app.settings.oidc.groups,
            },
        },
        minio: Objects {
            buckets_count,
            total_objects,
        },
    })
}

/// The gateway as the one replica of the deployment that clients expect.
fn deployment(app: &App) -> Deployment {
    let started = jiff::Timestamp::from_second(app.started.as_second()).unwrap_or(app.started);
    Deployment {
        available_replicas: 1,
        ready_replicas: 1,
        replicas: 1,
        creation_timestamp: started.to_string(),
        strategy: "Recreate",
        labels: [("app", "oscar")].into(),
    }
}

fn states(db: &Connection) -> Result<States, rusqlite::Error> {
    let mut states = States::default();
    let mut query = db
        .prepare_cached("SELECT state, started_ms IS NOT NULL, count(*) FROM jobs GROUP BY 1, 2")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let (state, began, count): (String, bool, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        *match (state.as_str(), began) {
            ("queued", _) | ("leased", false) => &mut states.pending,
            ("leased", true) => &mut states.running,
            ("succeeded", _) => &mut states.succeeded,
            ("dead", _) => &mut states.failed,
            _ => &mut states.unknown,
        } += count;
    }
    Ok(states)
}

/// Sums and maxima over the nodes that take work.
fn metrics(nodes: &[NodeReport]) -> Metrics {
    let mut metrics = Metrics::default();
    for node in nodes.iter().filter(|node| node.ready) {
        let free = node.about.capacity.minus(node.heartbeat.usage);
        let schedulable = node.about.capacity.minus(node.leased);
        let (cpu, memory) = (&mut metrics.cpu, &mut metrics.memory);
        cpu.total_free_cores += free.millicores;
        cpu.max_free_on_node_cores = cpu.max_free_on_node_cores.max(free.millicores);
        cpu.total_schedulable_cores += schedulable.millicores;
        cpu.total_schedulable_on_node_cores = cpu
            .total_schedulable_on_node_cores
            .max(schedulable.millicores);
        memory.total_free_bytes += free.memory_bytes;
        memory.max_free_on_node_bytes = memory.max_free_on_node_bytes.max(free.memory_bytes);
        memory.total_schedulable_bytes += schedulable.memory_bytes;
        memory.max_schedulable_on_node_bytes = memory
            .max_schedulable_on_node_bytes
            .max(schedulable.memory_bytes);
    }
    metrics
}

impl From<NodeReport> for Node {
    fn from(node: NodeReport) -> Self {
        let (capacity, usage): (Resources, Resources) = (node.about.capacity, node.heartbeat.usage);
        let ready = Condition {
            kind: "Ready".to_owned(),
            status: node.ready,
        };
        // What the agent complains about is true as long as it says so.
        let complaints = node
            .heartbeat
            .conditions
            .into_iter()
            .map(|kind| Condition { kind, status: true });
        Self {
            name: node.about.node,
            cpu: NodeCpu {
                capacity_cores: capacity.millicores,
                usage_cores: usage.millicores,
                request_cores: node.leased.millicores,
            },
            memory: NodeMemory {
                capacity_bytes: capacity.memory_bytes,
                usage_bytes: usage.memory_bytes,
                request_bytes: node.leased.memory_bytes,
            },
            gpu: 0,
            is_interlink: false,
            status: if node.ready { "Ready" } else { "NotReady" },
            conditions: std::iter::once(ready).chain(complaints).collect(),
        }
    }
}
