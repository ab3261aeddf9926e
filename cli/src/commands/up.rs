//! `up`: gateway and agent in one process.

mod summary;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use spillway_agent::Agent;
use spillway_gateway::Gateway;
use spillway_gateway::config::TlsMode;
use spillway_model::quantity::{Cpu, Memory};
use spillway_trust::Trust;
use tracing_subscriber::EnvFilter;

use super::Context;
use crate::interrupt::asked_to_stop;
use crate::screen::{Screen, paint};

const EXAMPLES: &str = "\
Examples:
  spillway up
  spillway up --data /mnt/ssd/spillway --label camera=true
  spillway up --listen 127.0.0.1:8080 --s3-listen 127.0.0.1:9000

Passwords and keys are made at the first start and kept in DATA/gateway/credentials.json, which only you can
read. Your configuration gets the cluster `local` for them. Further machines join with
`spillway-agent --gateway URL --join-token TOKEN`; the token is in the same file.
Ctrl-C stops everything; what was accepted is still there after the next start.";

/// When the container engine has not answered for so long, the user is told what is being waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Start a whole cluster on this machine: gateway, object store and agent, in one process
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Up {
    /// Folder for everything that must survive [default: /var/lib/spillway for root, else ~/.local/share/spillway]
    #[arg(long, env = "SPILLWAY_DATA", value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Address of the API
    #[arg(
        long,
        env = "SPILLWAY_LISTEN",
        value_name = "ADDRESS",
        default_value = "0.0.0.0:8080"
    )]
    listen: SocketAddr,
    /// Address of the object store
    #[arg(
        long,
        env = "SPILLWAY_S3_LISTEN",
        value_name = "ADDRESS",
        default_value = "0.0.0.0:9000"
    )]
    s3_listen: SocketAddr,
    /// URL under which clients reach the object store [default: this host and its port]
    #[arg(long, env = "SPILLWAY_S3_URL", value_name = "URL")]
    s3_url: Option<String>,
    /// Speak TLS on both ports, with a certificate of our own making; its key is pinned in your configuration
    #[arg(long, env = "SPILLWAY_TLS", value_name = "MODE")]
    tls: Option<TlsMode>,
    /// Certificate for both ports, PEM; read again when it changes
    #[arg(long, env = "SPILLWAY_TLS_CERT", value_name = "FILE")]
    tls_cert: Option<PathBuf>,
    /// Its private key, PEM
    #[arg(long, env = "SPILLWAY_TLS_KEY", value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// More names and addresses for the certificate of our own making, with commas between them
    #[arg(
        long,
        env = "SPILLWAY_TLS_NAME",
        value_delimiter = ',',
        value_name = "NAMES"
    )]
    tls_name: Option<Vec<String>>,
    /// Name of the cluster [default: oscar]
    #[arg(long, env = "OSCAR_NAME", value_name = "NAME")]
    name: Option<String>,
    /// The administrator [default: oscar]
    #[arg(long, env = "OSCAR_USERNAME", value_name = "NAME")]
    username: Option<String>,
    /// The administrator's password [default: made at the first start]
    #[arg(
        long,
        env = "OSCAR_PASSWORD",
        hide_env_values = true,
        value_name = "PASSWORD"
    )]
    admin_password: Option<spillway_gateway::Secret>,
    /// Name of this node [default: the host name]
    #[arg(long, env = "SPILLWAY_NODE", value_name = "NAME")]
    node: Option<String>,
    /// Address of the Docker Engine
    #[arg(long, env = "DOCKER_HOST", value_name = "ADDRESS", default_value = spillway_agent::DEFAULT_DOCKER)]
    docker: String,
    /// The static supervisor binary [default: beside this program, then /usr/lib/spillway/spillway-supervisor]
    #[arg(long, env = "SPILLWAY_SUPERVISOR", value_name = "FILE")]
    supervisor: Option<PathBuf>,
    /// Label of this node, for `edge.node_selector`; repeatable
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = pair)]
    labels: Vec<(String, String)>,
    /// Label on every container that is created; repeatable
    #[arg(long = "container-label", value_name = "KEY=VALUE", value_parser = pair)]
    container_labels: Vec<(String, String)>,
    /// Cores for containers, such as 2 or 1500m [default: all]
    #[arg(long, value_name = "CORES")]
    cpus: Option<Cpu>,
    /// Memory for containers, such as 3Gi [default: all but the larger of 256Mi and a tenth]
    #[arg(long, value_name = "SIZE")]
    memory: Option<Memory>,
    /// An idle container above `min_scale` is removed after so long
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = spillway_model::duration::parse)]
    idle: Duration,
    /// Leave the configuration alone
    #[arg(long)]
    no_config: bool,
}

/// Runs until the user stops it, or until a part breaks.
pub(super) async fn run(context: &Context<'_>, up: &Up) -> anyhow::Result<()> {
    start_log(context.shared.verbose);
    let mut stop = pin!(asked_to_stop());
    let root = up.data.clone().map_or_else(default_root, Ok)?;
    let gateway = tokio::select! {
        gateway = Gateway::start(up.gateway_config(&root)) => gateway.context("starting the gateway")?,
        asked = &mut stop => return asked,
    };
    let api = loopback(gateway.api_address());
    let starting = Box::pin(Agent::start(up.agent_config(&root, api, &gateway)));
    let mut agent = match agent(context.screen, starting, stop.as_mut(), &up.docker).await {
        Ok(Some(agent)) => agent,
        other => {
            gateway.stop().await;
            return other.map(drop);
        }
    };
    let told = summary::tell(context, up, &root, &gateway, agent.node());
    let outcome = match told {
        Ok(()) => tokio::select! {
            asked = &mut stop => asked,
            error = agent.broken() => Err(error),
        },
        Err(error) => Err(error),
    };
    context
        .screen
        .note("\nStopping; running scripts get a moment to end.");
    agent.stop().await;
    gateway.stop().await;
    outcome
}

/// The agent, once the container engine answers; none when the user lost patience.
async fn agent(
    screen: Screen,
    starting: impl Future<Output = anyhow::Result<Agent>>,
    mut stop: std::pin::Pin<&mut impl Future<Output = anyhow::Result<()>>>,
    docker: &str,
) -> anyhow::Result<Option<Agent>> {
    let mut starting = pin!(starting);
    tokio::select! {
        agent = &mut starting => return agent.context("starting the agent").map(Some),
        asked = &mut stop => return asked.map(|()| None),
        () = tokio::time::sleep(PATIENCE) => {
            screen.note(format!("Still waiting for the container engine at {docker}, which is being tried out; is Docker running?"));
        }
    }
    tokio::select! {
        agent = starting => agent.context("starting the agent").map(Some),
        asked = stop => asked.map(|()| None),
    }
}

impl Up {
    fn gateway_config(&self, root: &std::path::Path) -> spillway_gateway::Config {
        spillway_gateway::Config {
            data: Some(root.join("gateway")),
            listen: Some(self.listen),
            s3_listen: Some(self.s3_listen),
            s3_url: self.s3_url.clone(),
            tls: self.tls,
            tls_cert: self.tls_cert.clone(),
            tls_key: self.tls_key.clone(),
            tls_name: self.tls_name.clone(),
            name: self.name.clone(),
            username: self.username.clone(),
            password: self.admin_password.clone(),
            ..spillway_gateway::Config::default()
        }
    }

    fn agent_config(
        &self,
        root: &std::path::Path,
        api: SocketAddr,
        gateway: &Gateway,
    ) -> spillway_agent::Config {
        // The key may change while both run; the agent follows.
        let trust = gateway.fingerprint().map(Trust::Current);
        spillway_agent::Config {
            data: root.join("agent"),
            gateway: format!("{}://{api}", scheme(gateway)),
            gateway_trust: trust,
            join_token: Some(gateway.join_token().to_owned().into()),
            node: self.node.clone(),
            docker: self.docker.clone(),
            supervisor: self.supervisor.clone(),
            labels: self.labels.clone(),
            container_labels: self.container_labels.clone(),
            cpus: self.cpus,
            memory: self.memory,
            idle: self.idle,
            ..spillway_agent::Config::default()
        }
    }
}

/// What both ports speak.
fn scheme(gateway: &Gateway) -> &'static str {
    match gateway.fingerprint() {
        Some(_) => "https",
        None => "http",
    }
}

/// How this machine reaches a port of its own.
fn loopback(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn default_root() -> anyhow::Result<PathBuf> {
    if std::fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0) {
        return Ok("/var/lib/spillway".into());
    }
    let set = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    set("XDG_DATA_HOME")
        .or_else(|| Some(set("HOME")?.join(".local/share")))
        .map(|share| share.join("spillway"))
        .context("there is no home folder to keep the data in; name a folder with --data")
}

/// Both parts log to standard error: only what is wrong, unless more is asked for.
fn start_log(verbose: bool) {
    let default = if verbose { "info" } else { "warn" };
    let filter =
        EnvFilter::try_from_env("SPILLWAY_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    // It logs the headers of requests, and with them authorisation.
    let filter = match "s3s=off".parse() {
        Ok(silence) => filter.add_directive(silence),
        Err(_) => filter,
    };
    // A subscriber that is there already, in a test, does as well.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(paint::on_stderr())
        .with_writer(std::io::stderr)
        .try_init();
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE, such as camera=true".to_owned()),
    }
}
