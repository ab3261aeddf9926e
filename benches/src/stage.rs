//! What measurements share: one cluster of release binaries, the engine, a scratch folder.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use spillway_testkit::{Cluster, Engine, TestImage};
use tempfile::TempDir;

/// Everything a measurement needs.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) cluster: Cluster,
    pub(crate) engine: Engine,
    /// Busybox, for floors.
    pub(crate) image: TestImage,
    pub(crate) scratch: TempDir,
    /// Repetitions of what is cheap.
    pub(crate) samples: usize,
    pub(crate) idle: Duration,
    /// Measurements that failed, and why.
    pub(crate) failed: Vec<String>,
}

impl Stage {
    pub(crate) async fn build(samples: usize, idle_seconds: u64) -> Result<Self> {
        ensure!(samples >= 10, "--samples must be at least 10");
        let engine = Engine::connect().await?;
        let image = engine.busybox("spillway-bench/busybox:1").await?;
        Ok(Self {
            cluster: Cluster::start().await?,
            engine,
            image,
            scratch: tempfile::Builder::new()
                .prefix("spillway-bench-")
                .tempdir()?,
            samples,
            idle: Duration::from_secs(idle_seconds),
            failed: Vec::new(),
        })
    }

    /// Repetitions of what takes a tenth of a second or more.
    pub(crate) fn few(&self) -> usize {
        (self.samples / 10).max(5)
    }

    /// A new empty folder that containers may write to.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        use std::os::unix::fs::PermissionsExt;
        let folder = self.scratch.path().join(name);
        std::fs::create_dir_all(&folder)?;
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777))?;
        Ok(folder)
    }

    pub(crate) async fn finish(self) -> Result<()> {
        self.engine
            .remove_containers("spillway.test", "bench")
            .await?;
        self.image.remove().await;
        self.cluster.finish().await
    }
}

/// The wall clock in microseconds since 1970: scripts in containers read the same one.
pub(crate) fn now_us() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |time| time.as_secs_f64() * 1e6)
}

/// Shell words that write the time of their execution, without starting a program, to the file.
pub(crate) fn stamp(file: &str) -> String {
    format!("echo $EPOCHREALTIME > \"{file}\"")
}

/// What [`stamp`] wrote, in microseconds since 1970.
pub(crate) fn read_stamp(text: &str) -> Result<f64> {
    let seconds: f64 = text
        .trim()
        .parse()
        .with_context(|| format!("a time, not {text:?}"))?;
    Ok(seconds * 1e6)
}

/// Waits for a file with content, at most ten seconds.
pub(crate) async fn wait_for_file(path: &Path) -> Result<String> {
    for _ in 0..10_000 {
        match std::fs::read_to_string(path) {
            Ok(text) if text.ends_with('\n') => return Ok(text),
            _ => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
    anyhow::bail!("{} did not appear", path.display())
}
