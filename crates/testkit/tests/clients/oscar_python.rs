//! OSCAR's Python client in both lines, every public method.

use anyhow::Result;
use spillway_testkit::{Cluster, Python};

#[tokio::test]
async fn the_python_client_of_the_1_3_line_works() -> Result<()> {
    every_method("oscar-1").await
}

#[tokio::test]
async fn the_python_client_of_the_2_line_works() -> Result<()> {
    every_method("oscar-2").await
}

async fn every_method(list: &str) -> Result<()> {
    let python = Python::with(list).await?;
    let cluster = Cluster::start().await?;
    crate::pytest(&cluster, &python, "oscar").await?;
    cluster.finish().await
}
