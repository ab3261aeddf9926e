//! Many services at once.

use anyhow::Result;
use futures::future::try_join_all;
use spillway_testkit::{Cluster, PATIENCE, ServiceSpec};

#[tokio::test]
async fn fifty_services_at_once_each_do_their_own_work() -> Result<()> {
    const SERVICES: usize = 50;
    let cluster = Cluster::start().await?;
    let name = |number: usize| format!("service-{number:02}");
    try_join_all((0..SERVICES).map(|number| {
        let script = format!(r#"(cat "$INPUT_FILE_PATH"; echo {}) > "$TMP_OUTPUT_DIR/$(basename "$INPUT_FILE_PATH")""#, name(number));
        let service = ServiceSpec::new(&name(number), &script).with("memory", "16Mi");
        let cluster = &cluster;
        async move { cluster.apply(&service).await }
    }))
    .await?;
    try_join_all((0..SERVICES * 2).map(|upload| {
        let path = format!("{}/in/{upload}.txt", name(upload % SERVICES));
        let cluster = &cluster;
        async move { cluster.put(&path, format!("{upload} ")).await }
    }))
    .await?;
    for number in 0..SERVICES {
        let service = name(number);
        let jobs = cluster
            .wait_for_jobs_within(&service, 2, PATIENCE * 3)
            .await?;
        assert_eq!(jobs.len(), 2);
        for upload in [number, number + SERVICES] {
            let content = cluster
                .wait_for(&format!("{service}/out/{upload}.txt"))
                .await?;
            assert_eq!(content, format!("{upload} {service}\n"));
        }
    }
    cluster.finish().await
}
