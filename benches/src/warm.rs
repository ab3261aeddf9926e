//! Figure 3 for S3 PUT: an upload until the script runs in a warm container, and until its output is visible.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use spillway_storage::{ObjectPath, Storage};
use spillway_testkit::ServiceSpec;

use crate::floors;
use crate::report::{Bound, Row};
use crate::samples::Samples;
use crate::stage::{Stage, now_us, read_stamp, stamp};

/// One upload's way through the cluster; milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trip {
    /// How long the PUT took.
    pub(crate) put: f64,
    /// From the start of the PUT to the first instruction of the script.
    pub(crate) started_to_script: f64,
    /// From the PUT's answer to the first instruction.
    pub(crate) answered_to_script: f64,
    /// From the PUT's answer until the output can be read.
    pub(crate) answered_to_visible: f64,
}

/// The script of every trip: its output is the time at which it began.
pub(crate) fn script() -> String {
    stamp("$TMP_OUTPUT_DIR/${INPUT_FILE_PATH##*/}")
}

/// Uploads `size` bytes and follows them.
pub(crate) async fn trip(stage: &Stage, service: &str, number: usize, size: usize) -> Result<Trip> {
    let content = vec![b'x'; size];
    let began_us = now_us();
    let began = Instant::now();
    stage
        .cluster
        .put(&format!("{service}/in/{number}"), content)
        .await?;
    let put = began.elapsed();
    let answered = Instant::now();
    let output = ObjectPath::new(service, format!("out/{number}"));
    while stage.cluster.s3().head(&output).await?.is_none() {
        anyhow::ensure!(
            answered.elapsed() < Duration::from_mins(1),
            "{output} did not appear"
        );
        tokio::time::sleep(Duration::from_micros(300)).await;
    }
    let visible = answered.elapsed();
    let text = stage
        .cluster
        .get(&output.to_string())
        .await?
        .context("the output")?;
    let stamped = read_stamp(&String::from_utf8_lossy(&text))?;
    let started_to_script = (stamped - began_us) / 1e3;
    let put = put.as_secs_f64() * 1e3;
    Ok(Trip {
        put,
        started_to_script,
        answered_to_script: started_to_script - put,
        answered_to_visible: visible.as_secs_f64() * 1e3,
    })
}

pub(crate) async fn measure(stage: &mut Stage) -> Result<Vec<Row>> {
    let service = ServiceSpec::new("bench-warm", &script()).with("cpu", "1");
    stage.cluster.apply(&service).await?;
    // A bucket of its own that triggers nothing: the PUT by itself.
    for number in 0..3 {
        trip(stage, "bench-warm", 1_000_000 + number, 64).await?;
    }
    let (mut put, mut from_start, mut script, mut visible) = (
        Samples::default(),
        Samples::default(),
        Samples::default(),
        Samples::default(),
    );
    let mut plain = Samples::default();
    for number in 0..stage.samples {
        let trip = trip(stage, "bench-warm", number, 64).await?;
        put.push(trip.put);
        from_start.push(trip.started_to_script);
        script.push(trip.answered_to_script);
        visible.push(trip.answered_to_visible);
        let began = Instant::now();
        stage
            .cluster
            .put(&format!("bench-warm/elsewhere/{number}"), vec![b'x'; 64])
            .await?;
        plain.push(began.elapsed().as_secs_f64() * 1e3);
    }
    let fork = floors::fork_exec(stage.samples)?;
    stage.cluster.delete_service("bench-warm").await?;
    Ok(vec![
        Row::new(
            "3.put.script",
            3,
            "S3 PUT begun → script, warm container",
            "ms",
            &from_start,
        )
        .against("PUT answered, no trigger", &plain)
        .aiming_at(Bound::Times(2.0), Some(Bound::Times(1.2))),
        Row::new("3.put", 3, "S3 PUT answered, with trigger", "ms", &put)
            .against("PUT answered, no trigger", &plain),
        Row::new(
            "3.warm.script",
            3,
            "upload acknowledged → script, warm container",
            "ms",
            &script,
        )
        .against("fork + exec of the shell", &fork),
        Row::new(
            "3.warm.visible",
            3,
            "upload acknowledged → output visible, warm container",
            "ms",
            &visible,
        )
        .against("PUT answered, no trigger", &plain),
    ])
}
