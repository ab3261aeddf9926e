//! The settings that hold, checked and complete.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use jiff::SignedDuration;
use spillway_storage::Connections;

use super::{Config, Credentials, Oidc, TlsSettings};
use crate::objects;
use crate::outbox::OutboxSettings;
use crate::queue::QueueSettings;
use crate::quotas::Quotas;

/// Where the gateway keeps its data unless told otherwise.
pub const DEFAULT_DATA: &str = "/var/lib/spillway/gateway";

/// Everything the gateway goes by.
#[derive(Debug, Clone)]
pub struct Settings {
    pub data: PathBuf,
    pub listen: SocketAddr,
    pub s3_listen: SocketAddr,
    /// As configured; see `Gateway` for the default, which needs the port.
    pub s3_url: Option<String>,
    pub tls: TlsSettings,
    pub region: String,
    /// Name of the cluster.
    pub name: String,
    pub credentials: Credentials,
    pub limits: Limits,
    pub queue: QueueSettings,
    pub objects: objects::Settings,
    pub providers: ProviderSettings,
    /// Origins whose pages may use the API.
    pub cors_origins: Vec<String>,
    pub scalar_ports: bool,
    /// What users may use of whom nothing else is said.
    pub quotas: Quotas,
    pub oidc: Oidc,
}

/// What storages elsewhere are gone by.
#[derive(Debug, Clone)]
pub struct ProviderSettings {
    pub(crate) connections: Connections,
    pub(crate) outbox: OutboxSettings,
    /// Between two looks into a watched folder.
    pub(crate) interval: Duration,
}

/// What keeps things bounded.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of a `/job` body.
    pub job_body: u64,
    /// API requests in progress.
    pub requests: usize,
    /// Connections on each port.
    pub connections: usize,
    pub request_timeout: Duration,
    pub stop_timeout: Duration,
    /// Entries of a page.
    pub listing: usize,
    /// Wrong passwords at once, and the time that earns one more.
    pub guesses: u32,
    pub guess_every: Duration,
    /// Days for which metrics are kept.
    pub metrics_days: u32,
}

impl Settings {
    /// Completes `config` with its file, its defaults and the credentials of the data folder, which must exist.
    pub(crate) fn new(config: &Config, data: &Path) -> anyhow::Result<Self> {
        let credentials = Credentials::load(data, config)?;
        let limits = Limits::new(config)?;
        let name = config.name.clone().unwrap_or_else(|| "oscar".to_owned());
        anyhow::ensure!(
            !name.is_empty(),
            "name is empty; name the cluster, or leave it out"
        );
        let s3_url = config
            .s3_url
            .as_deref()
            .map(|url| url.trim_end_matches('/').to_owned());
        if let Some(url) = &s3_url {
            let known = url.starts_with("http://") || url.starts_with("https://");
            anyhow::ensure!(
                known,
                "s3_url must start with http:// or https://, but is {url:?}"
            );
        }
        let region = config
            .region
            .clone()
            .filter(|region| !region.is_empty())
            .unwrap_or_else(|| "us-east-1".to_owned());
        Ok(Self {
            data: data.to_owned(),
            listen: config.listen.unwrap_or(([0, 0, 0, 0], 8080).into()),
            s3_listen: config.s3_listen.unwrap_or(([0, 0, 0, 0], 9000).into()),
            s3_url,
            tls: TlsSettings::new(config)?,
            objects: objects(config, &name, &region)?,
            region,
            name,
            credentials,
            queue: queue(config, &limits)?,
            providers: providers(config)?,
            cors_origins: origins(
                "cors_origins",
                config.cors_origins.clone().unwrap_or_default(),
            )?,
            limits,
            scalar_ports: config.scalar_ports.unwrap_or(true),
            quotas: config.quotas.defaults(),
            oidc: Oidc::new(&config.oidc)?,
        })
    }
}

impl Limits {
    pub(super) fn new(config: &Config) -> anyhow::Result<Self> {
        let listing = config.listing_limit.unwrap_or(70);
        anyhow::ensure!(
            (1..=1000).contains(&listing),
            "listing_limit must be between 1 and 1000, but is {listing}"
        );
        Ok(Self {
            job_body: config.job_body_limit.unwrap_or(64 * 1024 * 1024),
            requests: at_least_one("concurrent_requests", config.concurrent_requests, 256)?,
            connections: at_least_one("connections", config.connections, 1024)?,
            request_timeout: time("request_timeout", config.request_timeout, 300)?,
            stop_timeout: time("stop_timeout", config.stop_timeout, 10)?,
            listing: usize::try_from(listing)?,
            guesses: config.password_guesses.unwrap_or(20).max(1),
            guess_every: time("password_guess_every", config.password_guess_every, 3)?,
            metrics_days: config.keep_metrics.unwrap_or(400).max(1),
        })
    }
}

/// What the queue goes by. A node that misses two heartbeats still keeps its leases.
fn queue(config: &Config, limits: &Limits) -> anyhow::Result<QueueSettings> {
    let usual = QueueSettings::default();
    let lease = time("lease", config.lease, usual.lease.as_secs())?;
    let heartbeat = match config.heartbeat {
        None => lease / 3,
        set => time("heartbeat", set, 0)?,
    };
    anyhow::ensure!(
        heartbeat < lease,
        "heartbeat must be shorter than lease ({} s), but is {} s; a third of it is usual",
        lease.as_secs_f64(),
        heartbeat.as_secs_f64()
    );
    Ok(QueueSettings {
        lease,
        heartbeat,
        handover: usual.handover.min(lease / 3),
        unfinished: config.unfinished_jobs.unwrap_or(usual.unfinished).max(1),
        keep: config.ttl_job.map_or(usual.keep, Duration::from_secs),
        keep_jobs: config.keep_jobs.unwrap_or(usual.keep_jobs),
        keep_log_bytes: config.keep_log_bytes.unwrap_or(usual.keep_log_bytes),
        body_limit: limits.job_body,
        ..usual
    })
}

/// What the object store goes by.
fn objects(config: &Config, cluster: &str, region: &str) -> anyhow::Result<objects::Settings> {
    let usual = objects::Settings::default();
    let cors_origins = config.s3_cors_origins.clone().unwrap_or(usual.cors_origins);
    let domain = config.s3_domain.clone().filter(|domain| !domain.is_empty());
    if let Some(domain) = &domain {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
        anyhow::ensure!(
            domain.bytes().all(is_plain) && !domain.starts_with('.'),
            "s3_domain must be a domain such as s3.example.org, without a port, but is {domain:?}"
        );
    }
    Ok(objects::Settings {
        max_object: config.s3_max_object.unwrap_or(usual.max_object),
        reserve: config.s3_reserve.unwrap_or(usual.reserve),
        cors_origins: origins("s3_cors_origins", cors_origins)?,
        cluster: cluster.to_owned(),
        region: region.to_owned(),
        domain: domain.map(|domain| domain.to_ascii_lowercase()),
        ..usual
    })
}

/// How storages elsewhere are reached, and for how long.
fn providers(config: &Config) -> anyhow::Result<ProviderSettings> {
    // Whoever embeds a gateway may have installed one; the first one stays.
    drop(rustls::crypto::ring::default_provider().install_default());
    let authorities = config
        .provider_ca
        .as_ref()
        .map(|path| {
            std::fs::read(path).with_context(|| format!("reading provider_ca {}", path.display()))
        })
        .transpose()?;
    let connections = Connections::new(authorities.as_deref()).context("provider_ca")?;
    let usual = OutboxSettings::default();
    let patience = time("deliver_for", config.deliver_for, usual.patience.as_secs())?;
    let keep = config.ttl_job.map_or(usual.keep, Duration::from_secs);
    Ok(ProviderSettings {
        connections,
        outbox: OutboxSettings { patience, keep },
        interval: time("watch_every", config.watch_every, 10)?,
    })
}

/// Empty ones go: a variable that is set to nothing means none.
fn origins(name: &str, origins: Vec<String>) -> anyhow::Result<Vec<String>> {
    let origins = origins.into_iter().map(|origin| origin.trim().to_owned());
    let origins: Vec<String> = origins.filter(|origin| !origin.is_empty()).collect();
    for origin in origins.iter().filter(|origin| *origin != "*") {
        let host = origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"));
        anyhow::ensure!(
            host.is_some_and(|host| !host.is_empty() && !host.contains('/')),
            "{name} has {origin:?}; expected * or an origin such as https://dashboard.example.org, without a path"
        );
    }
    Ok(origins)
}

fn at_least_one(name: &str, set: Option<u32>, default: u32) -> anyhow::Result<usize> {
    let number = set.unwrap_or(default);
    anyhow::ensure!(number > 0, "{name} must be at least 1");
    usize::try_from(number).context("a 16-bit machine")
}

pub(super) fn time(
    name: &str,
    set: Option<SignedDuration>,
    default_seconds: u64,
) -> anyhow::Result<Duration> {
    let Some(set) = set else {
        return Ok(Duration::from_secs(default_seconds));
    };
    anyhow::ensure!(
        set.is_positive(),
        "{name} must be longer than 0 s, but is {} s",
        set.as_secs_f64()
    );
    Ok(set.unsigned_abs())
}
