//! Figure 6: what gateway and agent cost while nothing happens, with twenty services deployed.

use anyhow::{Context, Result};
use spillway_testkit::{Activity, Memory, ServiceSpec};

use crate::flash::Disk;
use crate::report::{Bound, Row};
use crate::samples::Samples;
use crate::stage::Stage;

const SERVICES: usize = 20;
const MEBI: f64 = 1024.0 * 1024.0;
/// For what services and start-up stirred up to settle.
const SETTLE: std::time::Duration = std::time::Duration::from_secs(10);

pub(crate) async fn measure(stage: &mut Stage) -> Result<Vec<Row>> {
    for number in 0..SERVICES {
        stage
            .cluster
            .apply(&ServiceSpec::new(&format!("bench-idle-{number}"), "true"))
            .await?;
    }
    // They have worked before they rest.
    stage.cluster.put("bench-idle-0/in/x", "x").await?;
    stage.cluster.wait_for_jobs("bench-idle-0", 1).await?;
    tokio::time::sleep(SETTLE).await;
    let dockerd = pid_of("dockerd").context("no dockerd to compare with")?;
    let disk = Disk::of(stage.scratch.path())?;
    let before = (counters(stage)?, disk.read()?);
    tokio::time::sleep(stage.idle).await;
    let after = (counters(stage)?, disk.read()?);
    let seconds = stage.idle.as_secs_f64();
    let mut rows = Vec::new();
    let floor = Memory::of(dockerd)?;
    for (place, (name, process)) in [
        ("agent", &stage.cluster.agents[0]),
        ("gateway", &stage.cluster.gateway),
    ]
    .into_iter()
    .enumerate()
    {
        let memory = process.memory()?;
        let (cpu, wakeups) = after.0[place].since(&before.0[place]);
        #[allow(clippy::cast_precision_loss)] // A count of wake-ups.
        let (cpu, wakeups) = (cpu.as_secs_f64(), wakeups as f64);
        let limit = if name == "agent" {
            (8.0, 4.0)
        } else {
            (12.0, 12.0)
        };
        let row = |id: &str, what: &str, unit, value| {
            Row::new(
                &format!("6.idle.{name}.{id}"),
                6,
                &format!("{name}, idle: {what}"),
                unit,
                &Samples::one(value),
            )
        };
        rows.push(
            row(
                "pss",
                "proportional memory",
                "MiB",
                mib(memory.proportional),
            )
            .against("dockerd", &Samples::one(mib(floor.proportional)))
            .aiming_at(Bound::AtMost(limit.0), Some(Bound::AtMost(limit.1))),
        );
        rows.push(
            row("rss", "resident memory", "MiB", mib(memory.resident))
                .against("dockerd", &Samples::one(mib(floor.resident))),
        );
        rows.push(
            row("cpu", "CPU", "% of a core", cpu / seconds * 100.0)
                .aiming_at(Bound::AtMost(0.1), Some(Bound::AtMost(0.02))),
        );
        rows.push(
            row("wakeups", "wake-ups", "/s", wakeups / seconds)
                .aiming_at(Bound::AtMost(5.0), Some(Bound::AtMost(1.0))),
        );
    }
    let minutes = seconds / 60.0;
    let written = after.1.minus(before.1);
    rows.push(
        Row::new(
            "8.idle.bytes",
            8,
            "written to the disk per idle minute, whole machine",
            "KiB",
            &Samples::one(written.kib / minutes),
        )
        .dreaming_of(Bound::AtMost(64.0 / 60.0)),
    );
    rows.push(Row::new(
        "8.idle.flushes",
        8,
        "cache flushes per idle minute, whole machine",
        "",
        &Samples::one(written.flushes / minutes),
    ));
    for number in 0..SERVICES {
        stage
            .cluster
            .delete_service(&format!("bench-idle-{number}"))
            .await?;
    }
    Ok(rows)
}

/// What agent and gateway have done so far.
fn counters(stage: &Stage) -> Result<[Activity; 2]> {
    Ok([
        stage.cluster.agents[0].activity()?,
        stage.cluster.gateway.activity()?,
    ])
}

fn pid_of(name: &str) -> Option<u32> {
    std::fs::read_dir("/proc")
        .ok()?
        .flatten()
        .find_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let comm = std::fs::read_to_string(entry.path().join("comm")).ok()?;
            (comm.trim() == name).then_some(pid)
        })
}

#[allow(clippy::cast_precision_loss)] // Memory sizes are far below 2^52.
fn mib(bytes: u64) -> f64 {
    bytes as f64 / MEBI
}
