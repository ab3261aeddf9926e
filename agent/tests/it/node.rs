//! A node for a test: an agent with a data folder, an image and labels of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use spillway_agent::{Agent, Config, DEFAULT_DOCKER, Secret};
use spillway_model::service::{Edge, Service, StorageIo};
use spillway_model::wire::link::{
    Attempt, InputFile, Lease, Output, OutputContent, Resources, ServiceDefinition,
};

use crate::gateway::{Gateway, JOIN_TOKEN};
use crate::leftovers::remove_containers;

/// Label on all that these tests create.
const LABEL: &str = "spillway.test";

static NUMBERS: AtomicU64 = AtomicU64::new(1);

/// An image with a shell, removed at the end.
#[derive(Debug)]
pub(crate) struct Image(pub(crate) String);

impl Image {
    pub(crate) fn make() -> Self {
        let number = NUMBERS.fetch_add(1, Ordering::SeqCst);
        let name = format!("spillway-agent-test-{}:{number}", std::process::id());
        let folder = tempfile::tempdir().unwrap();
        let bin = folder.path().join("bin");
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::create_dir(folder.path().join("tmp")).unwrap();
        std::fs::copy("/bin/busybox", bin.join("busybox"))
            .expect("/bin/busybox: install busybox-static");
        for applet in [
            "sh", "cat", "cp", "sleep", "head", "mkdir", "seq", "dd", "env", "touch", "ls", "rm",
            "tr", "wc", "kill",
        ] {
            std::os::unix::fs::symlink("busybox", bin.join(applet)).unwrap();
        }
        let mut tar = Command::new("tar")
            .arg("-C")
            .arg(folder.path())
            .args(["-c", "."])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let label = format!("LABEL {LABEL}=agent");
        let made = Command::new("docker")
            .args(["import", "-c", &label, "-", &name])
            .stdin(tar.stdout.take().unwrap())
            .output()
            .unwrap();
        assert!(
            tar.wait().unwrap().success() && made.status.success(),
            "{made:?}"
        );
        Self(name)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rmi", "-f", &self.0]).output();
    }
}

/// An agent that works for `gateway`.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) gateway: Gateway,
    pub(crate) image: Image,
    pub(crate) data: tempfile::TempDir,
    pub(crate) agent: Option<Agent>,
    revisions: u64,
}

impl Node {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let gateway = Gateway::start().await;
        let data = tempfile::Builder::new()
            .prefix("spillway-agent-")
            .tempdir()
            .unwrap();
        let mut config = config(&gateway, data.path());
        change(&mut config);
        let agent = Agent::start(config).await.unwrap();
        Self {
            gateway,
            image: Image::make(),
            data,
            agent: Some(agent),
            revisions: 0,
        }
    }

    /// Makes a service of this script known; its outputs go to the bucket `out`.
    pub(crate) fn service(
        &mut self,
        script: &str,
        change: impl FnOnce(&mut Service),
    ) -> ServiceDefinition {
        self.revisions += 1;
        let mut service = Service {
            name: "svc".to_owned(),
            image: self.image.0.clone(),
            script: script.to_owned(),
            memory: "64Mi".to_owned(),
            cpu: "0.5".to_owned(),
            token: "0".repeat(64),
            output: vec![StorageIo {
                storage_provider: "minio.default".to_owned(),
                path: "out/of".to_owned(),
                ..StorageIo::default()
            }],
            ..Service::default()
        };
        change(&mut service);
        let definition = ServiceDefinition {
            revision: self.revisions,
            service,
            secrets: BTreeMap::new(),
            registries: Vec::new(),
            volume: None,
        };
        let key = (definition.service.name.clone(), definition.revision);
        self.gateway
            .know()
            .definitions
            .insert(key, definition.clone());
        definition
    }

    /// Grants a lease; returns its attempt.
    pub(crate) fn grant(
        &self,
        definition: &ServiceDefinition,
        change: impl FnOnce(&mut Lease),
    ) -> Attempt {
        let number = NUMBERS.fetch_add(1, Ordering::SeqCst);
        let mut lease = Lease {
            attempt: Attempt {
                job: format!("svc-{number}"),
                attempt: 1,
            },
            service: definition.service.name.clone(),
            revision: definition.revision,
            resources: Resources {
                millicores: 500,
                memory_bytes: 64 * 1024 * 1024,
            },
            environment: BTreeMap::new(),
            event: "{\"an\":\"event\"}".to_owned(),
            input: None,
        };
        change(&mut lease);
        let attempt = lease.attempt.clone();
        self.gateway.tell(|known| known.leases.push_back(lease));
        attempt
    }

    pub(crate) async fn stop(&mut self) {
        if let Some(agent) = self.agent.take() {
            agent.stop().await;
        }
    }

    /// Label that only this node's containers carry.
    pub(crate) fn label(&self) -> String {
        let (key, value) = own_label(self.data.path());
        format!("{key}={value}")
    }

    /// What is left in a folder of the agent's.
    pub(crate) fn left_in(&self, folder: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.data.path().join(folder)).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

fn own_label(data: &Path) -> (String, String) {
    let name = data.file_name().unwrap_or_default().to_string_lossy();
    ("spillway.test.node".to_owned(), name.into_owned())
}

/// After a test that failed half-way: no container stays.
impl Drop for Node {
    fn drop(&mut self) {
        drop(self.agent.take());
        remove_containers(DEFAULT_DOCKER, &self.label());
    }
}

pub(crate) fn config(gateway: &Gateway, data: &Path) -> Config {
    Config {
        data: data.to_owned(),
        gateway: format!("http://{}", gateway.address),
        join_token: Some(Secret::from(JOIN_TOKEN.to_owned())),
        node: Some("test-node".to_owned()),
        supervisor: Some(supervisor()),
        container_labels: vec![(LABEL.to_owned(), "agent".to_owned()), own_label(data)],
        stop_grace: Duration::from_secs(1),
        ..Config::default()
    }
}

pub(crate) fn supervisor() -> PathBuf {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/supervisor/spillway-supervisor");
    assert!(
        path.exists(),
        "{} is missing: run scripts/build-supervisor",
        path.display()
    );
    path
}

/// An input that travels inside the lease.
pub(crate) fn inline(name: &str, content: &[u8]) -> InputFile {
    let inline = Some(base64::engine::general_purpose::STANDARD.encode(content));
    InputFile {
        name: name.to_owned(),
        size: content.len() as u64,
        inline,
    }
}

/// Keys and texts of outputs that travelled inside a completion.
pub(crate) fn texts(outputs: &[Output]) -> Vec<(String, String)> {
    let text = |output: &Output| match &output.content {
        OutputContent::Inline(text) => String::from_utf8(
            base64::engine::general_purpose::STANDARD
                .decode(text)
                .unwrap(),
        )
        .unwrap(),
        OutputContent::Staged(id) => id.clone(),
    };
    outputs
        .iter()
        .map(|output| (format!("{}/{}", output.bucket, output.key), text(output)))
        .collect()
}

/// The edge block with this time limit.
pub(crate) fn timeout(text: &str) -> Edge {
    Edge {
        timeout: Some(text.to_owned()),
        ..Edge::default()
    }
}
