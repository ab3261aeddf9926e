//! Scripts, images and inputs that do not behave.

use anyhow::Result;
use spillway_model::report::{JobReport, JobState};
use spillway_testkit::{Cluster, ServiceSpec};

/// Runs one file through the service and returns the job and its log.
async fn run(cluster: &Cluster, service: &ServiceSpec) -> Result<(JobReport, String)> {
    cluster.apply(service).await?;
    cluster.put(&format!("{}/in/x", service.name), "x").await?;
    let jobs = cluster.wait_for_jobs(&service.name, 1).await?;
    assert_eq!(jobs.len(), 1, "{jobs:#?}");
    let log = cluster.log(&service.name, &jobs[0].name).await?;
    Ok((jobs[0].clone(), log))
}

#[tokio::test]
async fn a_script_that_fails_is_tried_again_and_then_a_dead_letter_with_its_input() -> Result<()> {
    let cluster = Cluster::start().await?;
    let script = r#"echo "no good: $(cat "$INPUT_FILE_PATH")" >&2; echo half > "$TMP_OUTPUT_DIR/half"; exit 7"#;
    let (job, log) = run(
        &cluster,
        &ServiceSpec::new("fails", script).with("edge.retries", 1),
    )
    .await?;
    assert_eq!(
        (job.state, job.failures, job.attempt),
        (JobState::Dead, 2, 2),
        "{job:#?}"
    );
    assert_eq!(job.reason, "exit_code");
    assert!(job.message.contains('7'), "{}", job.message);
    assert_eq!(log.matches("no good: x").count(), 2, "{log}");
    assert!(
        cluster.list("fails/out/").await?.is_empty(),
        "a failed attempt publishes nothing"
    );

    // The dead letter keeps its input even when the object is gone, and succeeds once the service is mended.
    spillway_storage::Storage::delete(
        cluster.s3(),
        &spillway_storage::ObjectPath::parse("fails/in/x"),
    )
    .await?;
    let mended = r#"cp "$INPUT_FILE_PATH" "$TMP_OUTPUT_DIR/whole""#;
    cluster.apply(&ServiceSpec::new("fails", mended)).await?;
    let path = format!("/spillway/v1/dead-letters/{}/retry", job.name);
    let (status, text) = cluster.request(reqwest::Method::POST, &path, "").await?;
    assert!(status.is_success(), "{status} {text}");
    assert_eq!(cluster.wait_for("fails/out/whole").await?, "x");
    cluster.finish().await
}

#[tokio::test]
async fn a_script_that_hangs_is_stopped_at_its_time_limit() -> Result<()> {
    let cluster = Cluster::start().await?;
    let script = "echo before; trap '' TERM; sleep 1000";
    let (job, log) = run(
        &cluster,
        &ServiceSpec::new("hangs", script).with("edge.timeout", "1s"),
    )
    .await?;
    assert_eq!(
        (job.state, job.reason.as_str()),
        (JobState::Dead, "timed_out"),
        "{job:#?}"
    );
    assert!(log.contains("before"), "{log}");
    cluster.finish().await
}

#[tokio::test]
async fn what_a_script_leaves_behind_is_killed() -> Result<()> {
    let cluster = Cluster::start().await?;
    // How long the processes left behind sleep is what the input says, so that those of two runs can be told apart.
    let script = r#"n=$(cat "$INPUT_FILE_PATH"); setsid sh -c "sleep $n; echo late" & (nohup sleep $n >/dev/null 2>&1 &)
        sleep 0.3; ls /tmp > "$TMP_OUTPUT_DIR/tmp"; ps > "$TMP_OUTPUT_DIR/ps-$n"; echo stray > /tmp/stray"#;
    let service = ServiceSpec::new("forks", script).with("cpu", "2");
    cluster.apply(&service).await?;
    for (count, sleep) in ["1111", "2222"].into_iter().enumerate() {
        cluster.put(&format!("forks/in/{sleep}"), sleep).await?;
        let jobs = cluster.wait_for_jobs("forks", count + 1).await?;
        assert_eq!(jobs[0].state, JobState::Succeeded, "{jobs:#?}");
        assert_eq!(
            jobs[0].spans.warm,
            count > 0,
            "the container is reused: {jobs:#?}"
        );
        let processes = cluster.wait_for(&format!("forks/out/ps-{sleep}")).await?;
        assert!(processes.contains(sleep), "its own are there:\n{processes}");
        assert!(
            count == 0 || !processes.contains("1111"),
            "the first run's are gone:\n{processes}"
        );
        assert_eq!(
            cluster.wait_for("forks/out/tmp").await?,
            "",
            "so is what it left in /tmp"
        );
    }
    cluster.finish().await
}

#[tokio::test]
async fn a_script_that_fills_its_log_keeps_head_and_tail() -> Result<()> {
    let cluster = Cluster::start().await?;
    let script = "echo the first line; yes 0123456789012345678901234567890123456789 | head -c 50000000; echo the last line";
    let (job, log) = run(
        &cluster,
        &ServiceSpec::new("talks", script).with("cpu", "1"),
    )
    .await?;
    assert_eq!(job.state, JobState::Succeeded, "{job:#?}");
    assert!(log.contains("the first line"));
    assert!(log.contains("the last line"));
    assert!(log.len() < 4 * 1024 * 1024, "{} bytes", log.len());
    assert!(
        log.contains("left out here"),
        "a line says that something is missing"
    );
    cluster.finish().await
}

#[tokio::test]
async fn a_script_that_exceeds_its_memory_is_reported_as_such() -> Result<()> {
    let cluster = Cluster::start().await?;
    let script = "echo filling; tail -c 200000000 /dev/zero > /dev/null";
    let (job, log) = run(
        &cluster,
        &ServiceSpec::new("eats", script)
            .with("memory", "32Mi")
            .with("cpu", "1"),
    )
    .await?;
    assert_eq!(
        (job.state, job.reason.as_str()),
        (JobState::Dead, "out_of_memory"),
        "{job:#?}\n{log}"
    );
    assert!(log.contains("memory limit of 32Mi"), "{log}");
    cluster.finish().await
}

#[tokio::test]
async fn an_image_that_does_not_exist_is_reported_as_such() -> Result<()> {
    let cluster = Cluster::start().await?;
    let service =
        ServiceSpec::new("imageless", "true").with("image", "registry.invalid/no/such-image:1");
    let (job, log) = run(&cluster, &service).await?;
    assert_eq!(
        (job.state, job.reason.as_str()),
        (JobState::Dead, "image_missing"),
        "{job:#?}"
    );
    assert!(
        job.message.contains("registry.invalid/no/such-image:1"),
        "{}",
        job.message
    );
    assert!(log.contains("registry.invalid/no/such-image:1"), "{log}");
    cluster.finish().await
}
