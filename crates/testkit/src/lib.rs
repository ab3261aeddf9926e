//! What Spillway's tests and benchmarks share: whole clusters of real processes on free ports, container images
//! made on the spot, a client that speaks the public interfaces, and ways to break things.
//!
//! Everything a cluster creates carries its id and is gone when it is dropped, containers and images included.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use spillway_testkit::{Cluster, ServiceSpec};
//!
//! let mut cluster = Cluster::start().await?;
//! cluster.apply(&ServiceSpec::new("copy", "cp \"$INPUT_FILE_PATH\" \"$TMP_OUTPUT_DIR/\"")).await?;
//! cluster.put("copy/in/a.txt", "hello").await?;
//! assert_eq!(cluster.wait_for("copy/out/a.txt").await?, "hello");
//! cluster.finish().await
//! # }
//! ```

mod binaries;
mod client;
pub mod clients;
mod cluster;
mod docker;
mod dockerd;
mod process;
mod servers;
mod service;

pub use binaries::{binary, supervisor};
pub use client::Client;
pub use clients::Python;
pub use cluster::{AgentOptions, Cluster, ClusterOptions};
pub use docker::{Engine, TestImage};
pub use dockerd::PrivateDockerd;
pub use process::{Activity, Memory, Process};
pub use servers::{LOGIN, PASSWORD, Server};
pub use service::ServiceSpec;

/// How long anything in a test may take before it counts as hung. Generous: the machines are small and shared.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(90);

/// Makes `ring` the process's crypto library; harmless when it is already.
pub fn install_crypto() {
    drop(rustls::crypto::ring::default_provider().install_default());
}
