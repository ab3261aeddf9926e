//! Figure 13: definitions of services, with five hundred of them.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures::TryStreamExt;
use reqwest::Method;
use rusqlite::Connection;
use serde_json::json;
use spillway_storage::{ObjectPath, Storage};

use crate::report::Row;
use crate::samples::Samples;
use crate::stage::Stage;

const SERVICES: usize = 500;
const BUCKET: &str = "bench-ballast";

pub(crate) async fn measure(stage: &mut Stage) -> Result<Vec<Row>> {
    let insert = inserts(stage)?;
    let mut create = Samples::default();
    for number in 0..SERVICES {
        let body = definition(stage, number);
        let began = Instant::now();
        call(stage, Method::POST, "/system/services", body).await?;
        create.push(milliseconds(began));
    }
    let (mut read, mut trip) = (Samples::default(), Samples::default());
    for number in 0..SERVICES {
        let path = format!("/system/services/{}", name(number));
        read.push(get(stage, &path).await?.0);
        trip.push(get(stage, "/health").await?.0);
    }
    let mut list = Samples::default();
    let mut bytes = 0;
    for _ in 0..stage.few() {
        let (time, size) = get(stage, "/system/services").await?;
        list.push(time);
        bytes = size;
    }
    let download = downloads(stage, bytes).await?;
    for number in 0..SERVICES {
        stage.cluster.delete_service(&name(number)).await?;
    }
    Ok(vec![
        Row::new(
            "13.service.create",
            13,
            "POST a service, its bucket and folders, 500 times",
            "ms",
            &create,
        )
        .against("SQLite insert of its definition, WAL, FULL sync", &insert),
        Row::new("13.service.read", 13, "GET a service of 500", "ms", &read)
            .against("GET /health", &trip),
        Row::new("13.service.list", 13, "GET all 500 services", "ms", &list)
            .against("GET an object of as many bytes", &download),
    ])
}

fn name(number: usize) -> String {
    format!("bench-{number:03}")
}

fn definition(stage: &Stage, number: usize) -> String {
    let name = name(number);
    json!({
        "name": name, "image": stage.cluster.image(), "cpu": "0.1", "memory": "64Mi",
        "script": "#!/bin/sh\n".to_owned() + &"cp \"$INPUT_FILE_PATH\" \"$TMP_OUTPUT_DIR/\"\n".repeat(16),
        "input": [{ "storage_provider": "minio.default", "path": format!("{name}/in") }],
        "output": [{ "storage_provider": "minio.default", "path": format!("{name}/out") }],
        "environment": { "variables": { "MODE": "fast", "DEPTH": "3" } },
    })
    .to_string()
}

/// The floor of durable change: one row of the same size, committed and flushed, on the same disk.
fn inserts(stage: &Stage) -> Result<Samples> {
    let folder = stage.folder("sqlite")?;
    let db = Connection::open(folder.join("floor.db")).context("opening the floor's database")?;
    db.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE services (name TEXT PRIMARY KEY, definition TEXT NOT NULL);",
    )?;
    let samples = (0..SERVICES)
        .map(|number| {
            let definition = definition(stage, number);
            let began = Instant::now();
            db.execute(
                "INSERT INTO services VALUES (?1, ?2)",
                (name(number), definition),
            )?;
            Ok(milliseconds(began))
        })
        .collect::<Result<_>>()?;
    drop(db);
    std::fs::remove_dir_all(folder)?;
    Ok(samples)
}

async fn downloads(stage: &Stage, bytes: usize) -> Result<Samples> {
    call(
        stage,
        Method::POST,
        "/system/buckets",
        json!({ "bucket_name": BUCKET }).to_string(),
    )
    .await?;
    let path = format!("{BUCKET}/as-long");
    stage
        .cluster
        .put(&path, Bytes::from(vec![b'x'; bytes]))
        .await?;
    let mut samples = Samples::default();
    for _ in 0..stage.few() {
        let began = Instant::now();
        let got = stage.cluster.s3().get(&ObjectPath::parse(&path)).await?;
        let pieces: Vec<Bytes> = got.bytes.try_collect().await?;
        samples.push(milliseconds(began));
        ensure!(
            pieces.iter().map(Bytes::len).sum::<usize>() == bytes,
            "the download is cut short"
        );
    }
    call(
        stage,
        Method::DELETE,
        &format!("/system/buckets/{BUCKET}"),
        String::new(),
    )
    .await?;
    Ok(samples)
}

async fn get(stage: &Stage, path: &str) -> Result<(f64, usize)> {
    let began = Instant::now();
    let text = stage.cluster.get_text(path).await?;
    Ok((milliseconds(began), text.len()))
}

/// Any request that must succeed.
pub(crate) async fn call(stage: &Stage, method: Method, path: &str, body: String) -> Result<()> {
    let called = format!("{method} {path}");
    let (status, text) = stage.cluster.request(method, path, body).await?;
    ensure!(status.is_success(), "{called}: {status} {text}");
    Ok(())
}

/// Since then.
pub(crate) fn milliseconds(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1e3
}
