//! A whole gateway in a test, and somebody who talks to it.

use std::path::Path;

use reqwest::{Client, Method, RequestBuilder};
use spillway_gateway::{Config, Gateway};
use spillway_model::wire::link::{Engine, Join, Joined, PREFIX, Resources, ServiceDefinition};
use tempfile::TempDir;

pub(crate) const PASSWORD: &str = "correct horse";

/// A gateway with a folder of its own.
pub(crate) struct TestGateway {
    folder: TempDir,
    config: Config,
    gateway: Option<Gateway>,
    client: Client,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) text: String,
    pub(crate) headers: reqwest::header::HeaderMap,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// Status and body in one, to compare.
    pub(crate) fn said(&self) -> (u16, &str) {
        (self.status, &self.text)
    }
}

impl TestGateway {
    pub(crate) async fn start() -> Self {
        Self::start_with(Config::default()).await
    }

    pub(crate) async fn start_with(config: Config) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default()); // Only the first test's call succeeds.
        let folder = tempfile::tempdir().unwrap();
        let local = Some(([127, 0, 0, 1], 0).into());
        let config = Config {
            data: Some(folder.path().join("data")),
            listen: local,
            s3_listen: local,
            password: config.password.or(Some(PASSWORD.into())),
            ..config
        };
        let gateway = Gateway::start(config.clone()).await.unwrap();
        Self {
            folder,
            config,
            gateway: Some(gateway),
            client: Client::new(),
        }
    }

    /// Stops it and starts it again on the same data.
    pub(crate) async fn restart(&mut self) {
        self.gateway.take().unwrap().stop().await;
        self.gateway = Some(Gateway::start(self.config.clone()).await.unwrap());
    }

    pub(crate) async fn stop(&mut self) {
        self.gateway.take().unwrap().stop().await;
    }

    pub(crate) fn gateway(&self) -> &Gateway {
        self.gateway.as_ref().unwrap()
    }

    pub(crate) fn data(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn config(&self) -> Config {
        self.config.clone()
    }

    pub(crate) fn s3_url(&self) -> String {
        format!("http://{}", self.gateway().s3_address())
    }

    pub(crate) fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(
            method,
            format!("http://{}{path}", self.gateway().api_address()),
        )
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, path)
            .basic_auth("oscar", Some(PASSWORD))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        send(self.request(Method::DELETE, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: impl ToString) -> Answer {
        send(self.request(Method::POST, path).body(body.to_string())).await
    }

    pub(crate) async fn put(&self, path: &str, body: impl ToString) -> Answer {
        send(self.request(Method::PUT, path).body(body.to_string())).await
    }

    /// Adds a service and insists on success.
    pub(crate) async fn create(&self, definition: impl ToString) {
        let answer = self.post("/system/services", definition).await;
        assert_eq!(answer.said(), (201, ""));
    }

    /// What an agent gets to know of a service, secrets included.
    pub(crate) async fn definition(&self, name: &str) -> ServiceDefinition {
        let join = Join {
            node: "reader".to_owned(),
            architecture: "arm64".to_owned(),
            version: "0".to_owned(),
            capacity: Resources::default(),
            labels: [].into(),
            engine: Engine::default(),
            running: Vec::new(),
        };
        let request = self.anonymous(Method::POST, &format!("{PREFIX}/join"));
        let request = request.bearer_auth(self.gateway().join_token());
        let joined: Joined = serde_json::from_str(&send(request.json(&join)).await.text).unwrap();
        let revision = self.count(&format!(
            "SELECT revision FROM services WHERE name = '{name}'"
        ));
        let path = format!("{PREFIX}/services/{name}/{revision}");
        let answer = send(self.anonymous(Method::GET, &path).bearer_auth(joined.token)).await;
        serde_json::from_str(&answer.text).unwrap_or_else(|error| panic!("{error} in {answer:?}"))
    }

    /// A reader's look at the database.
    pub(crate) fn count(&self, sql: &str) -> i64 {
        database(&self.data())
            .query_row(sql, [], |row| row.get(0))
            .unwrap()
    }

    pub(crate) fn execute(&self, sql: &str) {
        database(&self.data()).execute_batch(sql).unwrap();
    }
}

fn database(data: &Path) -> rusqlite::Connection {
    let db = rusqlite::Connection::open(data.join("spillway.db")).unwrap();
    db.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
    db
}

pub(crate) async fn send(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let headers = response.headers().clone();
    let content_type = headers
        .get("content-type")
        .map(|value| value.to_str().unwrap().to_owned());
    Answer {
        status: response.status().as_u16(),
        content_type: content_type.unwrap_or_default(),
        headers,
        text: response.text().await.unwrap(),
    }
}

/// A small service named `name` with an input and an output in its own bucket.
pub(crate) fn service(name: &str) -> serde_json::Value {
    serde_json::json!({
        "name": name, "image": "example/tool:1", "script": "#!/bin/sh\ntrue\n",
        "input": [{ "storage_provider": "minio.default", "path": format!("{name}/in") }],
        "output": [{ "storage_provider": "minio.default", "path": format!("{name}/out") }],
    })
}
