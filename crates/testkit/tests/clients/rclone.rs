//! `rclone`, as Debian packages it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use spillway_testkit::clients::outcome;
use spillway_testkit::{Cluster, ClusterOptions};
use tokio::process::Command;

const PATIENCE: Duration = Duration::from_mins(5);
const LARGE: usize = 200 * 1024 * 1024;

#[tokio::test]
async fn a_tree_of_files_is_the_same_there_and_back() -> Result<()> {
    let cluster = Cluster::with(ClusterOptions::default()).await?;
    let folder = tempfile::tempdir()?;
    let (here, back) = (folder.path().join("here"), folder.path().join("back"));
    make_tree(&here)?;
    ok(&cluster, &["mkdir", "edge:tree"]).await?;

    ok(&cluster, &["sync", path(&here), "edge:tree"]).await?;
    let checked = ok(&cluster, &["check", path(&here), "edge:tree"]).await?;
    ensure!(checked.contains("0 differences found"), "{checked}");
    ok(&cluster, &["sync", "edge:tree", path(&back)]).await?;
    let same = Command::new("diff").arg("-r").args([&here, &back]).output();
    let same = same.await?;
    ensure!(
        same.status.success(),
        "{}",
        String::from_utf8_lossy(&same.stdout)
    );

    // What is changed, new and gone here must be so there, and nothing else is touched.
    fs::write(here.join("sub/0001.txt"), "changed, and longer")?;
    fs::write(here.join("new ☂.txt"), "new")?;
    fs::remove_file(here.join("sub/0002.txt"))?;
    let differs = rclone(&cluster, &["check", path(&here), "edge:tree"]).await?;
    ensure!(!differs.0, "three differences must be seen: {}", differs.1);
    ensure!(differs.1.contains("3 differences found"), "{}", differs.1);
    let synced = ok(&cluster, &["sync", "-v", path(&here), "edge:tree"]).await?;
    ensure!(synced.contains("Deleted:"), "{synced}");
    ensure!(!synced.contains("sub/0003.txt"), "{synced}");
    ok(&cluster, &["check", path(&here), "edge:tree"]).await?;

    let listed = ok(&cluster, &["lsf", "edge:tree/names"]).await?;
    ensure!(listed.contains("ñandú 日本語.txt"), "{listed}");
    let shown = ok(&cluster, &["cat", "edge:tree/new ☂.txt"]).await?;
    ensure!(shown.starts_with("new"), "{shown}");
    ok(
        &cluster,
        &["moveto", "edge:tree/new ☂.txt", "edge:tree/old"],
    )
    .await?;
    ok(&cluster, &["purge", "edge:tree"]).await?;
    let gone = rclone(&cluster, &["lsf", "edge:tree"]).await?;
    ensure!(!gone.0, "a purged bucket is gone: {}", gone.1);
    cluster.finish().await
}

/// Two thousand small files, odd names, empty files, and a large one that goes up in parts.
fn make_tree(folder: &Path) -> Result<()> {
    for sub in ["sub", "names", "empty/deep/er"] {
        fs::create_dir_all(folder.join(sub))?;
    }
    for number in 0..2000 {
        fs::write(
            folder.join(format!("sub/{number:04}.txt")),
            format!("{number}\n").repeat(number % 50 + 1),
        )?;
    }
    for name in [
        "ñandú 日本語.txt",
        "two  blanks + plus.txt",
        "100% & #[x].txt",
        "emoji 🌱.bin",
        "quote'\"`.txt",
    ] {
        fs::write(folder.join("names").join(name), name)?;
    }
    for name in ["a", "deep/b", "deep/er/c"] {
        fs::write(folder.join("empty").join(name), "")?;
    }
    let mut large = Vec::with_capacity(LARGE);
    let mut state = 1_u64;
    while large.len() < LARGE {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        large.extend_from_slice(&state.to_le_bytes());
    }
    fs::write(folder.join("large.bin"), large).context("writing the large file")
}

fn path(folder: &Path) -> &str {
    folder.to_str().unwrap()
}

async fn ok(cluster: &Cluster, arguments: &[&str]) -> Result<String> {
    let (good, said) = rclone(cluster, arguments).await?;
    ensure!(good, "rclone {arguments:?} failed:\n{said}");
    Ok(said)
}

/// Whether it succeeded, and what it said. The remote `edge` is the cluster, by rclone's own settings from the
/// environment.
async fn rclone(cluster: &Cluster, arguments: &[&str]) -> Result<(bool, String)> {
    let mut command = Command::new("rclone");
    command.args(arguments).args(["--config", "/dev/null"]);
    // rclone's S3 client stops at a CA bundle that is set for others.
    command.env_remove("AWS_CA_BUNDLE");
    command.args(["--retries", "1", "--checkers", "8", "--transfers", "8"]);
    for (name, value) in [
        ("TYPE", "s3"),
        ("PROVIDER", "Minio"),
        ("ENDPOINT", &cluster.s3_url),
        ("ACCESS_KEY_ID", &cluster.user),
        ("SECRET_ACCESS_KEY", &cluster.password),
    ] {
        command.env(format!("RCLONE_CONFIG_EDGE_{name}"), value);
    }
    let output = outcome(command, PATIENCE)
        .await
        .context("rclone is installed by `scripts/setup test`")?;
    let said = [output.stdout, output.stderr].concat();
    Ok((
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    ))
}
