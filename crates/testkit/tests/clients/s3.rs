//! `boto3` and `minio`: the whole life of buckets and objects.

use anyhow::Result;
use spillway_testkit::{Cluster, ClusterOptions, Python};

#[tokio::test]
async fn boto3_and_minio_do_all_they_can() -> Result<()> {
    let python = Python::with("s3").await?;
    let cluster = Cluster::with(ClusterOptions::default()).await?;
    crate::pytest(&cluster, &python, "s3").await?;
    cluster.finish().await
}
