//! Private images: pulled with the right login, refused with a wrong one or none.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use bollard::auth::DockerCredentials;
use bollard::query_parameters::PushImageOptionsBuilder;
use futures::StreamExt;
use reqwest::Method;
use serde_json::json;
use spillway_model::report::{JobState, NodeReport};
use spillway_testkit::{Cluster, PATIENCE, Process, ServiceSpec, TestImage};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

const USER: &str = "ann";

/// With characters that are encoded differently in URLs, wherever they stand.
const PASSWORD: &str = "right?~>password?~>";

/// The same, hashed (bcrypt).
const HASHED: &str = "$2y$05$abcdefghijklmnopqrstuuZM9vSKbPcRvEX5/Y7.VAYDTIXug7Yz.";

/// Debian's registry, which wants a login. The engine needs no TLS for addresses of this machine.
struct Registry {
    process: Process,
    server: String,
    _folder: TempDir,
}

impl Registry {
    async fn start() -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("spillway-registry-")
            .tempdir()?;
        let users = folder.path().join("users");
        std::fs::write(&users, format!("{USER}:{HASHED}\n"))?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port();
        let server = format!("127.0.0.1:{port}");
        let config = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {server}\nauth:\n  htpasswd:\n    \
             realm: test\n    path: {}\n",
            folder.path().join("images").display(),
            users.display()
        );
        let file = folder.path().join("config.yml");
        std::fs::write(&file, config)?;
        let program = Path::new("/usr/bin/docker-registry");
        ensure!(
            program.exists(),
            "docker-registry is missing; `scripts/setup test` installs it"
        );
        let arguments = ["serve".to_owned(), file.display().to_string()];
        let process = Process::start("registry", program, &arguments, folder.path())?;
        let mut this = Self {
            process,
            server,
            _folder: folder,
        };
        let deadline = Instant::now() + PATIENCE;
        while reqwest::get(format!("http://{}/v2/", this.server))
            .await
            .is_err()
        {
            ensure!(
                this.process.alive() && Instant::now() < deadline,
                "the registry does not start: {}",
                this.process.log_tail(20)
            );
            sleep(std::time::Duration::from_millis(50)).await;
        }
        Ok(this)
    }

    /// Makes an image that only the registry has.
    async fn push(&self, cluster: &Cluster) -> Result<TestImage> {
        let repository = format!("{}/{}/tool", self.server, cluster.id);
        let image = cluster.engine.busybox(&format!("{repository}:1")).await?;
        let options = PushImageOptionsBuilder::default().tag("1").build();
        // Here, too, the client's alphabet is not the engine's: a token without odd characters does for this.
        let docker = cluster
            .engine
            .docker()
            .clone()
            .with_request_modifier(url_safe);
        let login = DockerCredentials {
            username: Some(USER.to_owned()),
            password: Some(PASSWORD.to_owned()),
            serveraddress: Some(self.server.clone()),
            ..DockerCredentials::default()
        };
        let mut steps = std::pin::pin!(docker.push_image(&repository, Some(options), Some(login)));
        while let Some(step) = steps.next().await {
            let step = step.context("pushing")?;
            ensure!(step.error_detail.is_none(), "pushing: {step:?}");
        }
        image.remove().await;
        Ok(image)
    }
}

fn url_safe(mut request: bollard::BollardRequest) -> bollard::BollardRequest {
    if let Some(value) = request.headers_mut().get_mut("X-Registry-Auth") {
        let text = value.to_str().unwrap().replace('+', "-").replace('/', "_");
        *value = text.parse().unwrap();
    }
    request
}

async fn keep_login(cluster: &Cluster, name: &str, server: &str, password: &str) -> Result<()> {
    let body = json!({ "server": server, "username": USER, "password": password });
    let path = format!("/spillway/v1/registries/{name}");
    let (status, text) = cluster
        .request(Method::PUT, &path, body.to_string())
        .await?;
    ensure!(status.is_success(), "{status} {text}");
    Ok(())
}

/// Runs one file through a service of this image; how its job ended.
async fn run(
    cluster: &Cluster,
    name: &str,
    image: &str,
    logins: &[&str],
) -> Result<(JobState, String)> {
    let service = ServiceSpec::new(name, r#"echo ran > "$TMP_OUTPUT_DIR/done""#);
    let service = service
        .with("image", image)
        .with("image_pull_secrets", logins);
    cluster.apply(&service).await?;
    cluster.put(&format!("{name}/in/x"), "x").await?;
    let jobs = cluster.wait_for_jobs(name, 1).await?;
    Ok((
        jobs[0].state,
        format!("{} {}", jobs[0].reason, jobs[0].message),
    ))
}

#[tokio::test]
async fn a_private_image_is_pulled_with_the_right_login_alone() -> Result<()> {
    let cluster = Cluster::start().await?;
    let registry = Registry::start().await?;
    let image = registry.push(&cluster).await?;
    let reference = image.reference.as_str();

    let (state, why) = run(&cluster, "without", reference, &[]).await?;
    assert_eq!(state, JobState::Dead);
    assert!(
        why.contains("image_missing") && why.contains("wants a login"),
        "{why}"
    );

    keep_login(&cluster, "elsewhere", "registry.example.org", PASSWORD).await?;
    let (state, why) = run(&cluster, "elsewhere", reference, &["elsewhere"]).await?;
    assert_eq!(state, JobState::Dead);
    assert!(
        why.contains("none of the service's image_pull_secrets"),
        "{why}"
    );

    keep_login(&cluster, "work", &registry.server, "wrong").await?;
    let (state, why) = run(&cluster, "wrong", reference, &["work"]).await?;
    assert_eq!(state, JobState::Dead);
    assert!(why.contains("does not accept the login \"work\""), "{why}");

    // The same service with the login put right; while the registry thinks, the pull is seen.
    keep_login(&cluster, "work", &registry.server, PASSWORD).await?;
    let missing = reference.replace("/tool:1", "/other:1");
    let (_, why) = run(&cluster, "missing", &missing, &["elsewhere", "work"]).await?;
    assert!(why.contains("check its name and tag"), "{why}");
    registry.process.freeze()?;
    cluster.put("wrong/in/y", "y").await?;
    let seen = seen_pulling(&cluster, reference).await;
    registry.process.thaw()?;
    seen?;
    assert_eq!(cluster.wait_for("wrong/out/done").await?, "ran\n");

    // Neither the agent's folder nor a log knows the password.
    for folder in [cluster.agent_data(0), cluster.gateway_data()] {
        search(&folder)?;
    }
    let logs = [cluster.agents[0].log(), cluster.gateway.log()];
    assert!(!logs.concat().contains(PASSWORD));
    cluster.finish().await?;
    image.remove().await;
    Ok(())
}

async fn seen_pulling(cluster: &Cluster, image: &str) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let nodes = cluster.get_text("/spillway/v1/nodes").await?;
        let nodes: Vec<NodeReport> = serde_json::from_str(&nodes)?;
        let mut pulls = nodes.iter().flat_map(|node| &node.heartbeat.pulls);
        if pulls.any(|pull| pull.image == image) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "no pull of {image}: {nodes:#?}");
        sleep(std::time::Duration::from_millis(50)).await;
    }
}

fn search(folder: &Path) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            search(&path)?;
        } else if let Ok(bytes) = std::fs::read(&path) {
            let found = bytes
                .windows(PASSWORD.len())
                .any(|part| part == PASSWORD.as_bytes());
            ensure!(!found, "the password is in {}", path.display());
        }
    }
    Ok(())
}
