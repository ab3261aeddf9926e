//! `runc run` alone: the part of a container start that no daemon adds to.
//!
//! The bundle's configuration is the one Docker gave to one of its own containers, seccomp profile included, with
//! the daemon's hooks taken out.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::floors;
use crate::stage::{Stage, now_us, read_stamp, stamp};

/// A root file system and a configuration that `runc run` takes.
#[derive(Debug)]
pub(crate) struct Bundle {
    folder: PathBuf,
    out: PathBuf,
}

impl Bundle {
    pub(crate) async fn make(stage: &Stage) -> Result<Self> {
        let folder = stage.folder("bundle")?;
        let out = stage.folder("runc-out")?;
        let model = floors::holder(stage).await?;
        let config = configuration(&model, &out);
        floors::remove(stage, &model).await?;
        std::fs::write(folder.join("config.json"), serde_json::to_vec(&config?)?)?;
        std::fs::create_dir_all(folder.join("rootfs/bin"))?;
        for name in ["out", "proc", "sys", "dev", "etc"] {
            std::fs::create_dir_all(folder.join("rootfs").join(name))?;
        }
        std::fs::copy("/bin/busybox", folder.join("rootfs/bin/sh"))?;
        Ok(Self { folder, out })
    }

    /// Runs a container once.
    pub(crate) fn run(&self, number: usize) -> Result<()> {
        let output = Command::new("runc")
            .args(["run", "--bundle"])
            .arg(&self.folder)
            .arg(format!("spillway-bench-{}-{number}", std::process::id()))
            .stdin(Stdio::null())
            .output()
            .context("running runc")?;
        ensure!(
            output.status.success(),
            "runc: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }

    /// The same, alone; milliseconds to the first instruction of its script.
    pub(crate) fn time_to_script(&self, number: usize) -> Result<f64> {
        let began_us = now_us();
        self.run(number)?;
        let stamped = read_stamp(&std::fs::read_to_string(self.out.join("stamp"))?)?;
        Ok((stamped - began_us) / 1e3)
    }
}

fn configuration(container: &str, out: &Path) -> Result<Value> {
    let found = [
        "/run/docker/containerd/daemon",
        "/run/containerd",
        "/var/run/docker/containerd/daemon",
    ]
    .iter()
    .map(|root| {
        Path::new(root)
            .join("io.containerd.runtime.v2.task/moby")
            .join(container)
            .join("config.json")
    })
    .find(|path| path.is_file())
    .context("the OCI configuration of a running container is not where Docker usually keeps it")?;
    let mut config: Value = serde_json::from_slice(&std::fs::read(found)?)?;
    config["root"] = json!({ "path": "rootfs" });
    config["process"]["terminal"] = json!(false);
    config["process"]["args"] = json!(["/bin/sh", "-c", stamp("/out/stamp")]);
    config["process"]["cwd"] = json!("/");
    if let Some(config) = config.as_object_mut() {
        config.remove("hooks");
    }
    if let Some(linux) = config["linux"].as_object_mut() {
        linux.remove("cgroupsPath"); // Each container then has a group of its own.
    }
    config["linux"]["namespaces"] = json!([{ "type": "mount" }, { "type": "uts" }, { "type": "ipc" }, { "type": "pid" }, { "type": "network" }]);
    if let Some(mounts) = config["mounts"].as_array_mut() {
        // Files of the daemon (hosts, resolv.conf …) are gone with the container they belonged to.
        mounts.retain(|mount| mount["type"] != "bind");
        mounts.push(json!({ "destination": "/out", "source": out, "type": "bind", "options": ["rbind", "rw"] }));
    }
    Ok(config)
}
