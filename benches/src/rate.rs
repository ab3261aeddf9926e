//! Figure 4: cold containers per second; and how fast a heap of small files is worked off.

use std::time::Instant;

use anyhow::Result;
use futures::StreamExt;
use spillway_testkit::{PATIENCE, ServiceSpec};

use crate::floors::{self, Recipe};
use crate::report::{Bound, Row};
use crate::runc::Bundle;
use crate::samples::Samples;
use crate::stage::Stage;
use crate::warm;

/// At the same time, as figure 4 says.
const WORKERS: usize = 8;
const FILES: usize = 1000;
/// Connections that upload the files.
const UPLOADERS: usize = 16;

pub(crate) async fn measure(stage: &mut Stage) -> Result<Vec<Row>> {
    let count = (stage.samples / 4).max(WORKERS * 2);
    let cold = heap(
        stage,
        &ServiceSpec::new("bench-rate", &warm::script())
            .with("edge.reuse", false)
            .with("memory", "16Mi"),
        count,
    )
    .await?;
    let out = stage.folder("rate")?;
    let default = docker_rate(stage, &Recipe::Default, &out, count / 2).await?;
    let holder = floors::holder(stage).await?;
    let joined = docker_rate(stage, &Recipe::Joined(holder.clone()), &out, count).await?;
    floors::remove(stage, &holder).await?;
    let runc = runc_rate(stage, count).await?;

    let files = heap(
        stage,
        &ServiceSpec::new("bench-files", &warm::script()).with("memory", "16Mi"),
        FILES,
    )
    .await?;
    let run = docker_run(stage, &out, stage.few() * 2).await?;
    let named = "new containers, whole jobs, at least 8 at a time";
    Ok(vec![
        Row::new("4.cold.rate", 4, named, "/s", &cold)
            .against("Docker default, 8 workers", &default)
            .aiming_at(Bound::AtLeastTimes(6.0), Some(Bound::AtLeastTimes(8.0))),
        Row::new("4.cold.rate.joined", 4, named, "/s", &cold)
            .against("Docker joined, 8 workers", &joined),
        Row::new("4.cold.rate.runc", 4, named, "/s", &cold)
            .against("runc run, 8 workers", &runc)
            .aiming_at(Bound::AtLeastTimes(0.4), Some(Bound::AtLeastTimes(0.6))),
        Row::new(
            "5.files",
            5,
            "1,000 small files, upload to last output",
            "files/s",
            &files,
        )
        .against("docker run per file, 2 at a time", &run),
    ])
}

/// Uploads `count` files at once; jobs per second until the last is done.
async fn heap(stage: &Stage, service: &ServiceSpec, count: usize) -> Result<Samples> {
    stage.cluster.apply(service).await?;
    let cluster = &stage.cluster;
    let began = Instant::now();
    futures::stream::iter(0..count)
        .map(|number| async move {
            cluster
                .put(&format!("{}/in/{number}", service.name), vec![b'x'; 256])
                .await
        })
        .buffer_unordered(UPLOADERS)
        .collect::<Vec<_>>()
        .await
        .into_iter()
        .collect::<Result<Vec<()>>>()?;
    cluster
        .wait_for_jobs_within(&service.name, count, PATIENCE * 4)
        .await?;
    let seconds = began.elapsed().as_secs_f64();
    cluster.delete_service(&service.name).await?;
    Ok(Samples::one(number(count) / seconds))
}

async fn docker_rate(
    stage: &Stage,
    recipe: &Recipe,
    out: &std::path::Path,
    count: usize,
) -> Result<Samples> {
    let began = Instant::now();
    futures::stream::iter(0..count)
        .map(|_| floors::live(stage, recipe, out))
        .buffer_unordered(WORKERS)
        .collect::<Vec<_>>()
        .await
        .into_iter()
        .collect::<Result<Vec<_>>>()?;
    Ok(Samples::one(number(count) / began.elapsed().as_secs_f64()))
}

async fn runc_rate(stage: &Stage, count: usize) -> Result<Samples> {
    let bundle = std::sync::Arc::new(Bundle::make(stage).await?);
    let began = Instant::now();
    futures::stream::iter(0..count)
        .map(|run| {
            let bundle = std::sync::Arc::clone(&bundle);
            tokio::task::spawn_blocking(move || bundle.run(1_000_000 + run))
        })
        .buffer_unordered(WORKERS)
        .collect::<Vec<_>>()
        .await
        .into_iter()
        .try_for_each(|run| run?)?;
    Ok(Samples::one(number(count) / began.elapsed().as_secs_f64()))
}

/// The command `docker run --rm` with the file's folder mounted, as many at a time as there are cores.
async fn docker_run(stage: &Stage, out: &std::path::Path, count: usize) -> Result<Samples> {
    let began = Instant::now();
    let volume = format!("{}:/out", out.display());
    futures::stream::iter(0..count)
        .map(|run| {
            let mut command = tokio::process::Command::new("docker");
            command.args([
                "run",
                "--rm",
                "--label",
                "spillway.test=bench",
                "-v",
                &volume,
                &stage.image.reference,
            ]);
            command.args(["sh", "-c", &format!("echo $EPOCHREALTIME > /out/run-{run}")]);
            async move { command.output().await }
        })
        .buffer_unordered(2)
        .collect::<Vec<_>>()
        .await
        .into_iter()
        .try_for_each(|output| {
            let output = output?;
            anyhow::ensure!(
                output.status.success(),
                "docker run: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            Ok(())
        })?;
    Ok(Samples::one(number(count) / began.elapsed().as_secs_f64()))
}

#[allow(clippy::cast_precision_loss)] // Counts here are far below 2^52.
fn number(count: usize) -> f64 {
    count as f64
}
