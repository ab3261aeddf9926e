//! Figure 11: what a job costs beyond copying its file in, running its script and copying the result out.

use std::time::Instant;

use anyhow::Result;
use spillway_testkit::ServiceSpec;

use crate::report::{Bound, Row};
use crate::samples::Samples;
use crate::stage::Stage;

const MEGABYTE: usize = 1_000_000;

pub(crate) async fn measure(stage: &mut Stage) -> Result<Vec<Row>> {
    let script = r#"cat "$INPUT_FILE_PATH" > "$TMP_OUTPUT_DIR/${INPUT_FILE_PATH##*/}""#;
    stage
        .cluster
        .apply(&ServiceSpec::new("bench-tax", script).with("cpu", "1"))
        .await?;
    let folder = stage.folder("tax")?;
    std::fs::write(folder.join("input"), vec![b'x'; MEGABYTE])?;
    let plain = || -> Result<f64> {
        let began = Instant::now();
        std::fs::copy(folder.join("input"), folder.join("staged"))?;
        let script = format!("cat {0}/staged > {0}/made", folder.display());
        std::process::Command::new("/bin/busybox")
            .args(["sh", "-c", &script])
            .status()?;
        std::fs::copy(folder.join("made"), folder.join("output"))?;
        Ok(began.elapsed().as_secs_f64() * 1e3)
    };
    let (mut job, mut floor) = (Samples::default(), Samples::default());
    for number in 0..stage.few() + 2 {
        let visible = arrival(stage, number).await?;
        let copied = plain()?;
        if number >= 2 {
            job.push(visible);
            floor.push(copied);
        }
    }
    stage.cluster.delete_service("bench-tax").await?;
    Ok(vec![
        Row::new(
            "11.tax",
            11,
            "1 MB uploaded → its result visible, warm container",
            "ms",
            &job,
        )
        .against("cp + fork + cp, nothing durable", &floor)
        .aiming_at(Bound::Times(3.0), Some(Bound::Times(1.3))),
    ])
}

/// Milliseconds from the answer of the upload until its result is visible.
async fn arrival(stage: &Stage, number: usize) -> Result<f64> {
    use spillway_storage::{ObjectPath, Storage};
    stage
        .cluster
        .put(&format!("bench-tax/in/{number}"), vec![b'x'; MEGABYTE])
        .await?;
    let answered = Instant::now();
    let output = ObjectPath::new("bench-tax", format!("out/{number}"));
    while stage.cluster.s3().head(&output).await?.is_none() {
        anyhow::ensure!(answered.elapsed().as_secs() < 60, "{output} did not appear");
        tokio::time::sleep(std::time::Duration::from_micros(300)).await;
    }
    Ok(answered.elapsed().as_secs_f64() * 1e3)
}
