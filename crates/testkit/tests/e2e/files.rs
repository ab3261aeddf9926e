//! Names, sizes and destinations of files.

use anyhow::Result;
use bytes::Bytes;
use futures::StreamExt;
use serde_json::json;
use spillway_storage::Content;
use spillway_testkit::{Cluster, PATIENCE, ServiceSpec};

use crate::text;

const MIB: u64 = 1024 * 1024;

#[tokio::test]
async fn outputs_keep_their_sub_folders() -> Result<()> {
    let cluster = Cluster::start().await?;
    let script = r#"mkdir -p "$TMP_OUTPUT_DIR/a/b" "$TMP_OUTPUT_DIR/empty"
        cp "$INPUT_FILE_PATH" "$TMP_OUTPUT_DIR/top.txt"
        echo deep > "$TMP_OUTPUT_DIR/a/b/deep.txt"
        echo "blank" > "$TMP_OUTPUT_DIR/a/with blank.txt""#;
    cluster.apply(&ServiceSpec::new("folders", script)).await?;
    cluster.put("folders/in/x.txt", "hello").await?;
    cluster.wait_for_jobs("folders", 1).await?;
    let mut keys = cluster.list("folders/out/").await?;
    keys.sort();
    assert_eq!(
        keys,
        ["out/a/b/deep.txt", "out/a/with blank.txt", "out/top.txt"]
    );
    assert_eq!(cluster.wait_for("folders/out/top.txt").await?, "hello");
    assert_eq!(
        cluster.wait_for("folders/out/a/b/deep.txt").await?,
        "deep\n"
    );
    cluster.finish().await
}

#[tokio::test]
async fn each_output_takes_the_files_its_filters_let_through() -> Result<()> {
    let cluster = Cluster::start().await?;
    let script = r#"cd "$TMP_OUTPUT_DIR"; mkdir daily
        echo 1 > leaf.png; echo 2 > leaf.json; echo 3 > root.json; echo 4 > daily/leaf.json; echo 5 > nobody.bin"#;
    let outputs = json!([
        { "storage_provider": "minio", "path": "filters/png", "suffix": [".png"] },
        { "storage_provider": "minio", "path": "filters/json", "suffix": [".json", ".csv"] },
        { "storage_provider": "minio", "path": "other/leaves", "prefix": ["leaf"], "suffix": [".json", ".png"] },
        { "storage_provider": "minio", "path": "other/daily", "prefix": ["daily/"] },
    ]);
    cluster
        .apply(&ServiceSpec::new("filters", script).with("output", outputs))
        .await?;
    cluster.put("filters/in/x", "").await?;
    cluster.wait_for_jobs("filters", 1).await?;
    let mut keys = cluster.list("filters/").await?;
    keys.sort();
    assert_eq!(
        keys,
        [
            "in/x",
            "json/daily/leaf.json",
            "json/leaf.json",
            "json/root.json",
            "png/leaf.png"
        ]
    );
    let mut keys = cluster.list("other/").await?;
    keys.sort();
    assert_eq!(
        keys,
        [
            "daily/daily/leaf.json",
            "leaves/leaf.json",
            "leaves/leaf.png"
        ]
    );
    cluster.finish().await
}

#[tokio::test]
async fn keys_may_be_unicode_and_full_of_blanks() -> Result<()> {
    let cluster = Cluster::start().await?;
    let script = r#"cp "$INPUT_FILE_PATH" "$TMP_OUTPUT_DIR/$(basename "$INPUT_FILE_PATH")"
        printf '%s' "$STORAGE_OBJECT_KEY" > "$TMP_OUTPUT_DIR/$(basename "$INPUT_FILE_PATH").key""#;
    cluster.apply(&ServiceSpec::new("names", script)).await?;
    let names = [
        "ñandú 日本語.txt",
        "two  blanks and a + plus.txt",
        "100% & ?#[x].txt",
        "emoji 🌱.bin",
        "quote'\"$HOME`id`.txt",
    ];
    for name in names {
        cluster
            .put(
                &format!("names/in/sub folder/{name}"),
                format!("content of {name}"),
            )
            .await?;
    }
    cluster.wait_for_jobs("names", names.len()).await?;
    for name in names {
        assert_eq!(
            cluster.wait_for(&format!("names/out/{name}")).await?,
            format!("content of {name}")
        );
        assert_eq!(
            cluster.wait_for(&format!("names/out/{name}.key")).await?,
            format!("in/sub folder/{name}")
        );
    }
    cluster.finish().await
}

#[tokio::test]
async fn empty_files_pass() -> Result<()> {
    let cluster = Cluster::start().await?;
    let script = r#"[ -f "$INPUT_FILE_PATH" ] && [ ! -s "$INPUT_FILE_PATH" ] && : > "$TMP_OUTPUT_DIR/also-empty""#;
    cluster.apply(&ServiceSpec::new("nothing", script)).await?;
    cluster.put("nothing/in/empty", "").await?;
    let jobs = cluster.wait_for_jobs("nothing", 1).await?;
    assert_eq!(
        cluster.get("nothing/out/also-empty").await?,
        Some(Vec::new()),
        "{jobs:#?}"
    );
    cluster.finish().await
}

#[tokio::test]
async fn a_job_processes_the_bytes_of_its_own_upload_even_when_they_are_overwritten() -> Result<()>
{
    let cluster = Cluster::start().await?;
    // The name of the output is the content, so that each version leaves a trace of its own.
    let script = r#"sleep 0.3; cp "$INPUT_FILE_PATH" "$TMP_OUTPUT_DIR/$(cat "$INPUT_FILE_PATH")""#;
    cluster
        .apply(&ServiceSpec::new("versions", script).with("cpu", "2"))
        .await?;
    for version in ["one", "two", "three"] {
        cluster.put("versions/in/same-key", version).await?;
    }
    cluster.wait_for_jobs("versions", 3).await?;
    let mut keys = cluster.list("versions/out/").await?;
    keys.sort();
    assert_eq!(keys, ["out/one", "out/three", "out/two"]);
    cluster.finish().await
}

#[tokio::test]
async fn three_hundred_megabytes_pass_through_a_small_container_and_small_daemons() -> Result<()> {
    let cluster = Cluster::start().await?;
    let script = r#"md5sum < "$INPUT_FILE_PATH" > "$TMP_OUTPUT_DIR/sum"; cp "$INPUT_FILE_PATH" "$TMP_OUTPUT_DIR/copy""#;
    cluster
        .apply(
            &ServiceSpec::new("large", script)
                .with("memory", "64Mi")
                .with("cpu", "1"),
        )
        .await?;
    let piece = Bytes::from(noise());
    let pieces = futures::stream::repeat_with(move || Ok(piece.clone()))
        .take(300)
        .boxed();
    cluster
        .put_content("large/in/big", Content::new(pieces, Some(300 * MIB)))
        .await?;
    let jobs = cluster
        .wait_for_jobs_within("large", 1, PATIENCE * 3)
        .await?;
    let log = cluster.log("large", &jobs[0].name).await?;
    let sizes: Vec<_> = cluster.list("large/out/").await?;
    assert_eq!(sizes.len(), 2, "{jobs:#?}\n{log}");
    assert_eq!(jobs[0].usage.output_bytes, 300 * MIB + 36);

    // The copy is the same file: hash it again by sending it round once more.
    let copy = cluster.get("large/out/copy").await?.unwrap();
    assert_eq!(copy.len() as u64, 300 * MIB);
    cluster.put("large/in/again", copy).await?;
    cluster
        .wait_for_jobs_within("large", 2, PATIENCE * 3)
        .await?;
    let sum = cluster.wait_for("large/out/sum").await?;
    assert_eq!(
        sum.trim_end(),
        format!("{}  -", md5_of_pieces()),
        "{}",
        text(sum.as_bytes())
    );

    for (name, process) in [("gateway", &cluster.gateway), ("agent", &cluster.agents[0])] {
        let memory = process.memory()?;
        assert!(
            memory.peak_resident < 60 * MIB,
            "the {name} took {} MiB",
            memory.peak_resident / MIB
        );
    }
    cluster.finish().await
}

/// MD5 of the three hundred pieces, by the tool that the script uses, too.
fn md5_of_pieces() -> String {
    use std::io::Write;
    let mut child = std::process::Command::new("md5sum")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let piece: Vec<u8> = noise();
    let mut stdin = child.stdin.take().unwrap();
    for _ in 0..300 {
        stdin.write_all(&piece).unwrap();
    }
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    text(&output.stdout)
        .split_whitespace()
        .next()
        .unwrap()
        .to_owned()
}

/// A mebibyte without an obvious pattern.
fn noise() -> Vec<u8> {
    (0..MIB)
        .map(|n| ((n * 2_654_435_761) >> 7).to_le_bytes()[0])
        .collect()
}
