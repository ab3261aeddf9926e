//! Files as the public hub has them: OSCAR's own client and `spillway apply` make the same services of them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use spillway_testkit::clients::said;
use spillway_testkit::{Cluster, ClusterOptions, Python, binary};
use tempfile::TempDir;
use tokio::process::Command;

/// File below the model's tests, the cluster and the services in it, and the services that OSCAR's client makes of it.
const FILES: &[(&str, &str, &[&str], &[&str])] = &[
    ("real-01-cowsay", "herd", &["talking-cow"], &["talking-cow"]),
    ("real-02-simple", "lab", &["word-count"], &["word-count"]),
    (
        "real-03-imagemagick",
        "lab",
        &["picture-tools"],
        &["picture-tools"],
    ),
    // It sends numbers and `true` among the variables as they are; OSCAR's API, and ours, wants text. Its own fault.
    ("real-04-stress", "lab", &["busy-loop"], &[]),
    ("real-05-plants", "lab", &["plants"], &["plants"]),
    (
        "real-06-yolo",
        "lab",
        &["object-finder"],
        &["object-finder"],
    ),
    (
        "real-08-speech",
        "lab",
        &["speech-to-text"],
        &["speech-to-text"],
    ),
    // OSCAR's Python client takes the last service of a file only; the fault is its own.
    ("real-09-masks", "lab", &["frames", "masks"], &["masks"]),
];

#[tokio::test]
async fn files_of_the_hub_become_the_same_services_with_either_client() -> Result<()> {
    let python = Python::with("oscar-2").await?;
    let cluster = Cluster::with(ClusterOptions::default()).await?;
    for (file, alias, ours, theirs) in FILES {
        let folder = copied(file)?;
        let path = folder.path().join("service.yaml");
        spillway(&cluster, &["apply", path.to_str().unwrap()])
            .await
            .with_context(|| format!("spillway apply {file}"))?;
        let mut made = Vec::new();
        for name in *ours {
            made.push(taken(&cluster, name).await?);
        }
        let applied = apply(&cluster, &python, alias, &path).await;
        if theirs.is_empty() {
            ensure!(
                applied.is_err(),
                "{file}: oscar-python has learned to apply it"
            );
            continue;
        }
        applied.with_context(|| format!("oscar-python applies {file}"))?;
        for name in *theirs {
            let seen = taken(&cluster, name).await?;
            let expected = made.iter().find(|service| service["name"] == **name);
            same(file, expected.context("made by both")?, &seen)?;
        }
        let left = cluster.get_text("/system/services").await?;
        ensure!(left == "[]", "{file}: services are left: {left}");
    }
    cluster.finish().await
}

/// Reads a service and deletes it; without what differs each time, or belongs to the client: its name for the cluster.
async fn taken(cluster: &Cluster, name: &str) -> Result<Value> {
    let text = cluster
        .get_text(&format!("/system/services/{name}"))
        .await?;
    let mut service: Value = serde_json::from_str(&text)?;
    for member in ["token", "cluster_id"] {
        service[member].take();
    }
    cluster.delete_service(name).await?;
    Ok(service)
}

fn same(file: &str, ours: &Value, theirs: &Value) -> Result<()> {
    let members = ours.as_object().context("an object")?;
    for (member, value) in members {
        ensure!(
            &theirs[member] == value,
            "{file}: {member} is {value} with spillway and {} with oscar-python",
            theirs[member]
        );
    }
    let more = theirs.as_object().context("an object")?.len();
    ensure!(more == members.len(), "{file}: {ours} and {theirs}");
    Ok(())
}

/// The file in a folder of its own, with a script under each name that it mentions.
fn copied(file: &str) -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../model/tests/fdl/valid")
        .join(file)
        .with_extension("yaml");
    let text = fs::read_to_string(&source).with_context(|| source.display().to_string())?;
    for line in text.lines() {
        if let Some(script) = line.trim().strip_prefix("script: ") {
            fs::write(folder.path().join(script), "#!/bin/sh\r\ntrue\r\n")?;
        }
    }
    fs::write(folder.path().join("service.yaml"), text)?;
    Ok(folder)
}

async fn apply(cluster: &Cluster, python: &Python, alias: &str, path: &Path) -> Result<()> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/oscar/apply.py");
    let environment = [
        ("SPILLWAY_API", cluster.api.as_str()),
        ("SPILLWAY_USER", cluster.user.as_str()),
        ("SPILLWAY_PASSWORD", cluster.password.as_str()),
    ];
    python
        .run(&script, &[alias, path.to_str().unwrap()], &environment)
        .await?;
    Ok(())
}

async fn spillway(cluster: &Cluster, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new(binary("spillway")?);
    command.args(arguments);
    command.env("SPILLWAY_ENDPOINT", &cluster.api);
    command.env("SPILLWAY_USER", &cluster.user);
    command.env("SPILLWAY_PASSWORD", &cluster.password);
    said(command).await?;
    Ok(())
}
