//! Containers started without Spillway, through the plain Docker API.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context, Result};
use bollard::models::{ContainerCreateBody, HostConfig, HostConfigLogConfig};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder, StartContainerOptions,
    WaitContainerOptions,
};
use futures::StreamExt;

use crate::samples::Samples;
use crate::stage::{Stage, now_us, read_stamp, stamp, wait_for_file};

/// How Docker starts the container.
#[derive(Debug, Clone)]
pub(crate) enum Recipe {
    /// As `docker run` does: bridge network, json-file log.
    Default,
    /// In the network namespace of this container, without log.
    Joined(String),
}

/// Times of one container's life in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Life {
    /// From the request to create it to the first instruction of its script.
    pub(crate) to_script: f64,
    /// From the request to create it until it is removed.
    pub(crate) whole: f64,
}

static NUMBER: AtomicU64 = AtomicU64::new(0);

/// Creates, starts, waits for and removes one container whose script writes down when it began.
pub(crate) async fn live(stage: &Stage, recipe: &Recipe, out: &Path) -> Result<Life> {
    let docker = stage.engine.docker();
    let file = format!("stamp-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let host = HostConfig {
        binds: Some(vec![format!("{}:/out", out.display())]),
        memory: Some(64 * 1024 * 1024),
        nano_cpus: Some(100_000_000 * 10),
        network_mode: match recipe {
            Recipe::Default => None,
            Recipe::Joined(holder) => Some(format!("container:{holder}")),
        },
        log_config: match recipe {
            Recipe::Default => None,
            Recipe::Joined(_) => Some(HostConfigLogConfig {
                typ: Some("none".to_owned()),
                config: None,
            }),
        },
        ..HostConfig::default()
    };
    let body = ContainerCreateBody {
        image: Some(stage.image.reference.clone()),
        entrypoint: Some(vec!["/bin/sh".to_owned(), "-c".to_owned()]),
        cmd: Some(vec![stamp(&format!("/out/{file}"))]),
        labels: Some([("spillway.test".to_owned(), "bench".to_owned())].into()),
        host_config: Some(host),
        ..ContainerCreateBody::default()
    };
    let began_us = now_us();
    let began = Instant::now();
    let id = docker
        .create_container(Some(CreateContainerOptionsBuilder::default().build()), body)
        .await?
        .id;
    docker
        .start_container(&id, None::<StartContainerOptions>)
        .await?;
    let mut wait = docker.wait_container(&id, None::<WaitContainerOptions>);
    while let Some(end) = wait.next().await {
        end.context("a floor's container")?;
    }
    docker
        .remove_container(
            &id,
            Some(RemoveContainerOptionsBuilder::default().force(true).build()),
        )
        .await?;
    let whole = began.elapsed().as_secs_f64() * 1e3;
    let stamp = read_stamp(&wait_for_file(&out.join(file)).await?)?;
    Ok(Life {
        to_script: (stamp - began_us) / 1e3,
        whole,
    })
}

/// A sleeping container to join.
pub(crate) async fn holder(stage: &Stage) -> Result<String> {
    let body = ContainerCreateBody {
        image: Some(stage.image.reference.clone()),
        entrypoint: Some(vec!["/bin/sh".to_owned(), "-c".to_owned()]),
        cmd: Some(vec!["sleep 100000".to_owned()]),
        labels: Some([("spillway.test".to_owned(), "bench".to_owned())].into()),
        ..ContainerCreateBody::default()
    };
    let docker = stage.engine.docker();
    let id = docker
        .create_container(Some(CreateContainerOptionsBuilder::default().build()), body)
        .await?
        .id;
    docker
        .start_container(&id, None::<StartContainerOptions>)
        .await?;
    Ok(id)
}

/// Removes it.
pub(crate) async fn remove(stage: &Stage, id: &str) -> Result<()> {
    let options = RemoveContainerOptionsBuilder::default().force(true).build();
    Ok(stage
        .engine
        .docker()
        .remove_container(id, Some(options))
        .await?)
}

/// fork + exec + wait of the shell, in milliseconds.
pub(crate) fn fork_exec(samples: usize) -> Result<Samples> {
    (0..samples)
        .map(|_| {
            let began = Instant::now();
            std::process::Command::new("/bin/busybox")
                .args(["sh", "-c", ":"])
                .status()?;
            Ok(began.elapsed().as_secs_f64() * 1e3)
        })
        .collect()
}
