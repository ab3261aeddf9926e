//! The clients people have for OSCAR and for S3, as their registries have them, against a cluster of real processes.
//!
//! A client's own tests are in its own language, in the folder of its name; here a cluster is started for them.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod command_line;
mod definitions;
mod oscar_python;
mod rclone;
mod s3;

use anyhow::Result;
use spillway_testkit::{Cluster, Python};

/// Runs the tests in a folder beside this file, which find the cluster in their environment.
async fn pytest(cluster: &Cluster, python: &Python, folder: &str) -> Result<()> {
    let tests = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/clients")
        .join(folder);
    let environment = [
        ("SPILLWAY_API", cluster.api.as_str()),
        ("SPILLWAY_S3", cluster.s3_url.as_str()),
        ("SPILLWAY_USER", cluster.user.as_str()),
        ("SPILLWAY_PASSWORD", cluster.password.as_str()),
        ("SPILLWAY_IMAGE", cluster.image()),
    ];
    println!("{}", python.pytest(&tests, &environment).await?);
    Ok(())
}
