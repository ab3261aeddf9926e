//! `status`.

use serde::Serialize;
use serde_json::Value;
use spillway_model::report::NodeReport;

use super::Context;
use crate::screen::{Format, Rows, units};

/// What `status` tells.
#[derive(Debug, Serialize)]
struct Status {
    cluster: String,
    endpoint: String,
    jobs: Value,
    store: Value,
    nodes: Vec<NodeReport>,
}

pub(crate) async fn run(context: &Context<'_>) -> anyhow::Result<()> {
    let client = context.client()?;
    let (nodes, numbers) = tokio::try_join!(client.nodes(), client.status())?;
    let status = Status {
        cluster: client.name().to_owned(),
        endpoint: client.cluster().endpoint.clone(),
        jobs: numbers
            .pointer("/oscar/pods/states")
            .cloned()
            .unwrap_or_default(),
        store: numbers.get("minio").cloned().unwrap_or_default(),
        nodes,
    };
    if context.screen.format() != Format::Table || context.screen.quiet() {
        return context.screen.show(&status, || table(&status.nodes));
    }
    let number = |value: &Value, name: &str| value.get(name).and_then(Value::as_u64).unwrap_or(0);
    context.screen.text(&format!(
        "Cluster {} at {}\nJobs    {} pending, {} running, {} succeeded, {} failed\nStore   {} objects in {} buckets\n\n",
        status.cluster,
        status.endpoint,
        number(&status.jobs, "Pending"),
        number(&status.jobs, "Running"),
        number(&status.jobs, "Succeeded"),
        number(&status.jobs, "Failed"),
        number(&status.store, "total_objects"),
        number(&status.store, "buckets_count"),
    ))?;
    context.screen.show(&(), || table(&status.nodes))?;
    conditions(context, &status.nodes);
    pulls(context, &status.nodes)
}

fn table(nodes: &[NodeReport]) -> Rows {
    let mut rows = Rows::new(
        &[
            "NODE",
            "STATE",
            "ARCH",
            "CPU USED/ALL",
            "MEMORY USED/ALL",
            "RUNNING",
            "COLD START",
            "DISK FREE",
            "AGENT",
        ],
        "No node has joined yet. Start an agent with: spillway-agent --gateway URL --join-token TOKEN",
    );
    for node in nodes {
        let about = &node.about;
        let state = match (node.ready, node.heartbeat.engine_ready) {
            (true, true) => "ready",
            (true, false) => "no engine",
            (false, _) => "away",
        };
        let cold = about
            .engine
            .cold_start_ms
            .map_or_else(|| "-".into(), |ms| format!("{ms:.0} ms"));
        rows.row([
            about.node.clone(),
            state.into(),
            about.architecture.clone(),
            format!(
                "{}/{}",
                units::cores(node.leased.millicores),
                units::cores(about.capacity.millicores)
            ),
            format!(
                "{}/{}",
                units::bytes(node.leased.memory_bytes),
                units::bytes(about.capacity.memory_bytes)
            ),
            node.running.len().to_string(),
            cold,
            units::bytes(node.heartbeat.disk_free_bytes),
            about.version.clone(),
        ]);
    }
    rows
}

fn conditions(context: &Context<'_>, nodes: &[NodeReport]) {
    for node in nodes {
        if !node.about.engine.memory_limits && !node.about.engine.version.is_empty() {
            context.screen.warn(format!(
                "{}: the kernel's memory controller is off, so memory limits are not enforced",
                node.about.node
            ));
        }
        for condition in &node.heartbeat.conditions {
            context
                .screen
                .warn(format!("{}: {condition}", node.about.node));
        }
    }
}

fn pulls(context: &Context<'_>, nodes: &[NodeReport]) -> anyhow::Result<()> {
    if nodes.iter().all(|node| node.heartbeat.pulls.is_empty()) {
        return Ok(());
    }
    context.screen.text("\n")?;
    context.screen.show(&(), || {
        let mut rows = Rows::new(&["PULLING", "NODE", "ARRIVED"], "");
        for node in nodes {
            for pull in &node.heartbeat.pulls {
                let arrived = format!(
                    "{} of {}",
                    units::bytes(pull.current_bytes),
                    units::bytes(pull.total_bytes)
                );
                rows.row([pull.image.clone(), node.about.node.clone(), arrived]);
            }
        }
        rows
    })
}
