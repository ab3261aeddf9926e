//! What wakes which service.

use anyhow::Result;
use spillway_testkit::{Cluster, ServiceSpec};

#[tokio::test]
async fn services_on_nested_folders_are_both_triggered() -> Result<()> {
    let cluster = Cluster::start().await?;
    let script = r#"cp "$INPUT_FILE_PATH" "$TMP_OUTPUT_DIR/""#;
    cluster
        .apply(
            &ServiceSpec::new("outer", script)
                .from("shared/in")
                .to("shared/outer"),
        )
        .await?;
    cluster
        .apply(
            &ServiceSpec::new("inner", script)
                .from("shared/in/deep")
                .to("shared/inner"),
        )
        .await?;
    cluster.put("shared/in/flat.txt", "flat").await?;
    cluster.put("shared/in/deep/nested.txt", "nested").await?;
    cluster.put("shared/index.txt", "nobody's").await?;
    cluster.wait_for_jobs("outer", 2).await?;
    cluster.wait_for_jobs("inner", 1).await?;
    let mut keys = cluster.list("shared/").await?;
    keys.sort();
    assert_eq!(
        keys,
        [
            "in/deep/nested.txt",
            "in/flat.txt",
            "index.txt",
            "inner/nested.txt",
            "outer/flat.txt",
            "outer/nested.txt"
        ]
    );
    cluster.finish().await
}

#[tokio::test]
async fn three_services_in_a_row_are_a_pipeline() -> Result<()> {
    let cluster = Cluster::start().await?;
    let step = |name: &str, from: &str, to: &str| {
        let script = format!(
            r#"f="$TMP_OUTPUT_DIR/$(basename "$INPUT_FILE_PATH")"; cat "$INPUT_FILE_PATH" > "$f"; echo {name} >> "$f""#
        );
        ServiceSpec::new(name, &script).from(from).to(to)
    };
    cluster.apply(&step("first", "line/a", "line/b")).await?;
    cluster.apply(&step("second", "line/b", "line/c")).await?;
    cluster.apply(&step("third", "line/c", "line/d")).await?;
    for number in 0..5 {
        cluster
            .put(&format!("line/a/{number}.txt"), "start\n")
            .await?;
    }
    for number in 0..5 {
        let end = cluster.wait_for(&format!("line/d/{number}.txt")).await?;
        assert_eq!(end, "start\nfirst\nsecond\nthird\n");
    }
    for service in ["first", "second", "third"] {
        assert_eq!(cluster.wait_for_jobs(service, 5).await?.len(), 5);
    }
    cluster.finish().await
}

#[tokio::test]
async fn a_direct_call_carries_its_body_to_the_script() -> Result<()> {
    let cluster = Cluster::start().await?;
    let script = r#"cp "$INPUT_FILE_PATH" "$TMP_OUTPUT_DIR/got"; cat > "$TMP_OUTPUT_DIR/stdin"; env | grep -c '^JOB_UUID=direct-' > "$TMP_OUTPUT_DIR/env""#;
    cluster.apply(&ServiceSpec::new("direct", script)).await?;
    let body = r#"{"temperature":  21.5, "place": "bed 4 * ?"}"#;
    let (status, text) = cluster
        .request(reqwest::Method::POST, "/job/direct", body)
        .await?;
    assert_eq!((status.as_u16(), text.as_str()), (201, ""));
    assert_eq!(cluster.wait_for("direct/out/stdin").await?, body);
    assert_eq!(cluster.wait_for("direct/out/env").await?, "1\n");
    let got: serde_json::Value = serde_json::from_str(&cluster.wait_for("direct/out/got").await?)?;
    assert_eq!(got["place"], "bed 4 * ?");
    cluster.finish().await
}

#[tokio::test]
async fn the_script_sees_the_documented_environment() -> Result<()> {
    let cluster = Cluster::start().await?;
    let script =
        r#"env | sort > "$TMP_OUTPUT_DIR/env"; printf '%s' "$EVENT" > "$TMP_OUTPUT_DIR/event""#;
    let service = ServiceSpec::new("surroundings", script)
        .with("environment.variables.COLOUR", "green")
        .with("environment.secrets.API_KEY", "hush");
    cluster.apply(&service).await?;
    cluster.put("surroundings/in/sub/a b.txt", "x").await?;
    let env = cluster.wait_for("surroundings/out/env").await?;
    for expected in [
        "STORAGE_OBJECT_KEY=in/sub/a b.txt",
        "OSCAR_SERVICE_NAME=surroundings",
        "RESOURCE_ID=node-0",
        "COLOUR=green",
        "API_KEY=hush",
        "JOB_UUID=surroundings-",
        "EVENT_TIME=20",
        "TMP_INPUT_DIR=/",
        "TMP_OUTPUT_DIR=/",
        "INPUT_FILE_PATH=/",
    ] {
        assert!(
            env.lines().any(|line| line.starts_with(expected)),
            "{expected} is not in:\n{env}"
        );
    }
    let event: serde_json::Value =
        serde_json::from_str(&cluster.wait_for("surroundings/out/event").await?)?;
    assert_eq!(event["EventName"], "s3:ObjectCreated:Put");
    assert_eq!(event["Records"][0]["eventSource"], "minio:s3");
    assert_eq!(event["Records"][0]["s3"]["bucket"]["name"], "surroundings");
    assert_eq!(
        event["Records"][0]["s3"]["object"]["key"],
        "in%2Fsub%2Fa+b.txt"
    );
    // No key of the store and no token of the cluster is inside.
    assert!(!env.contains(&cluster.password), "{env}");
    cluster.finish().await
}
