//! The main job with TLS on both ports.

use anyhow::Result;
use spillway_testkit::{AgentOptions, Cluster, ClusterOptions, ServiceSpec};

#[tokio::test]
async fn a_job_runs_with_tls_on_both_ports_and_the_agent_knows_the_gateway_by_its_key() -> Result<()>
{
    let mut cluster = Cluster::with(ClusterOptions {
        tls: true,
        agents: vec![AgentOptions::default()],
        ..ClusterOptions::default()
    })
    .await?;
    let script = r#"cp "$INPUT_FILE_PATH" "$TMP_OUTPUT_DIR/copy""#;
    cluster.apply(&ServiceSpec::new("secure", script)).await?;
    // Small enough to travel in the lease, and large enough to be fetched.
    cluster.put("secure/in/small", "hello").await?;
    assert_eq!(cluster.wait_for("secure/out/copy").await?, "hello");
    let large = "x".repeat(20_000_000);
    cluster.put("secure/in/large", large.clone()).await?;
    let jobs = cluster.wait_for_jobs("secure", 2).await?;
    assert!(jobs.iter().all(|job| job.reason.is_empty()), "{jobs:#?}");
    assert_eq!(cluster.wait_for("secure/out/copy").await?, large);

    // The key stays over a restart, and so does everybody's trust in it.
    cluster.gateway.stop().await?;
    cluster.restart_gateway().await?;
    cluster.wait_for_nodes(1).await?;
    cluster.put("secure/in/again", "again").await?;
    cluster.wait_for_jobs("secure", 3).await?;
    assert_eq!(cluster.wait_for("secure/out/copy").await?, "again");
    cluster.finish().await
}
