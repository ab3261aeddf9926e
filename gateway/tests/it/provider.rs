//! A real `OpenID` provider for the tests: npm's `oidc-provider`, run by node (`tests/oidc/provider.mjs`).

use std::path::{Path, PathBuf};
use std::process::Stdio;

use reqwest::Client;
use serde_json::{Value, json};
use spillway_gateway::Config;
use spillway_gateway::config::OidcConfig;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::harness::{Answer, TestGateway, send};
use crate::s3::signed_with;

/// The provider, and somebody who pulls its levers.
pub(crate) struct Provider {
    child: Child,
    pub(crate) issuer: String,
    client: Client,
}

impl Provider {
    pub(crate) async fn start() -> Self {
        Self::start_as("/realms/field").await
    }

    /// With its pages below this path.
    pub(crate) async fn start_as(realm: &str) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oidc/provider.mjs");
        let mut child = Command::new("node")
            .arg(script)
            .env("OIDC_MODULES", modules().await)
            .env("OIDC_REALM", realm)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("node starts; `scripts/setup test` installs it");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let issuer = loop {
            let line = lines.next_line().await.unwrap();
            let line = line.expect("the provider says where it listens before it ends");
            if line.starts_with("http://") {
                break line;
            }
        };
        Self {
            child,
            issuer,
            client: Client::new(),
        }
    }

    pub(crate) async fn stop(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Settings of a gateway that trusts it.
    pub(crate) fn trusted(&self) -> OidcConfig {
        OidcConfig {
            enable: Some(true),
            issuers: Some(vec![self.issuer.clone()]),
            groups: Some(vec!["growers".into(), "pickers".into()]),
            audience: Some(vec!["spillway".into()]),
            ..OidcConfig::default()
        }
    }

    /// An access token, got for a password.
    pub(crate) async fn token(&self, user: &str) -> String {
        self.token_for(user, "urn:spillway").await
    }

    /// The same for another audience.
    pub(crate) async fn token_for(&self, user: &str, resource: &str) -> String {
        let form = format!(
            "grant_type=password&client_id=test&client_secret=test&username={user}&password=test&resource={resource}"
        );
        let request = self.client.post(format!("{}/token", self.issuer));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = send(request.body(form)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }

    /// A token of the test's own making. `what`: `header`, `claims`, and `by: "foreign"` for a key that nobody knows.
    pub(crate) async fn sign(&self, what: Value) -> String {
        self.lever("sign", Some(what)).await["token"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// From now on it signs with another key, of this algorithm.
    pub(crate) async fn rotate(&self, algorithm: &str) {
        self.lever(&format!("rotate?alg={algorithm}"), None).await;
    }

    pub(crate) async fn set_groups(&self, sub: &str, groups: &[&str]) {
        let body = json!({ "sub": sub, "groups": groups });
        self.lever("group", Some(body)).await;
    }

    /// How often a path below the issuer was asked for.
    pub(crate) async fn count(&self, path: &str) -> u64 {
        let counts = self.lever("counts", None).await;
        let counts = counts.as_object().unwrap();
        let found = counts.iter().find(|(name, _)| name.ends_with(path));
        found.map_or(0, |(_, count)| count.as_u64().unwrap())
    }

    async fn lever(&self, name: &str, body: Option<Value>) -> Value {
        let origin = self.issuer.split("/realms").next().unwrap();
        let request = self.client.post(format!("{origin}/levers/{name}"));
        let answer = send(request.body(body.unwrap_or_default().to_string())).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }
}

/// Where the provider's packages are, installed if they are not.
async fn modules() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let script = Command::new(root.join("scripts/node-clients")).output();
    let output = script.await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "scripts/node-clients: {said}");
    root.join("target/clients/oidc").canonicalize().unwrap()
}

/// Somebody with a token and keys of the object store.
pub(crate) struct Person<'a> {
    pub(crate) gateway: &'a TestGateway,
    pub(crate) token: String,
    keys: (String, String),
}

impl<'a> Person<'a> {
    /// Logs in at the provider, and at the gateway for the first time.
    pub(crate) async fn log_in(gateway: &'a TestGateway, provider: &Provider, user: &str) -> Self {
        let mut person = Self {
            gateway,
            token: provider.token(user).await,
            keys: (user.to_owned(), String::new()),
        };
        let config = person.ask("GET", "/system/config", "").await.json();
        let keys = &config["minio_provider"];
        assert_eq!(keys["access_key"], user);
        keys["secret_key"]
            .as_str()
            .unwrap()
            .clone_into(&mut person.keys.1);
        person
    }

    /// A request of the API.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: impl ToString) -> Answer {
        let request = self.gateway.anonymous(method.parse().unwrap(), path);
        let request = request.bearer_auth(&self.token).body(body.to_string());
        send(request).await
    }

    /// A request of the object store.
    pub(crate) async fn s3(&self, method: &str, path: &str, body: &'static str) -> Answer {
        let keys = (self.keys.0.as_str(), self.keys.1.as_str());
        let request = signed_with(self.gateway, keys, &method.parse().unwrap(), path);
        send(request.body(body)).await
    }
}

/// A gateway that trusts the provider.
pub(crate) async fn gateway_of(provider: &Provider) -> TestGateway {
    gateway_with(provider.trusted()).await
}

pub(crate) async fn gateway_with(oidc: OidcConfig) -> TestGateway {
    TestGateway::start_with(Config {
        oidc,
        ..Config::default()
    })
    .await
}
