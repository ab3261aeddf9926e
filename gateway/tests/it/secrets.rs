//! What is secret in a definition leaks nowhere: not to readers, not into the data folder, not into the log.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::{Value, json};
use spillway_model::wire::link::{
    Engine, Join, Joined, PREFIX, Poll, Resources, ServiceDefinition,
};
use tokio::process::{Child, Command};

use crate::harness::{Answer, TestGateway, send, service};

/// Everything secret that the definition below carries. Long and odd, so that none is found by chance.
const SECRETS: [&str; 12] = [
    "zq-secret-of-the-container-01",
    "zq-secret-to-be-replaced-02",
    "zq-secret-that-replaces-03",
    "zq-access-key-aws-04",
    "zq-secret-key-aws-05",
    "zq-secret-key-minio-06",
    "zq-token-onedata-07",
    "zq-password-webdav-08",
    "zq-refresh-token-rucio-09",
    "zq-password-mqtt-10",
    "zq-password-of-a-cluster-11",
    "zq-header-of-a-member-12",
];

fn definition() -> Value {
    let mut body = service("plants");
    body["environment"] = json!({ "variables": { "A": "1" }, "secrets": { "KEY": SECRETS[0], "OTHER": SECRETS[1], "refresh_token": SECRETS[8] } });
    body["storage_providers"] = json!({
        "s3": { "aws": { "access_key": SECRETS[3], "secret_key": SECRETS[4], "region": "r" } },
        "minio": { "far": { "endpoint": "https://far.example.org", "verify": true, "access_key": "a",
            "secret_key": SECRETS[5], "region": "r" } },
        "onedata": { "o": { "oneprovider_host": "one.example.org", "token": SECRETS[6], "space": "s" } },
        "webdav": { "w": { "hostname": "dav.example.org", "login": "ann", "password": SECRETS[7] } },
        "rucio": { "r": { "host": "rucio.example.org", "account": "ann", "refresh_token": SECRETS[8] } },
        "mqtt": { "m": { "broker": "mqtt://m.example.org:1883", "username": "ann", "password": SECRETS[9] } },
    });
    body["clusters"] = json!({
        "cloud": { "endpoint": "https://cloud.example.org", "auth_user": "ann", "auth_password": SECRETS[10] },
    });
    body["federation"] = json!({
        "topology": "star",
        "members": [{ "type": "endpoint", "url": "https://x.example.org", "headers": { "X-Key": SECRETS[11] } }],
    });
    body
}

/// The program itself, with a log that says all it can say.
struct Running {
    child: Child,
    log: PathBuf,
    data: PathBuf,
    client: Client,
}

impl Running {
    async fn start(folder: &Path) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let (log, data) = (folder.join("gateway.log"), folder.join("data"));
        let output = std::fs::File::create(&log).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_spillway-gateway"))
            .args(["--listen", "127.0.0.1:0", "--s3-listen", "127.0.0.1:0"])
            .args(["--username", "oscar", "--log", "trace", "--data"])
            .arg(&data)
            .env("OSCAR_PASSWORD", ADMINISTRATOR)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut this = Self {
            child,
            log,
            data,
            client: Client::new(),
        };
        for _ in 0..600 {
            if this.data.join("addresses.json").exists() {
                return this;
            }
            let ended = this.child.try_wait().unwrap();
            assert!(ended.is_none(), "it ended: {}", this.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("it does not start: {}", this.log());
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn file(&self, name: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.data.join(name)).unwrap()).unwrap()
    }

    fn url(&self, path: &str) -> String {
        let addresses = self.file("addresses.json");
        format!("http://{}{path}", addresses["api"].as_str().unwrap())
    }

    async fn call(&self, method: Method, path: &str, body: impl ToString) -> Answer {
        let request = self.client.request(method, self.url(path));
        send(
            request
                .basic_auth("oscar", Some(ADMINISTRATOR))
                .body(body.to_string()),
        )
        .await
    }

    async fn agent(&self, path: &str, token: &str, body: Option<Value>) -> String {
        let url = self.url(&format!("{PREFIX}/{path}"));
        let request = match body {
            Some(body) => self.client.post(url).json(&body),
            None => self.client.get(url),
        };
        let answer = send(request.bearer_auth(token)).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.text
    }

    async fn stop(&mut self) {
        let pid = self.child.id().unwrap().to_string();
        let killed = Command::new("kill").arg(pid).status().await.unwrap();
        assert!(killed.success());
        let status = tokio::time::timeout(Duration::from_secs(30), self.child.wait()).await;
        assert!(status.unwrap().unwrap().success(), "{}", self.log());
    }
}

/// The administrator's password lies in credentials.json by design, and nowhere else.
const ADMINISTRATOR: &str = "zq-password-of-the-administrator";

#[tokio::test]
async fn nothing_secret_of_a_definition_is_found_in_answers_data_or_log() {
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = Running::start(folder.path()).await;
    let created = gateway
        .call(Method::POST, "/system/services", definition())
        .await;
    assert_eq!(created.said(), (201, ""));

    let path = "/system/services/plants";
    let shown = gateway.call(Method::GET, path, "").await;
    let blank = json!({ "KEY": "", "OTHER": "", "refresh_token": "" });
    assert_eq!(shown.json()["environment"]["secrets"], blank);
    for container_secret in &SECRETS[..3] {
        assert!(!shown.text.contains(container_secret), "{}", shown.text);
    }
    let token = shown.json()["token"].as_str().unwrap().to_owned();

    // What was read is written back; one secret gets another value.
    let mut edited = shown.json();
    edited["memory"] = json!("512Mi");
    edited["environment"]["secrets"]["OTHER"] = json!(SECRETS[2]);
    let updated = gateway.call(Method::PUT, "/system/services", &edited).await;
    assert_eq!(updated.said(), (204, ""));
    let all = gateway.call(Method::GET, "/system/services", "").await;
    assert_eq!(all.status, 200);

    // A job, a call by token, a wrong password and an agent, so that the log has something to say.
    let job = gateway.call(Method::POST, "/job/plants", "x").await;
    assert_eq!(job.status, 201, "{job:?}");
    let by_token = gateway.client.post(gateway.url("/job/plants"));
    assert_eq!(send(by_token.bearer_auth(&token)).await.status, 201);
    let credentials = gateway.file("credentials.json");
    let join_token = credentials["join_token"].as_str().unwrap().to_owned();
    let (node_token, definition) = agent_reads(&gateway, &join_token).await;
    assert_eq!(definition.secrets["KEY"], SECRETS[0]);
    assert_eq!(definition.secrets["OTHER"], SECRETS[2]);
    // Only the gateway talks to other storages and clusters: agents get no credentials for them.
    assert!(definition.service.storage_providers.is_empty());
    assert!(definition.service.clusters.is_empty());
    assert_eq!(definition.service.token, token);

    // While it runs, too: what is in the log of the database counts.
    search(&gateway, &token, &node_token);
    gateway.stop().await;
    search(&gateway, &token, &node_token);
    let log = gateway.log();
    for secret in [&join_token, ADMINISTRATOR] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
    for key in ["access_key", "secret_key"] {
        let key = credentials[key].as_str().unwrap();
        assert!(!log.contains(key), "{key} is in the log");
    }
    assert!(log.contains("DEBUG") && log.contains("the gateway serves"));

    // All of it is there again after a start.
    let gateway = Running::start(folder.path()).await;
    let after = gateway.call(Method::GET, path, "").await.json();
    assert_eq!(after["token"], json!(token));
    assert_eq!(after["environment"]["secrets"], blank);
    let (_, definition) = agent_reads(&gateway, &join_token).await;
    assert_eq!(definition.secrets["OTHER"], SECRETS[2]);
}

/// Joins, takes what work there is, and reads the definition.
async fn agent_reads(gateway: &Running, join_token: &str) -> (String, ServiceDefinition) {
    let join = Join {
        node: "reader".to_owned(),
        architecture: "arm64".to_owned(),
        version: "0".to_owned(),
        capacity: Resources::default(),
        labels: [].into(),
        engine: Engine::default(),
        running: Vec::new(),
    };
    let joined = gateway.agent("join", join_token, Some(json!(join))).await;
    let joined: Joined = serde_json::from_str(&joined).unwrap();
    let poll = Poll {
        wait_ms: 100,
        ..Poll::default()
    };
    let wanted = gateway
        .agent("poll", &joined.token, Some(json!(poll)))
        .await;
    let wanted: Value = serde_json::from_str(&wanted).unwrap();
    let revision = &wanted["wanted"]["services"][0]["revision"];
    let path = format!("services/plants/{revision}");
    let read = gateway.agent(&path, &joined.token, None).await;
    (joined.token, serde_json::from_str(&read).unwrap())
}

/// Every byte of the data folder, and the log.
fn search(gateway: &Running, token: &str, node_token: &str) {
    let mut files = vec![gateway.log.clone()];
    collect(&gateway.data, &mut files);
    let database = files.iter().filter(|file| file.ends_with("spillway.db"));
    assert_eq!(database.count(), 1, "{files:?}");
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        for secret in SECRETS.iter().copied().chain([token, node_token]) {
            let found = bytes
                .windows(secret.len())
                .any(|part| part == secret.as_bytes());
            assert!(!found, "{secret} is in {}", file.display());
        }
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}

#[tokio::test]
async fn a_row_that_was_moved_to_another_service_is_not_believed() {
    let gateway = TestGateway::start().await;
    gateway.create(definition()).await;
    gateway.create(service("grey")).await;
    gateway.execute(
        "UPDATE services SET definition = (SELECT definition FROM services WHERE name = 'plants') WHERE name = 'grey'",
    );
    assert_eq!(gateway.get("/system/services/grey").await.status, 500);
    assert_eq!(gateway.get("/system/services/plants").await.status, 200);
}
