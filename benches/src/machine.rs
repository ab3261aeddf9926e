//! The machine, as a row of its own.

use anyhow::Result;
use serde_json::{Value, json};
use spillway_testkit::Engine;

pub(crate) async fn describe() -> Result<Value> {
    let engine = Engine::connect().await?;
    let version = engine.docker().version().await?;
    let info = engine.docker().info().await?;
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .unwrap_or("\t: unknown");
    Ok(json!({
        "id": "machine",
        "cpu": model.trim_start_matches(['\t', ' ', ':']),
        "cores": std::thread::available_parallelism()?.get(),
        "memory_bytes": info.mem_total,
        "kernel": info.kernel_version,
        "architecture": info.architecture,
        "docker": version.version,
        "storage_driver": info.driver,
        "cgroup": info.cgroup_version,
        "load_1m": std::fs::read_to_string("/proc/loadavg")?.split(' ').next(),
    }))
}
