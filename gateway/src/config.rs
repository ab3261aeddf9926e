//! What can be set, and where from: a flag, else its variable, else the file given with `--config`, else a default.
//!
//! [`Config`] is what was asked for; [`Settings`] is what holds.

mod credentials;
mod oidc;
mod quotas;
mod secret;
mod settings;
mod tls;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use jiff::SignedDuration;
use serde::Deserialize;

pub use credentials::Credentials;
pub use oidc::{Oidc, OidcConfig};
pub use quotas::{QuotaConfig, Size};
pub use secret::Secret;
pub use settings::{DEFAULT_DATA, Limits, Settings};
pub use tls::{TlsMode, TlsSettings};

/// Largest settings file, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// Everything that can be set; what is absent takes its default. The members are also the keys of the settings file.
#[derive(Debug, Clone, Default, PartialEq, clap::Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// YAML file with further settings, named like the flags with `_` for `-`
    #[arg(long, env = "SPILLWAY_GATEWAY_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Folder that holds everything which must survive [default: /var/lib/spillway/gateway]
    #[arg(long, env = "SPILLWAY_GATEWAY_DATA", value_name = "FOLDER")]
    pub data: Option<PathBuf>,
    /// Address of the API [default: 0.0.0.0:8080]
    #[arg(long, env = "SPILLWAY_LISTEN", value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Address of the object store [default: 0.0.0.0:9000]
    #[arg(long, env = "SPILLWAY_S3_LISTEN", value_name = "ADDRESS")]
    pub s3_listen: Option<SocketAddr>,
    /// URL under which clients reach the object store [default: this host and its port]
    #[arg(long, env = "SPILLWAY_S3_URL", value_name = "URL")]
    pub s3_url: Option<String>,
    /// Whether both ports speak TLS with a certificate of our own making; off unless --tls-cert is given [default: off]
    #[arg(long, env = "SPILLWAY_TLS", value_name = "MODE")]
    pub tls: Option<TlsMode>,
    /// Certificate for both ports, PEM; read again when it changes
    #[arg(long, env = "SPILLWAY_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// Its private key, PEM
    #[arg(long, env = "SPILLWAY_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// More names and addresses for the certificate of our own making, with commas between them
    #[arg(
        long,
        env = "SPILLWAY_TLS_NAME",
        value_delimiter = ',',
        value_name = "NAMES"
    )]
    pub tls_name: Option<Vec<String>>,
    /// Region that the object store names to clients [default: us-east-1]
    #[arg(long, env = "MINIO_REGION", value_name = "REGION")]
    pub region: Option<String>,
    /// Name of the cluster [default: oscar]
    #[arg(long, env = "OSCAR_NAME", value_name = "NAME")]
    pub name: Option<String>,
    /// The administrator [default: oscar]
    #[arg(long, env = "OSCAR_USERNAME", value_name = "NAME")]
    pub username: Option<String>,
    /// The administrator's password [default: generated at the first start, kept in the data folder]
    #[arg(
        long,
        env = "OSCAR_PASSWORD",
        hide_env_values = true,
        value_name = "PASSWORD"
    )]
    pub password: Option<Secret>,
    /// Access key of the object store [default: generated]
    #[arg(
        long,
        env = "MINIO_ACCESS_KEY",
        hide_env_values = true,
        value_name = "KEY"
    )]
    pub access_key: Option<Secret>,
    /// Secret key of the object store [default: generated]
    #[arg(
        long,
        env = "MINIO_SECRET_KEY",
        hide_env_values = true,
        value_name = "KEY"
    )]
    pub secret_key: Option<Secret>,
    /// What agents show to join the cluster [default: generated]
    #[arg(
        long,
        env = "SPILLWAY_JOIN_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    pub join_token: Option<Secret>,
    /// Largest body of POST /job, in bytes [default: 67108864]
    #[arg(long, env = "SPILLWAY_JOB_BODY_LIMIT", value_name = "BYTES")]
    pub job_body_limit: Option<u64>,
    /// API requests served at the same time; further ones wait [default: 256]
    #[arg(long, env = "SPILLWAY_CONCURRENT_REQUESTS", value_name = "NUMBER")]
    pub concurrent_requests: Option<u32>,
    /// Connections at the same time on each of the two ports; further ones wait [default: 1024]
    #[arg(long, env = "SPILLWAY_CONNECTIONS", value_name = "NUMBER")]
    pub connections: Option<u32>,
    /// How long an API request may take, such as 300s [default: 300s]
    #[arg(long, env = "SPILLWAY_REQUEST_TIMEOUT", value_name = "TIME")]
    pub request_timeout: Option<SignedDuration>,
    /// How long requests in progress may go on after the order to stop [default: 10s]
    #[arg(long, env = "SPILLWAY_STOP_TIMEOUT", value_name = "TIME")]
    pub stop_timeout: Option<SignedDuration>,
    /// Jobs or objects on one page of a listing [default: 70]
    #[arg(long, env = "JOB_LISTING_LIMIT", value_name = "NUMBER")]
    pub listing_limit: Option<u32>,
    /// Wrong passwords in a row that one address may send before it has to wait [default: 20]
    #[arg(long, env = "SPILLWAY_PASSWORD_GUESSES", value_name = "NUMBER")]
    pub password_guesses: Option<u32>,
    /// Time after which an address may guess once more [default: 3s]
    #[arg(long, env = "SPILLWAY_PASSWORD_GUESS_EVERY", value_name = "TIME")]
    pub password_guess_every: Option<SignedDuration>,
    /// A job goes back to the queue so long after its node's last sign of life [default: 30s]
    #[arg(long, env = "SPILLWAY_LEASE", value_name = "TIME")]
    pub lease: Option<SignedDuration>,
    /// How often agents give a sign of life [default: a third of the lease]
    #[arg(long, env = "SPILLWAY_HEARTBEAT", value_name = "TIME")]
    pub heartbeat: Option<SignedDuration>,
    /// Unfinished jobs at most; beyond, events that would start another are refused with 503 [default: 1000000]
    #[arg(long, env = "SPILLWAY_UNFINISHED_JOBS", value_name = "NUMBER")]
    pub unfinished_jobs: Option<u64>,
    /// Seconds for which finished jobs and their logs are kept [default: 2592000]
    #[arg(long, env = "TTL_JOB", value_name = "SECONDS")]
    pub ttl_job: Option<u64>,
    /// Finished jobs kept at most [default: 100000]
    #[arg(long, env = "SPILLWAY_KEEP_JOBS", value_name = "NUMBER")]
    pub keep_jobs: Option<u64>,
    /// Bytes that the logs of finished jobs may take together [default: 268435456]
    #[arg(long, env = "SPILLWAY_KEEP_LOG_BYTES", value_name = "BYTES")]
    pub keep_log_bytes: Option<u64>,
    /// Days for which it is kept how often services were called; single hours for 35 of them [default: 400]
    #[arg(long, env = "SPILLWAY_KEEP_METRICS", value_name = "DAYS")]
    pub keep_metrics: Option<u32>,
    /// How often folders of other storages that are inputs are looked into, such as 10s [default: 10s]
    #[arg(long, env = "SPILLWAY_WATCH_EVERY", value_name = "TIME")]
    pub watch_every: Option<SignedDuration>,
    /// How long an output for another storage is tried to be delivered before it is given up [default: 168h]
    #[arg(long, env = "SPILLWAY_DELIVER_FOR", value_name = "TIME")]
    pub deliver_for: Option<SignedDuration>,
    /// PEM file with certificate authorities to trust for other storages, besides those of the system
    #[arg(long, env = "SPILLWAY_PROVIDER_CA", value_name = "FILE")]
    pub provider_ca: Option<PathBuf>,
    /// Bytes that the object store leaves free on the disk [default: 67108864]
    #[arg(long, env = "SPILLWAY_S3_RESERVE", value_name = "BYTES")]
    pub s3_reserve: Option<u64>,
    /// Largest upload, or part of one, in bytes [default: 5368709120]
    #[arg(long, env = "SPILLWAY_S3_MAX_OBJECT", value_name = "BYTES")]
    pub s3_max_object: Option<u64>,
    /// Origins whose pages may use the object store from a browser, with commas between them; * for all [default: *]
    #[arg(
        long,
        env = "SPILLWAY_S3_CORS_ORIGINS",
        value_delimiter = ',',
        value_name = "ORIGINS"
    )]
    pub s3_cors_origins: Option<Vec<String>>,
    /// Domain below which each bucket is a host of its own, such as s3.example.org [default: none, only paths]
    #[arg(long, env = "SPILLWAY_S3_DOMAIN", value_name = "DOMAIN")]
    pub s3_domain: Option<String>,
    /// Origins whose pages may use the API, such as that of a dashboard hosted elsewhere; * for all [default: none]
    #[arg(
        long,
        env = "SPILLWAY_CORS_ORIGINS",
        value_delimiter = ',',
        value_name = "ORIGINS"
    )]
    pub cors_origins: Option<Vec<String>>,
    /// Show Go clients the ports of exposed services as numbers, as OSCAR's CLI up to 1.9 expects [default: true]
    #[arg(long, env = "SPILLWAY_SCALAR_PORTS", value_name = "true|false")]
    pub scalar_ports: Option<bool>,
    /// What each user may use.
    #[command(flatten)]
    pub quotas: QuotaConfig,
    /// Users who bring a token of an OIDC provider.
    #[command(flatten)]
    pub oidc: OidcConfig,
}

impl Config {
    /// Adds what the settings file says, if one is named, below what was said directly.
    pub(crate) fn with_file(self) -> anyhow::Result<Self> {
        let Some(path) = self.config.clone() else {
            return Ok(self);
        };
        let file =
            read(&path).with_context(|| format!("reading the settings file {}", path.display()))?;
        Ok(self.or(file))
    }

    /// What `self` leaves open is taken from `other`.
    fn or(self, other: Self) -> Self {
        Self {
            config: self.config.or(other.config),
            data: self.data.or(other.data),
            listen: self.listen.or(other.listen),
            s3_listen: self.s3_listen.or(other.s3_listen),
            s3_url: self.s3_url.or(other.s3_url),
            tls: self.tls.or(other.tls),
            tls_cert: self.tls_cert.or(other.tls_cert),
            tls_key: self.tls_key.or(other.tls_key),
            tls_name: self.tls_name.or(other.tls_name),
            region: self.region.or(other.region),
            name: self.name.or(other.name),
            username: self.username.or(other.username),
            password: self.password.or(other.password),
            access_key: self.access_key.or(other.access_key),
            secret_key: self.secret_key.or(other.secret_key),
            join_token: self.join_token.or(other.join_token),
            job_body_limit: self.job_body_limit.or(other.job_body_limit),
            concurrent_requests: self.concurrent_requests.or(other.concurrent_requests),
            connections: self.connections.or(other.connections),
            request_timeout: self.request_timeout.or(other.request_timeout),
            stop_timeout: self.stop_timeout.or(other.stop_timeout),
            listing_limit: self.listing_limit.or(other.listing_limit),
            password_guesses: self.password_guesses.or(other.password_guesses),
            password_guess_every: self.password_guess_every.or(other.password_guess_every),
            lease: self.lease.or(other.lease),
            heartbeat: self.heartbeat.or(other.heartbeat),
            unfinished_jobs: self.unfinished_jobs.or(other.unfinished_jobs),
            ttl_job: self.ttl_job.or(other.ttl_job),
            keep_jobs: self.keep_jobs.or(other.keep_jobs),
            keep_log_bytes: self.keep_log_bytes.or(other.keep_log_bytes),
            keep_metrics: self.keep_metrics.or(other.keep_metrics),
            watch_every: self.watch_every.or(other.watch_every),
            deliver_for: self.deliver_for.or(other.deliver_for),
            provider_ca: self.provider_ca.or(other.provider_ca),
            s3_reserve: self.s3_reserve.or(other.s3_reserve),
            s3_max_object: self.s3_max_object.or(other.s3_max_object),
            s3_cors_origins: self.s3_cors_origins.or(other.s3_cors_origins),
            s3_domain: self.s3_domain.or(other.s3_domain),
            cors_origins: self.cors_origins.or(other.cors_origins),
            scalar_ports: self.scalar_ports.or(other.scalar_ports),
            quotas: self.quotas.or(other.quotas),
            oidc: self.oidc.or(other.oidc),
        }
    }
}

fn read(path: &Path) -> anyhow::Result<Config> {
    anyhow::ensure!(
        std::fs::metadata(path)?.len() <= MAX_FILE,
        "it is larger than {MAX_FILE} bytes"
    );
    let text = std::fs::read_to_string(path)?;
    if text.trim().is_empty() {
        return Ok(Config::default());
    }
    Ok(serde_saphyr::from_str(&text)?)
}

#[cfg(test)]
#[allow(clippy::items_after_statements)] // The check of a table stands below it.
mod tests;
