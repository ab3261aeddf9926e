//! A cluster of real processes: one gateway, any number of agents.

use std::net::TcpListener;
use std::ops::Deref;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use spillway_trust::{Fingerprint, Trust};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::docker::LABEL;
use crate::process::keep_for_inspection;
use crate::{Client, Engine, PATIENCE, Process, TestImage, binary, supervisor};

const USER: &str = "oscar";
const PASSWORD: &str = "a-password-for-tests";

/// How a cluster is made up.
#[derive(Debug, Clone, Default)]
pub struct ClusterOptions {
    /// More flags of the gateway.
    pub gateway_flags: Vec<String>,
    /// TLS on both ports with a certificate of the gateway's own making, whose key everybody pins.
    pub tls: bool,
    /// One entry per agent.
    pub agents: Vec<AgentOptions>,
    /// The engine all agents use, with its address; the machine's own when absent.
    pub engine: Option<(Engine, String)>,
}

/// How an agent is started.
#[derive(Debug, Clone, Default)]
pub struct AgentOptions {
    /// More flags of the agent.
    pub flags: Vec<String>,
}

/// A running cluster; its [`Client`] is what it derefs to.
#[derive(Debug)]
pub struct Cluster {
    pub id: String,
    pub engine: Engine,
    pub gateway: Process,
    pub agents: Vec<Process>,
    client: Client,
    key: Option<Fingerprint>,
    image: TestImage,
    options: ClusterOptions,
    api_port: u16,
    s3_port: u16,
    folder: TempDir,
    finished: bool,
}

impl Deref for Cluster {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Cluster {
    /// One gateway and one agent with what the machine has.
    pub async fn start() -> Result<Self> {
        Self::with(ClusterOptions {
            agents: vec![AgentOptions::default()],
            ..ClusterOptions::default()
        })
        .await
    }

    /// A cluster as described.
    pub async fn with(options: ClusterOptions) -> Result<Self> {
        let id = uuid::Uuid::new_v4().simple().to_string()[..12].to_owned();
        let engine = match &options.engine {
            Some((engine, _)) => engine.clone(),
            None => Engine::connect().await?,
        };
        let image = engine.busybox(&format!("spillway-test/{id}:1")).await?;
        let folder = tempfile::Builder::new()
            .prefix("spillway-test-")
            .tempdir()?;
        let (api_port, s3_port) = (free_port()?, free_port()?);
        let mut gateway = start_gateway(&folder, api_port, s3_port, &options)?;
        let key = if options.tls {
            Some(key_of(&folder, &mut gateway).await?)
        } else {
            None
        };
        let scheme = if options.tls { "https" } else { "http" };
        let client = Client::new(
            format!("{scheme}://127.0.0.1:{api_port}"),
            format!("{scheme}://127.0.0.1:{s3_port}"),
            USER,
            PASSWORD,
            &image.reference,
            &key.map_or(Trust::System, Trust::Key),
        )?;
        let agents = Vec::new();
        let mut cluster = Self {
            id,
            engine,
            gateway,
            agents,
            client,
            key,
            image,
            options,
            api_port,
            s3_port,
            folder,
            finished: false,
        };
        cluster.wait_until_up().await?;
        for number in 0..cluster.options.agents.len() {
            let agent = cluster.agent(number)?;
            cluster.agents.push(agent);
        }
        cluster.wait_for_nodes(cluster.agents.len()).await?;
        Ok(cluster)
    }

    /// Data folder of the gateway.
    pub fn gateway_data(&self) -> PathBuf {
        self.folder.path().join("gateway")
    }

    /// Data folder of an agent.
    pub fn agent_data(&self, number: usize) -> PathBuf {
        self.folder.path().join(format!("agent-{number}"))
    }

    /// The busybox image of this cluster.
    pub fn image(&self) -> &str {
        &self.image.reference
    }

    /// Starts the gateway again after it was killed or stopped, with the same data and ports, and waits for it.
    pub async fn restart_gateway(&mut self) -> Result<()> {
        self.gateway = start_gateway(&self.folder, self.api_port, self.s3_port, &self.options)?;
        self.wait_until_up().await
    }

    /// Starts an agent again after it was killed or stopped.
    pub fn restart_agent(&mut self, number: usize) -> Result<()> {
        self.agents[number] = self.agent(number)?;
        Ok(())
    }

    /// Waits until so many nodes are ready.
    pub async fn wait_for_nodes(&mut self, count: usize) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let nodes = self.client.get_text("/spillway/v1/nodes").await?;
            let nodes: Vec<spillway_model::report::NodeReport> =
                serde_json::from_str(&nodes).context("nodes")?;
            if nodes.iter().filter(|node| node.ready).count() >= count {
                return Ok(());
            }
            for agent in &mut self.agents {
                ensure!(
                    agent.alive(),
                    "an agent has ended; its log:\n{}",
                    agent.log_tail(40)
                );
            }
            ensure!(
                Instant::now() < deadline,
                "not {count} ready nodes: {nodes:#?}"
            );
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn wait_until_up(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.client.get_text("/health").await.is_err() {
            ensure!(
                self.gateway.alive(),
                "the gateway has ended; its log:\n{}",
                self.gateway.log_tail(40)
            );
            ensure!(
                Instant::now() < deadline,
                "the gateway does not answer; its log:\n{}",
                self.gateway.log_tail(40)
            );
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    fn agent(&self, number: usize) -> Result<Process> {
        let data = self.agent_data(number);
        let mut arguments = vec![
            "--data".to_owned(),
            data.display().to_string(),
            "--gateway".to_owned(),
            self.client.api.clone(),
            "--join-token".to_owned(),
            PASSWORD.to_owned(),
            "--node".to_owned(),
            format!("node-{number}"),
            "--supervisor".to_owned(),
            supervisor()?.display().to_string(),
            "--container-label".to_owned(),
            format!("{LABEL}={}", self.id),
        ];
        if let Some((_, address)) = &self.options.engine {
            arguments.extend(["--docker".to_owned(), address.clone()]);
        }
        if let Some(key) = self.key {
            arguments.extend(["--gateway-fingerprint".to_owned(), key.to_string()]);
        }
        arguments.extend(
            self.options
                .agents
                .get(number)
                .cloned()
                .unwrap_or_default()
                .flags,
        );
        Process::start(
            &format!("agent-{number}"),
            &binary("spillway-agent")?,
            &arguments,
            self.folder.path(),
        )
    }

    /// Containers of this cluster, of any kind and state.
    pub async fn containers(&self) -> Result<usize> {
        Ok(self.engine.containers(LABEL, &self.id).await?.len())
    }

    /// Names of the volumes that its agents made.
    pub async fn volumes(&self) -> Result<Vec<String>> {
        self.engine.volumes(LABEL, &self.id).await
    }

    /// Stops everything cleanly and checks that nothing is left: no container, no file of a job on the agents, no
    /// temporary file and no unreferenced blob in the gateway's store.
    pub async fn finish(mut self) -> Result<()> {
        for agent in &mut self.agents {
            agent.stop().await?;
        }
        let left = self.engine.containers(LABEL, &self.id).await?;
        ensure!(left.is_empty(), "containers are left: {left:#?}");
        let left = self.volumes().await?;
        ensure!(left.is_empty(), "volumes are left: {left:#?}");
        self.gateway.stop().await?;
        for number in 0..self.agents.len() {
            for folder in ["members", "staging", "outbox"] {
                let left = files_below(&self.agent_data(number).join(folder));
                ensure!(left.is_empty(), "the agent left {left:?}");
            }
        }
        let left = files_below(&self.gateway_data().join("blobs/tmp"));
        ensure!(left.is_empty(), "the gateway left {left:?}");
        self.image.remove().await;
        self.finished = true;
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        // A test failed: keep the logs, take everything else away.
        let kept = std::env::temp_dir().join(format!("spillway-test-failed-{}", self.id));
        for name in ["gateway.log", "agent-0.log", "agent-1.log", "agent-2.log"] {
            keep_for_inspection(&self.folder.path().join(name), &kept);
        }
        eprintln!("logs of the failed cluster are in {}", kept.display());
        for process in self.agents.iter().chain([&self.gateway]) {
            if let Ok(pid) = process.pid()
                && let Ok(pid) = i32::try_from(pid)
            {
                let _ = nix::sys::signal::kill(
                    nix::unistd::Pid::from_raw(pid),
                    nix::sys::signal::Signal::SIGKILL,
                );
            }
        }
        // Not async here: the command is simpler than a runtime inside a runtime.
        let filter = format!("label={LABEL}={}", self.id);
        let list = std::process::Command::new("docker")
            .args(["ps", "-aq", "--filter", &filter])
            .output();
        let ids = list
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            .unwrap_or_default();
        let volumes = std::process::Command::new("docker")
            .args(["volume", "ls", "-q", "--filter", &filter])
            .output();
        let volumes = volumes
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            .unwrap_or_default();
        for arguments in [["rm", "-f"], ["rmi", "-f"], ["volume", "rm"]] {
            let names: Vec<&str> = match arguments[0] {
                "rm" => ids.split_whitespace().collect(),
                "volume" => volumes.split_whitespace().collect(),
                _ => vec![&self.image.reference],
            };
            if !names.is_empty() {
                let _ = std::process::Command::new("docker")
                    .args(arguments)
                    .args(names)
                    .output();
            }
        }
    }
}

fn start_gateway(
    folder: &TempDir,
    api_port: u16,
    s3_port: u16,
    options: &ClusterOptions,
) -> Result<Process> {
    let mut arguments: Vec<String> = [
        (
            "--data",
            folder.path().join("gateway").display().to_string(),
        ),
        ("--listen", format!("127.0.0.1:{api_port}")),
        ("--s3-listen", format!("127.0.0.1:{s3_port}")),
        ("--username", USER.to_owned()),
        ("--password", PASSWORD.to_owned()),
        ("--access-key", USER.to_owned()),
        ("--secret-key", PASSWORD.to_owned()),
        ("--join-token", PASSWORD.to_owned()),
    ]
    .into_iter()
    .flat_map(|(flag, value)| [flag.to_owned(), value])
    .collect();
    if options.tls {
        arguments.extend(["--tls".to_owned(), "self-signed".to_owned()]);
    }
    arguments.extend(options.gateway_flags.iter().cloned());
    Process::start(
        "gateway",
        &binary("spillway-gateway")?,
        &arguments,
        folder.path(),
    )
}

/// The key that the gateway tells at its start.
async fn key_of(folder: &TempDir, gateway: &mut Process) -> Result<Fingerprint> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let addresses = std::fs::read(folder.path().join("gateway/addresses.json"));
        if let Ok(addresses) = addresses {
            let addresses: serde_json::Value = serde_json::from_slice(&addresses)?;
            let key = addresses["fingerprint"].as_str();
            return Ok(key.context("there is no fingerprint")?.parse()?);
        }
        ensure!(
            gateway.alive() && Instant::now() < deadline,
            "the gateway does not start; its log:\n{}",
            gateway.log_tail(40)
        );
        sleep(Duration::from_millis(20)).await;
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn files_below(folder: &std::path::Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .flatten()
        .flat_map(|entry| {
            let path = entry.path();
            if path.is_dir() {
                files_below(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}
