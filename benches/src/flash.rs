//! Figure 8: bytes and cache flushes per job: what wears out an SD card.

use std::path::Path;

use anyhow::{Context, Result};
use futures::StreamExt;
use spillway_testkit::{PATIENCE, ServiceSpec};

use crate::report::{Bound, Row};
use crate::samples::Samples;
use crate::stage::Stage;
use crate::warm;

/// Counters of the disk that a folder is on.
#[derive(Debug)]
pub(crate) struct Disk {
    device: String,
}

/// What was written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Written {
    pub(crate) kib: f64,
    pub(crate) flushes: f64,
}

impl Written {
    pub(crate) fn minus(self, before: Self) -> Self {
        Self {
            kib: self.kib - before.kib,
            flushes: self.flushes - before.flushes,
        }
    }

    #[allow(clippy::cast_precision_loss)] // A count of jobs.
    fn per(self, count: usize) -> Self {
        Self {
            kib: self.kib / count as f64,
            flushes: self.flushes / count as f64,
        }
    }
}

impl Disk {
    pub(crate) fn of(folder: &Path) -> Result<Self> {
        let output = std::process::Command::new("df")
            .args(["--output=source"])
            .arg(folder)
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let device = text
            .lines()
            .nth(1)
            .and_then(|line| line.strip_prefix("/dev/"))
            .context("the folder is on no disk")?;
        Ok(Self {
            device: device.to_owned(),
        })
    }

    /// Everything written so far, by anybody: `/proc/diskstats` (fields 10 and 19 of the kernel's documentation
    /// `iostats`, sectors of 512 bytes written and flush requests).
    pub(crate) fn read(&self) -> Result<Written> {
        nix_sync();
        let stats = std::fs::read_to_string("/proc/diskstats")?;
        let fields: Vec<&str> = stats
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .find(|fields| fields.get(2) == Some(&self.device.as_str()))
            .with_context(|| format!("{} is not in /proc/diskstats", self.device))?;
        let field = |place: usize| {
            fields
                .get(place)
                .and_then(|field| field.parse::<f64>().ok())
        };
        Ok(Written {
            kib: field(9).context("sectors written")? / 2.0,
            flushes: field(18).unwrap_or(f64::NAN),
        })
    }
}

/// What is in memory only would be counted for whoever writes next.
fn nix_sync() {
    let _ = std::process::Command::new("sync").status();
}

pub(crate) async fn measure(stage: &mut Stage) -> Result<Vec<Row>> {
    let disk = Disk::of(stage.scratch.path())?;
    let warm_count = stage.samples.max(100);
    let cold_count = stage.few();
    let alone = jobs(
        stage,
        &disk,
        &ServiceSpec::new("bench-alone", &warm::script()),
        warm_count / 2,
        1,
    )
    .await?;
    let together = jobs(
        stage,
        &disk,
        &ServiceSpec::new("bench-together", &warm::script()),
        warm_count * 2,
        32,
    )
    .await?;
    let cold_service = ServiceSpec::new("bench-fresh", &warm::script()).with("edge.reuse", false);
    let cold = jobs(stage, &disk, &cold_service, cold_count, 1).await?;

    let before = disk.read()?;
    for _ in 0..cold_count {
        let output = tokio::process::Command::new("docker")
            .args([
                "run",
                "--rm",
                "--label",
                "spillway.test=bench",
                &stage.image.reference,
                "true",
            ])
            .output()
            .await?;
        anyhow::ensure!(
            output.status.success(),
            "docker run: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let floor = disk.read()?.minus(before).per(cold_count);
    let (kib, flushes) = (Samples::one(floor.kib), Samples::one(floor.flushes));
    let run = "docker run --rm of true";
    let one = |value| Samples::one(value);
    Ok(vec![
        Row::new(
            "8.warm.bytes",
            8,
            "written per warm job, many at a time",
            "KiB",
            &one(together.kib),
        )
        .against(run, &kib)
        .aiming_at(Bound::AtMost(4.0), Some(Bound::AtMost(0.6))),
        Row::new(
            "8.warm.flushes",
            8,
            "cache flushes per warm job, many at a time",
            "",
            &one(together.flushes),
        )
        .against(run, &flushes)
        .aiming_at(Bound::AtMost(0.1), Some(Bound::AtMost(0.03))),
        Row::new(
            "8.alone.bytes",
            8,
            "written per warm job, one at a time",
            "KiB",
            &one(alone.kib),
        )
        .against(run, &kib),
        Row::new(
            "8.alone.flushes",
            8,
            "cache flushes per warm job, one at a time",
            "",
            &one(alone.flushes),
        )
        .against(run, &flushes),
        Row::new(
            "8.cold.bytes",
            8,
            "written per job in a new container",
            "KiB",
            &one(cold.kib),
        )
        .against(run, &kib)
        .aiming_at(Bound::Times(0.5), None),
        Row::new(
            "8.cold.flushes",
            8,
            "cache flushes per job in a new container",
            "",
            &one(cold.flushes),
        )
        .against(run, &flushes)
        .aiming_at(Bound::Times(0.5), None),
    ])
}

/// Runs `count` jobs, `at_once` uploads in flight, and returns what was written for each. As many run before, so
/// that all the containers it takes are there.
async fn jobs(
    stage: &Stage,
    disk: &Disk,
    service: &ServiceSpec,
    count: usize,
    at_once: usize,
) -> Result<Written> {
    stage.cluster.apply(service).await?;
    send(stage, service, 0..count, at_once).await?;
    let before = disk.read()?;
    send(stage, service, count..2 * count, at_once).await?;
    let written = disk.read()?.minus(before).per(count);
    stage.cluster.delete_service(&service.name).await?;
    Ok(written)
}

async fn send(
    stage: &Stage,
    service: &ServiceSpec,
    numbers: std::ops::Range<usize>,
    at_once: usize,
) -> Result<()> {
    let cluster = &stage.cluster;
    let all = numbers.end;
    futures::stream::iter(numbers)
        .map(|number| async move {
            let name = &service.name;
            cluster
                .put(&format!("{name}/in/{number}"), vec![b'x'; 64])
                .await?;
            if at_once == 1 {
                cluster.wait_for(&format!("{name}/out/{number}")).await?;
            }
            anyhow::Ok(())
        })
        .buffer_unordered(at_once)
        .collect::<Vec<_>>()
        .await
        .into_iter()
        .collect::<Result<Vec<()>>>()?;
    cluster
        .wait_for_jobs_within(&service.name, all, PATIENCE * 3)
        .await?;
    Ok(())
}
