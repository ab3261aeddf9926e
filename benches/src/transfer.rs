//! Figure 15: how fast bytes go in and out, beside copying files with fsync on the same disk, and what memory it takes.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use reqwest::Method;
use serde_json::json;
use spillway_storage::{Content, ObjectPath, Storage};

use crate::report::{Bound, Row};
use crate::samples::Samples;
use crate::services::call;
use crate::stage::Stage;

const MIB: usize = 1024 * 1024;
const LARGE: usize = 1024 * MIB;
const SMALL: usize = 4096;
const FILES: usize = 5000;
const CONNECTIONS: usize = 8;
const BUCKET: &str = "bench-transfer";
/// How often the gateway's memory is looked at.
const LOOK: Duration = Duration::from_millis(20);

pub(crate) async fn measure(stage: &mut Stage) -> Result<Vec<Row>> {
    let body = json!({ "bucket_name": BUCKET }).to_string();
    call(stage, Method::POST, "/system/buckets", body).await?;
    let folder = stage.folder("transfer")?;
    let large_copy = tokio::task::spawn_blocking({
        let folder = folder.clone();
        move || copy_large(&folder)
    })
    .await??;
    let small_copy = tokio::task::spawn_blocking(move || copy_small(&folder)).await??;

    let (large_in, memory_in) = watched(stage, put_large(stage)).await?;
    let (large_out, memory_out) = watched(stage, get_large(stage)).await?;
    let (small_in, memory_small) = watched(stage, put_small(stage)).await?;
    let small_out = get_small(stage).await?;
    let path = format!("/system/buckets/{BUCKET}");
    call(stage, Method::DELETE, &path, String::new()).await?;

    let large = |id, name, samples: &Samples| {
        Row::new(id, 15, name, "MiB/s", samples)
            .against("copy of a file of 1 GiB, fsync", &large_copy)
    };
    let small = |id, name, samples: &Samples| {
        Row::new(id, 15, name, "objects/s", samples).against(
            "copy of 5,000 files of 4 KiB, fsync each, 8 threads",
            &small_copy,
        )
    };
    let memory = |id, name, samples: &Samples| Row::new(id, 15, name, "MiB", samples);
    Ok(vec![
        large("15.put.large", "PUT of one object of 1 GiB", &large_in)
            .aiming_at(Bound::AtLeastTimes(0.5), None),
        large("15.get.large", "GET of one object of 1 GiB", &large_out),
        small(
            "15.put.small",
            "PUT of 5,000 objects of 4 KiB, 8 connections",
            &small_in,
        )
        .aiming_at(Bound::AtLeastTimes(0.5), None),
        small(
            "15.get.small",
            "GET of 5,000 objects of 4 KiB, 8 connections",
            &small_out,
        ),
        memory(
            "15.memory.put.large",
            "largest PSS of the gateway during it",
            &memory_in,
        ),
        memory(
            "15.memory.get.large",
            "largest PSS of the gateway during it",
            &memory_out,
        ),
        memory(
            "15.memory.put.small",
            "largest PSS of the gateway during it",
            &memory_small,
        ),
    ])
}

/// Runs the transfer and watches the gateway's memory; both results.
async fn watched(
    stage: &Stage,
    transfer: impl Future<Output = Result<Samples>>,
) -> Result<(Samples, Samples)> {
    let mut most = 0;
    let look = async {
        loop {
            most = most.max(stage.cluster.gateway.memory()?.proportional);
            tokio::time::sleep(LOOK).await;
        }
        #[allow(unreachable_code)] // It tells the type of the block.
        Ok::<(), anyhow::Error>(())
    };
    let rate = tokio::select! {
        rate = transfer => rate?,
        failed = look => {
            failed?;
            anyhow::bail!("watching never ends by itself");
        }
    };
    Ok((rate, Samples::one(per(to_f64(most), to_f64(MIB as u64)))))
}

async fn put_large(stage: &Stage) -> Result<Samples> {
    let piece = Bytes::from(noise(MIB));
    let pieces = futures::stream::repeat_with(move || Ok(piece.clone()))
        .take(LARGE / MIB)
        .boxed();
    let began = Instant::now();
    stage
        .cluster
        .put_content(
            &format!("{BUCKET}/large"),
            Content::new(pieces, Some(LARGE as u64)),
        )
        .await?;
    Ok(rate(LARGE / MIB, began))
}

async fn get_large(stage: &Stage) -> Result<Samples> {
    let began = Instant::now();
    let path = ObjectPath::parse(&format!("{BUCKET}/large"));
    let mut got = stage.cluster.s3().get(&path).await?.bytes;
    let mut read = 0;
    while let Some(piece) = got.try_next().await? {
        read += piece.len();
    }
    ensure!(read == LARGE, "{read} bytes came back");
    Ok(rate(LARGE / MIB, began))
}

async fn put_small(stage: &Stage) -> Result<Samples> {
    let content = Bytes::from(noise(SMALL));
    let began = Instant::now();
    futures::stream::iter(0..FILES)
        .map(|number| {
            let content = content.clone();
            async move {
                let path = format!("{BUCKET}/small/{number:04}");
                stage.cluster.put(&path, content).await
            }
        })
        .buffer_unordered(CONNECTIONS)
        .try_collect::<()>()
        .await?;
    Ok(rate(FILES, began))
}

async fn get_small(stage: &Stage) -> Result<Samples> {
    let began = Instant::now();
    futures::stream::iter(0..FILES)
        .map(|number| async move {
            let path = ObjectPath::parse(&format!("{BUCKET}/small/{number:04}"));
            let got = stage.cluster.s3().get(&path).await?;
            let pieces: Vec<Bytes> = got.bytes.try_collect().await?;
            let read: usize = pieces.iter().map(Bytes::len).sum();
            ensure!(read == SMALL, "{read} bytes came back");
            Ok(())
        })
        .buffer_unordered(CONNECTIONS)
        .try_collect::<()>()
        .await?;
    Ok(rate(FILES, began))
}

/// MiB per second of a plain copy; what is read is in the page cache, as the upload's bytes are in memory.
fn copy_large(folder: &Path) -> Result<Samples> {
    let (from, to) = (folder.join("large"), folder.join("copy"));
    let piece = noise(MIB);
    let mut file = File::create(&from)?;
    for _ in 0..LARGE / MIB {
        file.write_all(&piece)?;
    }
    file.sync_all()?;
    let began = Instant::now();
    copy(&from, &to)?;
    let rate = rate(LARGE / MIB, began);
    fs::remove_file(from)?;
    fs::remove_file(to)?;
    Ok(rate)
}

/// Files per second, with as many threads as the uploads have connections.
fn copy_small(folder: &Path) -> Result<Samples> {
    let from = folder.join("small");
    fs::write(&from, noise(SMALL))?;
    let next = AtomicUsize::new(0);
    let began = Instant::now();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= FILES {
                            return Ok(());
                        }
                        copy(&from, &folder.join(format!("copy-{number}")))?;
                    }
                })
            })
            .collect();
        for worker in workers {
            worker.join().ok().context("a copying thread")??;
        }
        Ok::<(), anyhow::Error>(())
    })?;
    let rate = rate(FILES, began);
    fs::remove_dir_all(folder)?;
    Ok(rate)
}

/// By hand, not by the kernel's shortcuts, which share blocks on some file systems.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let (mut from, mut to) = (File::open(from)?, File::create(to)?);
    let mut piece = vec![0; MIB];
    loop {
        match from.read(&mut piece)? {
            0 => break,
            length => to.write_all(&piece[..length])?,
        }
    }
    Ok(to.sync_all()?)
}

fn noise(length: usize) -> Vec<u8> {
    (0..length as u64)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 7).to_le_bytes()[0])
        .collect()
}

fn rate(count: usize, began: Instant) -> Samples {
    Samples::one(per(to_f64(count as u64), began.elapsed().as_secs_f64()))
}

fn per(count: f64, of: f64) -> f64 {
    count / of
}

#[allow(clippy::cast_precision_loss)] // Counts and bytes far below 2^52.
fn to_f64(number: u64) -> f64 {
    number as f64
}
