//! The examples in `images/`, as a user runs them: images from Debian packages, FDL through the command.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use spillway_testkit::{Cluster, binary};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn spillway(cluster: &Cluster, arguments: &[&str]) -> Result<String> {
    let output = Command::new(binary("spillway")?)
        .args([
            "--endpoint",
            &cluster.api,
            "--user",
            &cluster.user,
            "--password",
            &cluster.password,
        ])
        .args(arguments)
        .current_dir(root())
        .output()?;
    ensure!(
        output.status.success(),
        "spillway {arguments:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[tokio::test]
async fn the_examples_work_as_their_readme_says() -> Result<()> {
    let built = Command::new(root().join("scripts/images"))
        .status()
        .context("scripts/images")?;
    ensure!(built.success(), "scripts/images failed");
    let cluster = Cluster::start().await?;
    for name in ["grayify", "text-to-speech", "ocr"] {
        spillway(&cluster, &["apply", &format!("images/{name}/{name}.yaml")])?;
    }

    spillway(&cluster, &["put", "grayify", "images/grayify/tomatoes.jpg"])?;
    let facts = cluster.wait_for("grayify/facts/tomatoes.txt").await?;
    assert!(
        facts.contains("JPEG, 960 x 640 pixels, colours: Gray"),
        "{facts}"
    );
    let picture = cluster
        .get("grayify/out/tomatoes.jpg")
        .await?
        .context("the grey picture")?;
    assert_eq!(picture[..3], [0xff, 0xd8, 0xff], "a JPEG file");

    spillway(
        &cluster,
        &[
            "put",
            "text-to-speech",
            "images/text-to-speech/greeting.txt",
        ],
    )?;
    cluster.wait_for("speech/out/greeting.wav").await?;
    let sound = cluster
        .get("speech/out/greeting.wav")
        .await?
        .context("the sound")?;
    assert_eq!(&sound[..4], b"RIFF");
    ensure!(
        sound.len() > 100_000,
        "some seconds of speech, not {} bytes",
        sound.len()
    );

    spillway(&cluster, &["put", "ocr", "images/ocr/label.png"])?;
    let read = cluster.wait_for("scans/text/label.txt").await?;
    assert!(read.contains("Soil moisture: 31 percent"), "{read}");
    cluster.finish().await
}
