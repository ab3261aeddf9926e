//! Managed volumes: folders on one node that survive their jobs.

use anyhow::{Context as _, Result, ensure};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use spillway_testkit::{AgentOptions, Cluster, ClusterOptions, PATIENCE, ServiceSpec};
use tokio::time::{Duration, Instant, sleep};

/// Notes in the volume where each run took place, and puts all notes out.
const NOTE: &str = r#"echo "$RESOURCE_ID" >> /data/notes; cp /data/notes "$TMP_OUTPUT_DIR/$(basename "$INPUT_FILE_PATH")""#;

async fn two_nodes() -> Result<Cluster> {
    Cluster::with(ClusterOptions {
        agents: vec![AgentOptions::default(), AgentOptions::default()],
        ..ClusterOptions::default()
    })
    .await
}

fn notes(name: &str, volume: Value) -> ServiceSpec {
    ServiceSpec::new(name, NOTE).with("volume", volume)
}

async fn volume(cluster: &Cluster, name: &str) -> Result<Option<Value>> {
    let path = format!("/system/volumes/{name}");
    let (status, text) = cluster.request(Method::GET, &path, "").await?;
    if status == StatusCode::NOT_FOUND {
        return Ok(None);
    }
    ensure!(status.is_success(), "{status} {text}");
    Ok(Some(serde_json::from_str(&text)?))
}

/// Waits until the volume is as wanted; the engine's own list comes with it.
async fn until(
    cluster: &Cluster,
    name: &str,
    wanted: impl Fn(Option<&Value>, usize) -> bool,
) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (now, made) = (volume(cluster, name).await?, cluster.volumes().await?);
        if wanted(now.as_ref(), made.len()) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "still {now:?} and {made:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn data_survive_between_jobs_and_stay_on_one_of_two_nodes() -> Result<()> {
    let mut cluster = two_nodes().await?;
    let spec = notes("notes", json!({ "size": "10Mi", "mount_path": "/data" }));
    cluster.apply(&spec).await?;
    for number in 0..6 {
        cluster.put(&format!("notes/in/{number}"), "x").await?;
    }
    let jobs = cluster.wait_for_jobs("notes", 6).await?;
    let node = jobs[0].node.clone();
    assert!(jobs.iter().all(|job| job.node == node), "{jobs:#?}");
    let state = volume(&cluster, "notes").await?.context("no volume")?;
    assert_eq!(state["node"], json!(node));
    assert_eq!(state["status"]["phase"], "in_use");
    assert_eq!(
        state["attachments"],
        json!([{ "service_name": "notes", "mount_path": "/data" }])
    );

    // Neither a new agent nor a new gateway loses anything, nor is a warm container's view another one.
    let number = usize::from(node == "node-1");
    cluster.agents[number].stop().await?;
    cluster.restart_agent(number)?;
    cluster.gateway.stop().await?;
    cluster.restart_gateway().await?;
    cluster.wait_for_nodes(2).await?;
    cluster.put("notes/in/last", "x").await?;
    cluster.wait_for_jobs("notes", 7).await?;
    let all = cluster.wait_for("notes/out/last").await?;
    assert_eq!(all, format!("{node}\n").repeat(7));

    let answer = cluster
        .request(Method::DELETE, "/system/volumes/notes", "")
        .await?;
    let attached = "managed volume is still attached to one or more services";
    assert_eq!(answer, (StatusCode::BAD_REQUEST, attached.to_owned()));
    let service: Value = serde_json::from_str(&cluster.get_text("/system/services/notes").await?)?;
    assert_eq!(
        service["volume_status"],
        json!({ "enabled": true, "name": "notes", "phase": "in_use" })
    );
    // The policy is to delete: service, containers, volume.
    cluster.delete_service("notes").await?;
    until(&cluster, "notes", |state, made| {
        state.is_none() && made == 0
    })
    .await?;
    cluster.finish().await
}

#[tokio::test]
async fn a_retained_volume_is_mounted_by_the_next_service_and_deleted_by_hand() -> Result<()> {
    let cluster = two_nodes().await?;
    let size = json!({ "name": "kept", "size": "10Mi", "mount_path": "/data", "lifecycle_policy": "retain" });
    cluster.apply(&notes("first", size)).await?;
    cluster.put("first/in/a", "x").await?;
    let first = cluster.wait_for("first/out/a").await?;
    cluster.delete_service("first").await?;
    let state = volume(&cluster, "kept").await?.context("no volume")?;
    assert_eq!(state["status"]["phase"], "ready");
    assert_eq!(
        (&state["creation_mode"], &state["lifecycle_policy"]),
        (&json!("service"), &json!("retain"))
    );

    // Its place decides where the next one runs; other users' images can write, too.
    let image = cluster
        .engine
        .image(
            &format!("spillway-test/{}-nobody:1", cluster.id),
            &std::fs::read("/bin/busybox")?,
            &["USER 65534"],
        )
        .await?;
    let script = r#"echo again > /data/mine && cat /data/notes /data/mine > "$TMP_OUTPUT_DIR/out""#;
    let second = ServiceSpec::new("second", script)
        .with("image", image.reference.clone())
        .with("volume", json!({ "name": "kept", "mount_path": "/data" }));
    cluster.apply(&second).await?;
    cluster.put("second/in/a", "x").await?;
    assert_eq!(
        cluster.wait_for("second/out/out").await?,
        format!("{first}again\n")
    );
    let jobs = cluster.wait_for_jobs("second", 1).await?;
    assert_eq!(format!("{}\n", jobs[0].node), first);
    cluster.delete_service("second").await?;

    let answer = cluster
        .request(Method::DELETE, "/system/volumes/kept", "")
        .await?;
    assert_eq!(answer, (StatusCode::NO_CONTENT, String::new()));
    until(&cluster, "kept", |state, made| state.is_none() && made == 0).await?;
    image.remove().await;
    cluster.finish().await
}

#[tokio::test]
async fn a_volume_whose_content_is_lost_is_told_and_not_made_up() -> Result<()> {
    let cluster = Cluster::start().await?;
    let spec = notes("notes", json!({ "size": "10Mi", "mount_path": "/data" }));
    cluster.apply(&spec).await?;
    cluster.put("notes/in/a", "x").await?;
    cluster.wait_for("notes/out/a").await?;
    // Somebody cleans the node up by hand.
    let made = cluster.volumes().await?;
    ensure!(made.len() == 1, "{made:?}");
    let deadline = Instant::now() + PATIENCE;
    loop {
        cluster
            .engine
            .remove_containers("spillway.service", "notes")
            .await?;
        let docker = cluster.engine.docker();
        let gone = docker.remove_volume(
            &made[0],
            None::<bollard::query_parameters::RemoveVolumeOptions>,
        );
        if gone.await.is_ok() {
            break;
        }
        ensure!(Instant::now() < deadline, "the volume cannot be removed");
        sleep(Duration::from_millis(100)).await;
    }
    cluster.put("notes/in/b", "x").await?;
    until(&cluster, "notes", |state, made| {
        made == 0 && state.is_some_and(|state| state["status"]["phase"] == "error")
    })
    .await?;
    let state = volume(&cluster, "notes").await?.context("no volume")?;
    let message = state["status"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("node-0 has lost it"), "{message}");
    assert!(cluster.get("notes/out/b").await?.is_none());
    cluster.delete_service("notes").await?;
    until(&cluster, "notes", |state, _| state.is_none()).await?;
    cluster.finish().await
}
