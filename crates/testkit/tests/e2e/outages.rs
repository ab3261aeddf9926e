//! Nodes that hang, gateways that are away, disks that are full.

use std::time::Duration;

use anyhow::{Context, Result};
use spillway_model::report::{JobReport, JobState};
use spillway_testkit::{AgentOptions, Cluster, ClusterOptions, PATIENCE, ServiceSpec};
use tokio::time::{Instant, sleep};

/// Short, so that a silent node is given up while the test watches.
const LEASE: Duration = Duration::from_secs(3);

async fn cluster(agents: usize) -> Result<Cluster> {
    Cluster::with(ClusterOptions {
        gateway_flags: vec!["--lease".to_owned(), format!("{}s", LEASE.as_secs())],
        agents: vec![AgentOptions::default(); agents],
        ..ClusterOptions::default()
    })
    .await
}

/// Waits for the service's only job to be as described.
async fn wait_for_job(
    cluster: &Cluster,
    service: &str,
    what: &str,
    is_so: impl Fn(&JobReport) -> bool,
) -> Result<JobReport> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let jobs = cluster.jobs(service).await?;
        if let Some(job) = jobs.iter().find(|job| is_so(job)) {
            return Ok(job.clone());
        }
        anyhow::ensure!(Instant::now() < deadline, "no job is {what}: {jobs:#?}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until the script has printed `words`.
async fn wait_for_output(cluster: &Cluster, job: &JobReport, words: &str) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let log = cluster
            .log(&job.service, &job.name)
            .await
            .unwrap_or_default();
        if log.contains(words) {
            return Ok(());
        }
        anyhow::ensure!(
            Instant::now() < deadline,
            "{words:?} is not in the log: {log}"
        );
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn the_late_results_of_a_node_that_hung_are_refused_and_never_seen() -> Result<()> {
    let cluster = cluster(2).await?;
    // Each attempt leaves a result of its own.
    let script = r#"echo begun; sleep 3
        cat /proc/sys/kernel/random/uuid > "$TMP_OUTPUT_DIR/result""#;
    cluster.apply(&ServiceSpec::new("slow", script)).await?;
    cluster
        .apply(&ServiceSpec::new("witness", "true").from("slow/out"))
        .await?;
    cluster.put("slow/in/x", "x").await?;
    let job = wait_for_job(&cluster, "slow", "running", |job| {
        job.state == JobState::Leased && !job.node.is_empty()
    })
    .await?;
    wait_for_output(&cluster, &job, "begun").await?;
    let number: usize = job.node.trim_start_matches("node-").parse()?;
    let zombie = &cluster.agents[number];
    // The node hangs; its container does not, and comes to its end.
    zombie.freeze()?;
    let result = cluster.wait_for("slow/out/result").await?;
    let jobs = cluster.wait_for_jobs("slow", 1).await?;
    let [job] = jobs.as_slice() else {
        anyhow::bail!("one job was expected: {jobs:#?}");
    };
    assert_eq!(
        (job.state, job.attempt, job.interruptions, job.failures),
        (JobState::Succeeded, 2, 1, 0),
        "{job:#?}"
    );
    assert_ne!(job.node, format!("node-{number}"));

    // It wakes up with a result in its hands, and is told: by its heartbeat, or when it delivers.
    zombie.thaw()?;
    zombie.wait_for_log("no longer this node's").await?;
    assert_eq!(cluster.wait_for("slow/out/result").await?, result);
    let after = cluster.wait_for_jobs("slow", 1).await?;
    assert_eq!(
        after.as_slice(),
        std::slice::from_ref(job),
        "nothing has changed"
    );
    assert_eq!(
        cluster.wait_for_jobs("witness", 1).await?.len(),
        1,
        "the result was published once"
    );
    // And it works on.
    let mut cluster = cluster;
    cluster.wait_for_nodes(2).await?;
    cluster.finish().await
}

#[tokio::test]
async fn a_result_that_is_ready_while_the_gateway_is_away_arrives_once_it_is_back() -> Result<()> {
    let mut cluster = cluster(1).await?;
    let script = r#"echo begun; sleep 3; rev < "$INPUT_FILE_PATH" > "$TMP_OUTPUT_DIR/result""#;
    cluster.apply(&ServiceSpec::new("work", script)).await?;
    cluster.put("work/in/x", "abc\n").await?;
    let job = wait_for_job(&cluster, "work", "running", |job| {
        job.state == JobState::Leased
    })
    .await?;
    wait_for_output(&cluster, &job, "begun").await?;
    cluster.gateway.kill().await?;
    cluster.agents[0]
        .wait_for_log("the end is kept until the gateway is back")
        .await?;
    cluster.restart_gateway().await?;
    assert_eq!(cluster.wait_for("work/out/result").await?, "cba\n");
    let jobs = cluster.wait_for_jobs("work", 1).await?;
    assert_eq!(
        (jobs.len(), jobs[0].attempt, jobs[0].interruptions),
        (1, 1, 0),
        "it ran once: {jobs:#?}"
    );
    cluster.finish().await
}

#[tokio::test]
async fn dead_letters_survive_a_restart_with_their_input() -> Result<()> {
    let mut cluster = cluster(1).await?;
    cluster
        .apply(&ServiceSpec::new("fails", "echo no; exit 3"))
        .await?;
    // One whose bytes sit in a row, one whose bytes are a file.
    let inputs = [("small", 10), ("large", 200_000)];
    for (name, length) in inputs {
        let path = format!("fails/in/{name}");
        cluster.put(&path, vec![b'x'; length]).await?;
        cluster.wait_for_jobs("fails", 1).await?;
        // The letter's input is its own: it does not go with the object.
        spillway_storage::Storage::delete(
            cluster.s3(),
            &spillway_storage::ObjectPath::parse(&path),
        )
        .await?;
    }
    let before = cluster.wait_for_jobs("fails", 2).await?;
    cluster.gateway.kill().await?;
    cluster.restart_gateway().await?;
    let after = cluster.jobs("fails").await?;
    assert_eq!(after, before);
    assert!(
        after
            .iter()
            .all(|job| job.state == JobState::Dead && job.reason == "exit_code"),
        "{after:#?}"
    );
    cluster
        .apply(&ServiceSpec::new(
            "fails",
            r#"wc -c < "$INPUT_FILE_PATH" > "$TMP_OUTPUT_DIR/$(basename "$INPUT_FILE_PATH")""#,
        ))
        .await?;
    let (status, text) = cluster
        .request(reqwest::Method::POST, "/spillway/v1/dead-letters/retry", "")
        .await?;
    assert!(status.is_success(), "{status} {text}");
    for (name, length) in inputs {
        let counted = cluster.wait_for(&format!("fails/out/{name}")).await?;
        assert_eq!(counted.trim().parse::<usize>().context(counted)?, length);
    }
    cluster.finish().await
}
