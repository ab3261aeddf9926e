//! Storages elsewhere, as inputs and outputs: a real `WebDAV` server and a second, independent S3 server.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use spillway_model::report::{DeliveryPage, DeliveryReport, JobReport, JobState};
use spillway_storage::{Connections, Content, ObjectPath, S3Settings, S3Storage, Storage as _};
use spillway_testkit::{
    AgentOptions, Cluster, ClusterOptions, LOGIN, PASSWORD, PATIENCE, Server, ServiceSpec,
};
use tokio::time::{Instant, sleep};

/// Copies its input to its output.
const COPY: &str = r#"cp "$INPUT_FILE_PATH" "$TMP_OUTPUT_DIR/""#;

/// Looks often, so that tests do not wait long.
async fn cluster() -> Result<Cluster> {
    Cluster::with(ClusterOptions {
        gateway_flags: vec!["--watch-every".to_owned(), "1s".to_owned()],
        agents: vec![AgentOptions::default()],
        ..ClusterOptions::default()
    })
    .await
}

fn webdav(server: &Server) -> Value {
    json!({ "webdav": { "dav": { "hostname": server.url(), "login": LOGIN, "password": PASSWORD } } })
}

fn s3(server: &Server) -> Value {
    json!({ "minio": { "far": {
        "endpoint": server.url(), "access_key": LOGIN, "secret_key": PASSWORD, "region": "us-east-1", "verify": true,
    } } })
}

fn end(provider: &str, path: &str) -> Value {
    json!([{ "storage_provider": provider, "path": path }])
}

fn client(server: &Server) -> Result<S3Storage> {
    let settings = S3Settings {
        endpoint: server.url(),
        region: "us-east-1".to_owned(),
        access_key: LOGIN.to_owned(),
        secret_key: PASSWORD.to_owned(),
        verify: true,
    };
    Ok(S3Storage::with(settings, &Connections::new(None)?)?)
}

/// Writes a file as uploads arrive in a folder: whole, with a rename at the end.
fn drop_file(server: &Server, name: &str, content: impl AsRef<[u8]>) -> Result<()> {
    let path = server.files().join(name);
    std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
    let aside = server.files().join(".spillway-test");
    std::fs::write(&aside, content)?;
    Ok(std::fs::rename(aside, path)?)
}

async fn deliveries(cluster: &Cluster) -> Result<Vec<DeliveryReport>> {
    let text = cluster.get_text("/spillway/v1/deliveries").await?;
    let page: DeliveryPage = serde_json::from_str(&text).context("a page of deliveries")?;
    Ok(page.deliveries)
}

/// Waits until the deliveries are as described.
async fn wait_for_deliveries(
    cluster: &Cluster,
    is_so: impl Fn(&[DeliveryReport]) -> bool,
) -> Result<Vec<DeliveryReport>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = deliveries(cluster).await?;
        if is_so(&found) {
            return Ok(found);
        }
        ensure!(Instant::now() < deadline, "still: {found:#?}");
        sleep(Duration::from_millis(50)).await;
    }
}

fn inputs(jobs: &[JobReport]) -> Vec<String> {
    let mut paths: Vec<String> = jobs
        .iter()
        .filter_map(|job| job.input.as_ref().map(|input| input.path.clone()))
        .collect();
    paths.sort();
    paths
}

#[tokio::test]
async fn new_and_changed_files_of_webdav_are_processed_once_and_results_go_back() -> Result<()> {
    let server = Server::webdav().await?;
    drop_file(&server, "in/before.txt", "was there before")?;
    // The clock of files has no fractions.
    sleep(Duration::from_millis(1100)).await;
    let cluster = cluster().await?;
    let script = r#"cp "$INPUT_FILE_PATH" "$TMP_OUTPUT_DIR/"; env > "$TMP_OUTPUT_DIR/env"; cat > "$TMP_OUTPUT_DIR/event""#;
    let service = ServiceSpec::new("dav", script)
        .with("storage_providers", webdav(&server))
        .with("input", end("webdav.dav", "in"))
        .with("output", end("webdav.dav", "results/deep/out"));
    cluster.apply(&service).await?;

    drop_file(&server, "in/sub/grün blatt+1%.txt", "leaf")?;
    assert_eq!(
        server
            .wait_for("results/deep/out/grün blatt+1%.txt")
            .await?,
        b"leaf"
    );
    let env = String::from_utf8(server.wait_for("results/deep/out/env").await?)?;
    assert!(
        env.contains("STORAGE_OBJECT_KEY=in/sub/grün blatt+1%.txt\n"),
        "{env}"
    );
    assert!(!env.contains(PASSWORD), "no key is in a container: {env}");
    let event: Value = serde_json::from_slice(&server.wait_for("results/deep/out/event").await?)?;
    assert_eq!(event["event"]["name"], "sub/grün blatt+1%.txt");

    // Changed: once more, with the new bytes.
    drop_file(&server, "in/sub/grün blatt+1%.txt", "another leaf")?;
    let jobs = cluster.wait_for_jobs("dav", 2).await?;
    wait_for_deliveries(&cluster, <[_]>::is_empty).await?;
    assert_eq!(
        server
            .wait_for("results/deep/out/grün blatt+1%.txt")
            .await?,
        b"another leaf"
    );
    assert_eq!(
        inputs(&jobs),
        [
            "webdav.dav/in/sub/grün blatt+1%.txt",
            "webdav.dav/in/sub/grün blatt+1%.txt"
        ]
    );
    let log = cluster.log("dav", &jobs[0].name).await?;
    assert!(log.contains("delivering 3 files to webdav.dav"), "{log}");
    // Nobody's secret is where agents are told of services.
    let agent = cluster.agents[0].log();
    assert!(!agent.contains(PASSWORD));
    cluster.finish().await
}

#[tokio::test]
async fn a_provider_that_goes_away_loses_nothing_even_when_the_gateway_dies_too() -> Result<()> {
    let mut server = Server::webdav().await?;
    let mut cluster = cluster().await?;
    let service = ServiceSpec::new("away", COPY)
        .with("storage_providers", webdav(&server))
        .with("input", end("webdav.dav", "in"))
        .with("output", end("webdav.dav", "out"));
    cluster.apply(&service).await?;
    let from_s3 = ServiceSpec::new("home", COPY)
        .with("storage_providers", webdav(&server))
        .with("output", end("webdav.dav", "from-home"));
    cluster.apply(&from_s3).await?;
    for number in 0..5 {
        drop_file(&server, &format!("in/{number}.txt"), number.to_string())?;
    }
    cluster.wait_for_jobs("away", 5).await?;
    server.kill().await?;
    // Jobs end, their results wait.
    for number in 0..5 {
        cluster
            .put(&format!("home/in/{number}.txt"), number.to_string())
            .await?;
    }
    let jobs = cluster.wait_for_jobs("home", 5).await?;
    assert!(jobs.iter().all(|job| job.state == JobState::Succeeded));
    let waiting = wait_for_deliveries(&cluster, |found| {
        found.iter().filter(|it| it.service == "home").count() == 5
            && found.iter().any(|it| it.tries > 0)
    })
    .await?;
    let tried = waiting.iter().find(|it| it.tries > 0).unwrap();
    assert!(
        tried.message.contains("does not answer"),
        "{}",
        tried.message
    );
    // Files come while the provider's server is away, and the gateway dies.
    drop_file(&server, "in/late.txt", "late")?;
    cluster.gateway.kill().await?;
    cluster.restart_gateway().await?;
    server.start().await?;
    assert_eq!(server.wait_for("out/late.txt").await?, b"late");
    for number in 0..5 {
        let found = server.wait_for(&format!("from-home/{number}.txt")).await?;
        assert_eq!(found, number.to_string().as_bytes());
        let found = server.wait_for(&format!("out/{number}.txt")).await?;
        assert_eq!(found, number.to_string().as_bytes());
    }
    wait_for_deliveries(&cluster, <[_]>::is_empty).await?;
    let jobs = cluster.wait_for_jobs("away", 6).await?;
    let expected: Vec<String> = (0..5)
        .map(|number| format!("webdav.dav/in/{number}.txt"))
        .chain(["webdav.dav/in/late.txt".to_owned()])
        .collect();
    assert_eq!(inputs(&jobs), expected, "exactly one job for each file");
    cluster.finish().await
}

#[tokio::test]
async fn another_s3_server_is_input_and_output_and_large_files_take_little_memory() -> Result<()> {
    const LARGE: u64 = 300 * 1024 * 1024;
    let Some(server) = Server::s3().await? else {
        return Ok(());
    };
    let far = client(&server)?;
    far.create_bucket("farm").await?;
    let at = |key: &str| ObjectPath::new("farm", key);
    far.put(&at("in/before.txt"), Content::from_bytes("old"), &|_| ())
        .await?;
    sleep(Duration::from_millis(1100)).await;
    let cluster = cluster().await?;
    let service = ServiceSpec::new("far", COPY)
        .with("storage_providers", s3(&server))
        .with("input", end("minio.far", "farm/in"))
        .with("output", end("minio.far", "results/out"));
    cluster.apply(&service).await?;

    far.put(&at("in/a b+c.txt"), Content::from_bytes("small"), &|_| ())
        .await?;
    assert_eq!(server.wait_for("results/out/a b+c.txt").await?, b"small");

    let before = cluster.gateway.memory()?.resident;
    let pieces = (0..300_u32).map(|number| {
        let mut piece = vec![0_u8; 1024 * 1024];
        piece[..4].copy_from_slice(&number.to_le_bytes());
        Ok(bytes::Bytes::from(piece))
    });
    let content = Content::new(Box::pin(futures::stream::iter(pieces)), Some(LARGE));
    far.put(&at("in/large.bin"), content, &|_| ()).await?;
    cluster.wait_for_jobs("far", 2).await?;
    wait_for_deliveries(&cluster, <[_]>::is_empty).await?;
    let path = server.files().join("results/out/large.bin");
    assert_eq!(std::fs::metadata(&path)?.len(), LARGE);
    let (one, other) = (
        std::fs::read(path)?,
        std::fs::read(server.files().join("farm/in/large.bin"))?,
    );
    assert!(one == other, "the copy differs");
    let peak = cluster.gateway.memory()?.peak_resident;
    eprintln!("resident before {before}, at most {peak}");
    ensure!(
        peak < before + 96 * 1024 * 1024,
        "300 MiB in and out took {} MiB",
        (peak - before) >> 20
    );
    let jobs = cluster.wait_for_jobs("far", 2).await?;
    assert_eq!(
        inputs(&jobs),
        ["minio.far/farm/in/a b+c.txt", "minio.far/farm/in/large.bin"]
    );
    cluster.finish().await
}

#[tokio::test]
async fn what_a_provider_refuses_is_told_when_the_service_is_stored() -> Result<()> {
    let (dav, Some(mut far)) = (Server::webdav().await?, Server::s3().await?) else {
        return Ok(());
    };
    let cluster = cluster().await?;
    let post = async |service: &ServiceSpec, query: &str| {
        let mut body = service.body().clone();
        body["image"] = cluster.image.clone().into();
        cluster
            .request(
                Method::POST,
                &format!("/system/services{query}"),
                body.to_string(),
            )
            .await
    };
    let wrong_dav = ServiceSpec::new("one", COPY)
        .with("storage_providers", webdav(&dav))
        .with("storage_providers.webdav.dav.password", "wrong")
        .with("output", end("webdav.dav", "out"));
    let (status, text) = post(&wrong_dav, "").await?;
    assert_eq!(status.as_u16(), 400, "{text}");
    assert!(
        text.contains("output webdav.dav") && text.contains("401"),
        "{text}"
    );
    let wrong_s3 = ServiceSpec::new("two", COPY)
        .with("storage_providers", s3(&far))
        .with("storage_providers.minio.far.secret_key", "wrong")
        .with("output", end("minio.far", "results/out"));
    let (status, text) = post(&wrong_s3, "").await?;
    assert_eq!(status.as_u16(), 400, "{text}");
    assert!(
        text.contains("SignatureDoesNotMatch"),
        "the provider's own words: {text}"
    );
    let undefined = ServiceSpec::new("three", COPY).with("output", end("minio.far", "b/out"));
    let (status, text) = post(&undefined, "").await?;
    assert_eq!(
        (status.as_u16(), text.as_str()),
        (400, "the StorageProvider \"minio.far\" is not defined")
    );
    let onedata = ServiceSpec::new("four", COPY).with("input", end("onedata.x", "in"));
    let (status, text) = post(&onedata, "").await?;
    assert_eq!(
        (status.as_u16(), text.as_str()),
        (
            400,
            "unrecognized input (valid inputs are MinIO and dCache)"
        )
    );
    // Defined but not used: not tried.
    let unused = ServiceSpec::new("five", COPY)
        .with("storage_providers", s3(&far))
        .with("storage_providers.minio.far.secret_key", "wrong");
    let (status, text) = post(&unused, "").await?;
    assert_eq!((status.as_u16(), text.as_str()), (201, ""));
    // Away: refused, unless somebody insists.
    far.kill().await?;
    let away = ServiceSpec::new("six", COPY)
        .with("storage_providers", s3(&far))
        .with("output", end("minio.far", "results/out"));
    let (status, text) = post(&away, "").await?;
    assert_eq!(status.as_u16(), 400, "{text}");
    assert!(text.contains("?validate=false"), "{text}");
    let (status, text) = post(&away, "?validate=false").await?;
    assert_eq!((status.as_u16(), text.as_str()), (201, ""));
    // Nothing of it is lost, and better credentials are tried at once.
    cluster.put("six/in/x.txt", "x").await?;
    cluster.wait_for_jobs("six", 1).await?;
    wait_for_deliveries(&cluster, |found| found.iter().any(|it| it.tries > 0)).await?;
    far.start().await?;
    client(&far)?.create_bucket("results").await?;
    let (status, text) = cluster
        .request(Method::POST, "/spillway/v1/deliveries/retry", "")
        .await?;
    assert!(status.is_success(), "{text}");
    assert_eq!(far.wait_for("results/out/x.txt").await?, b"x");
    cluster.finish().await
}

#[tokio::test]
async fn events_of_other_storages_fetch_their_file_with_the_definitions_credentials() -> Result<()>
{
    let (dav, Some(far)) = (Server::webdav().await?, Server::s3().await?) else {
        return Ok(());
    };
    let store = client(&far)?;
    store.create_bucket("farm").await?;
    let cluster = cluster().await?;
    let dcache = ServiceSpec::new("dcache", COPY)
        .with("annotations", json!({ "spillway/watch": "off" }))
        .with(
            "storage_providers",
            json!({ "webdav": { "dcache": { "hostname": dav.url(), "login": LOGIN, "password": PASSWORD } } }),
        )
        .with("input", end("webdav.dcache", "pool/in"));
    cluster.apply(&dcache).await?;
    let foreign = ServiceSpec::new("foreign", COPY)
        .with("annotations", json!({ "spillway/watch": "off" }))
        .with("storage_providers", s3(&far))
        .with("input", end("minio.far", "farm/in"))
        .with("output", end("minio", "foreign/out"));
    cluster.apply(&foreign).await?;
    drop_file(&dav, "pool/in/image.jpg", "of dcache")?;
    store
        .put(
            &ObjectPath::new("farm", "in/a b.txt"),
            Content::from_bytes("of minio"),
            &|_| (),
        )
        .await?;

    let event = r#"{"event":{"name":"image.jpg","mask":["IN_CREATE"]},"subscription":"https://dcache.example.org/x"}"#;
    let call = async |service: &str, event: &str| {
        let (status, text) = cluster
            .request(Method::POST, &format!("/job/{service}"), event.to_owned())
            .await?;
        ensure!(status.as_u16() == 201, "{status} {text}");
        Ok(())
    };
    call("dcache", event).await?;
    assert_eq!(cluster.wait_for("dcache/out/image.jpg").await?, "of dcache");
    let event = r#"{"Records":[{"eventSource":"minio:s3","eventName":"s3:ObjectCreated:Put","eventTime":"2026-01-01T00:00:00Z","s3":{"bucket":{"name":"farm"},"object":{"key":"in%2Fa+b.txt"}}}]}"#;
    call("foreign", event).await?;
    assert_eq!(cluster.wait_for("foreign/out/a b.txt").await?, "of minio");

    // What is not there: a dead letter with the reason, that can be retried.
    let event = r#"{"event":{"name":"later.jpg","mask":["IN_CREATE"]},"subscription":"x"}"#;
    call("dcache", event).await?;
    let jobs = cluster.wait_for_jobs("dcache", 2).await?;
    let dead = &jobs[0];
    assert_eq!(
        (dead.state, dead.reason.as_str()),
        (JobState::Dead, "stage_in"),
        "{dead:#?}"
    );
    assert!(dead.message.contains("pool/in/later.jpg"), "{dead:#?}");
    drop_file(&dav, "pool/in/later.jpg", "late")?;
    let (status, text) = cluster
        .request(Method::POST, "/spillway/v1/dead-letters/retry", "")
        .await?;
    assert!(status.is_success(), "{text}");
    assert_eq!(cluster.wait_for("dcache/out/later.jpg").await?, "late");
    // A file outside of the folder is nobody's.
    let event = r#"{"event":{"name":"../../etc/passwd"},"subscription":"x"}"#;
    call("dcache", event).await?;
    cluster.wait_for_jobs("dcache", 3).await?;
    assert!(
        cluster
            .list("dcache/out")
            .await?
            .iter()
            .all(|key| !key.contains("passwd"))
    );
    cluster.finish().await
}
