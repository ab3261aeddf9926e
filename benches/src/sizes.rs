//! Sizes of the binaries, and how long they take to start.

use std::time::Instant;

use anyhow::Result;
use spillway_testkit::{binary, supervisor};

use crate::floors;
use crate::report::{Bound, Row};
use crate::samples::Samples;
use crate::stage::Stage;

const MEGA: f64 = 1e6;

#[allow(clippy::unused_async)] // The signature of a measurement.
pub(crate) async fn measure(stage: &mut Stage) -> Result<Vec<Row>> {
    let fork = floors::fork_exec(stage.few())?;
    let mut rows = Vec::new();
    for (name, path, limit) in [
        ("agent", binary("spillway-agent")?, Some(8.0)),
        ("gateway", binary("spillway-gateway")?, None),
        ("spillway", binary("spillway")?, None),
        ("supervisor", supervisor()?, Some(1.048_576)),
    ] {
        #[allow(clippy::cast_precision_loss)] // Sizes of files are far below 2^52.
        let size = std::fs::metadata(&path)?.len() as f64 / MEGA;
        let row = Row::new(
            &format!("6.size.{name}"),
            6,
            &format!("size of the binary {name}"),
            "MB",
            &Samples::one(size),
        );
        rows.push(match limit {
            Some(limit) => row.aiming_at(Bound::AtMost(limit), None),
            None => row,
        });
        let mut start = Samples::default();
        for _ in 0..stage.few() {
            let began = Instant::now();
            let status = std::process::Command::new(&path)
                .arg("--version")
                .stdout(std::process::Stdio::null())
                .status()?;
            anyhow::ensure!(status.success(), "{} --version: {status}", path.display());
            start.push(began.elapsed().as_secs_f64() * 1e3);
        }
        let row = Row::new(
            &format!("6.start.{name}"),
            6,
            &format!("{name} --version"),
            "ms",
            &start,
        )
        .against("fork + exec of the shell", &fork);
        rows.push(if name == "agent" {
            row.aiming_at(Bound::AtMost(30.0), None)
        } else {
            row
        });
    }
    Ok(rows)
}
