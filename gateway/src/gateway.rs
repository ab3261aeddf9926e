//! The running gateway: what is started, in which order, and how it ends.

mod addresses;
mod folder;

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use jiff::Timestamp;
use spillway_model::service::{HIDDEN, MinioProvider};
use spillway_trust::Fingerprint;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::api;
use crate::api::{App, Neighbours, Parts};
use crate::auth::{ADMINISTRATOR, ADMINISTRATOR_NAME, Gatekeeper, Oidc, Users};
use crate::config::{Config, DEFAULT_DATA, Settings, TlsSettings};
use crate::executions::Executions;
use crate::link::{self, Link};
use crate::metrics::Metrics;
use crate::objects::Blobs;
use crate::providers::Providers;
use crate::queue::{Queue, QueueSettings};
use crate::registries::Registries;
use crate::report;
use crate::serve::{Lifetime, Port, Served, serve};
use crate::services::{Rules, Services};
use crate::store::{Store, StoreError};
use crate::tls::{Names, Tls};
use crate::volumes::Volumes;
use crate::{intake, outbox};

/// A gateway that serves both its ports. Dropping it stops it without waiting for anything; use [`Gateway::stop`].
#[derive(Debug)]
pub struct Gateway {
    api_address: SocketAddr,
    s3_address: SocketAddr,
    fingerprint: Option<watch::Receiver<Fingerprint>>,
    settings: Settings,
    store: Store,
    blobs: Blobs,
    queue: Queue,
    executions: Executions,
    metrics: Metrics,
    lifetime: Lifetime,
    /// Held as long as we run: no second gateway on the same data.
    _lock: folder::Lock,
}

impl Gateway {
    /// Starts on the data folder and returns once both ports listen.
    #[allow(clippy::too_many_lines)] // One part after another, in the order in which they need each other.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let (settings, lock) = tokio::task::spawn_blocking(move || prepare(config)).await??;
        let api_listener = listen(settings.listen, "the API").await?;
        let s3_listener = listen(settings.s3_listen, "the object store").await?;
        let (api_address, s3_address) = (api_listener.local_addr()?, s3_listener.local_addr()?);
        let s3_url = settings
            .s3_url
            .clone()
            .unwrap_or_else(|| public_url(&settings.tls, s3_address));
        let tls = open_tls(&settings, &s3_url).await?;

        let database = settings.data.join("spillway.db");
        let store = tokio::task::spawn_blocking(move || Store::open(&database)).await??;
        let blobs = Blobs::open_with_reserve(
            &settings.data.join("blobs"),
            store.clone(),
            settings.objects.reserve,
        )
        .await
        .context("opening the blobs")?;
        let metrics = count(&settings);
        let counted = QueueSettings {
            metrics: metrics.clone(),
            ..settings.queue.clone()
        };
        let queue = Queue::start(store.clone(), blobs.clone(), counted)
            .await
            .context("starting the queue")?;

        let quotas = settings.quotas;
        store
            .write(move |db| crate::quotas::settle(db, &quotas))
            .await
            .context("writing the default quotas down")?;

        let lifetime = Lifetime {
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        let volumes = Volumes::new(store.clone(), queue.clone());
        let users = Users::new(store.clone(), Arc::clone(store.vault()));
        let providers = Providers::new(settings.providers.connections.clone());
        let services = Services {
            volumes: volumes.clone(),
            store: store.clone(),
            queue: queue.clone(),
            tasks: lifetime.tasks.clone(),
            providers: providers.clone(),
            built_in: built_in(&s3_url, &settings),
            rules: Rules {
                users: users.clone(),
                groups: settings.oidc.groups.clone().into(),
            },
        };
        services
            .finish_deletions()
            .await
            .context("completing deletions that were cut short")?;

        carry(&settings, &queue, &providers, &lifetime);

        let s3 = s3_service(&settings, &store, &blobs, &queue, users.clone());
        let data = settings.data.clone();
        let executions = tokio::task::spawn_blocking(move || Executions::open(&data)).await?;
        let app = App::new(Parts {
            s3_url: s3_url.clone(),
            store: store.clone(),
            queue: queue.clone(),
            services,
            gatekeeper: Arc::new(gatekeeper(&settings, &users)?),
            users,
            room: Arc::new(Semaphore::new(settings.limits.requests)),
            volumes: volumes.clone(),
            executions: executions.clone(),
            metrics: metrics.clone(),
            started: Timestamp::now(),
            settings: settings.clone(),
        });
        let neighbours = neighbours(&settings, &queue, &volumes)
            .await
            .context("reading the nodes")?;
        let api = (api_listener, api::service(&app, neighbours));
        let fingerprint = open_ports(&settings, tls, api, (s3_listener, s3), &lifetime)?;
        background(&settings, &store, &lifetime, &executions, &metrics, volumes);
        let shown = fingerprint.as_ref().map(|shown| *shown.borrow());
        addresses::write(&settings.data, api_address, s3_address, shown)
            .await
            .context("writing addresses.json")?;
        info!(
            api = %api_address, s3 = %s3_address, s3.url = s3_url, data = %settings.data.display(),
            "the gateway serves"
        );
        Ok(Self {
            api_address,
            s3_address,
            fingerprint,
            settings,
            store,
            blobs,
            queue,
            executions,
            metrics,
            lifetime,
            _lock: lock,
        })
    }

    /// Where the API listens.
    pub fn api_address(&self) -> SocketAddr {
        self.api_address
    }

    /// Where the object store listens.
    pub fn s3_address(&self) -> SocketAddr {
        self.s3_address
    }

    /// The key that both ports show, now and later; none without TLS.
    pub fn fingerprint(&self) -> Option<watch::Receiver<Fingerprint>> {
        self.fingerprint.clone()
    }

    /// What agents show to join.
    pub fn join_token(&self) -> &str {
        self.settings.credentials.join_token.reveal()
    }

    /// The settings that hold, credentials included.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Takes no more connections, finishes what is in progress as far as the time limit allows, and closes the
    /// database.
    pub async fn stop(self) {
        let limit = self.settings.limits.stop_timeout;
        self.lifetime.stop.cancel();
        self.queue.stop_granting();
        self.lifetime.tasks.close();
        if tokio::time::timeout(limit, self.lifetime.tasks.wait())
            .await
            .is_err()
        {
            warn!(
                limit_s = limit.as_secs(),
                "some requests are cut short: they did not end in time"
            );
        }
        self.queue.stop().await;
        self.executions.flush().await;
        self.metrics.flush(&self.store).await;
        self.blobs.close().await;
        self.store.close().await;
        addresses::remove(&self.settings.data).await;
        info!("the gateway has stopped");
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.lifetime.stop.cancel();
    }
}

fn prepare(config: Config) -> anyhow::Result<(Settings, folder::Lock)> {
    let config = config.with_file()?;
    let data = config
        .data
        .clone()
        .unwrap_or_else(|| PathBuf::from(DEFAULT_DATA));
    let lock = folder::open(&data)?;
    let settings = Settings::new(&config, &data)?;
    Ok((settings, lock))
}

/// The built-in store, as services show it.
fn built_in(s3_url: &str, settings: &Settings) -> MinioProvider {
    MinioProvider {
        endpoint: s3_url.to_owned(),
        verify: settings.tls.is_verifiable(s3_url),
        access_key: HIDDEN.to_owned(),
        secret_key: HIDDEN.to_owned(),
        region: settings.region.clone(),
    }
}

/// Starts what goes on without anybody asking.
fn background(
    settings: &Settings,
    store: &Store,
    lifetime: &Lifetime,
    executions: &Executions,
    metrics: &Metrics,
    volumes: Volumes,
) {
    let (tasks, stop) = (&lifetime.tasks, &lifetime.stop);
    tasks.spawn(executions.clone().run(stop.clone()));
    tasks.spawn(volumes.run(stop.clone()));
    tasks.spawn(
        metrics
            .clone()
            .run(store.clone(), settings.limits.metrics_days, stop.clone()),
    );
}

/// The counters. Whatever name the administrator comes under, he is one user.
fn count(settings: &Settings) -> Metrics {
    let keys = &settings.credentials;
    let names = [&keys.username, keys.access_key.reveal(), ADMINISTRATOR];
    Metrics::new(ADMINISTRATOR_NAME, names.map(str::to_owned).into())
}

async fn listen(address: SocketAddr, what: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("listening on {address} for {what}"))
}

/// Who decides who comes in.
fn gatekeeper(settings: &Settings, users: &Users) -> anyhow::Result<Gatekeeper> {
    let oidc = settings.oidc.enabled.then(|| {
        Oidc::new(settings.oidc.clone(), users.clone()).context("preparing to ask OIDC providers")
    });
    Ok(Gatekeeper::new(
        &settings.credentials,
        &settings.limits,
        oidc.transpose()?,
    ))
}

/// What else is served on the port of the API.
async fn neighbours(
    settings: &Settings,
    queue: &Queue,
    volumes: &Volumes,
) -> Result<Neighbours, StoreError> {
    let link = Link::open(
        queue.clone(),
        volumes.clone(),
        settings.credentials.join_token.reveal(),
    )
    .await?;
    Ok(Neighbours {
        link: link::router(link),
        report: report::router(queue.clone()).merge(Registries::new(queue.clone()).router()),
    })
}

/// Starts what moves files to and from storages elsewhere.
fn carry(settings: &Settings, queue: &Queue, providers: &Providers, lifetime: &Lifetime) {
    let Lifetime { tasks, stop } = lifetime;
    let patience = settings.providers.outbox.patience;
    outbox::start(
        queue.clone(),
        providers.clone(),
        settings.providers.outbox.clone(),
        tasks,
        stop,
    );
    intake::start(queue.clone(), providers.clone(), patience, tasks, stop);
    crate::watch::start(
        queue.clone(),
        providers.clone(),
        settings.providers.interval,
        tasks,
        stop,
    );
}

/// The object store's protocol.
fn s3_service(
    settings: &Settings,
    store: &Store,
    blobs: &Blobs,
    queue: &Queue,
    users: Users,
) -> axum::Router {
    use crate::objects::{Credentials, Objects, service};

    let keys = &settings.credentials;
    service(Objects {
        store: store.clone(),
        blobs: blobs.clone(),
        queue: queue.clone(),
        credentials: Credentials::new(keys.access_key.reveal(), keys.secret_key.reveal())
            .with_users(users),
        settings: settings.objects.clone(),
    })
}

/// Serves both ports. Returns the key they show, if they speak TLS.
fn open_ports<A, S>(
    settings: &Settings,
    tls: Option<Tls>,
    (api_listener, api): (TcpListener, A),
    (s3_listener, s3): (TcpListener, S),
    lifetime: &Lifetime,
) -> anyhow::Result<Option<watch::Receiver<Fingerprint>>>
where
    A: Served<Future: Send>,
    S: Served<Future: Send>,
{
    let server = tls.as_ref().map(Tls::server).transpose()?;
    let port = |listener| Port {
        listener,
        connections: settings.limits.connections,
        tls: server.clone(),
    };
    let tasks = &lifetime.tasks;
    tasks.spawn(serve(port(api_listener), api, lifetime.clone()));
    tasks.spawn(serve(port(s3_listener), s3, lifetime.clone()));
    let Some(tls) = tls else {
        return Ok(None);
    };
    let fingerprint = tls.fingerprint();
    info!(fingerprint = %*fingerprint.borrow(), "both ports speak TLS; clients pin this key");
    tasks.spawn(tls.keep_fresh(lifetime.stop.clone()));
    Ok(Some(fingerprint))
}

/// The certificate to begin with, if any.
async fn open_tls(settings: &Settings, s3_url: &str) -> anyhow::Result<Option<Tls>> {
    let (tls, data) = (settings.tls.clone(), settings.data.clone());
    let mut names = match &tls {
        TlsSettings::SelfSigned { names } => names.clone(),
        _ => Vec::new(),
    };
    names.extend([settings.listen, settings.s3_listen].map(|address| address.ip().to_string()));
    names.extend(host_of(s3_url).map(str::to_owned));
    let open = move || Tls::open(&tls, &data, Names::new(names));
    tokio::task::spawn_blocking(open)
        .await?
        .context("setting TLS up")
}

/// The host in a URL, with the brackets of an IPv6 address.
fn host_of(url: &str) -> Option<&str> {
    let authority = url.split_once("://")?.1.split('/').next()?;
    let port = authority
        .rfind(':')
        .filter(|colon| !authority[*colon..].contains(']'));
    Some(&authority[..port.unwrap_or(authority.len())])
}

/// The URL under which others most likely reach a port of ours.
fn public_url(tls: &TlsSettings, address: SocketAddr) -> String {
    let ip = if address.ip().is_unspecified() {
        outgoing_address()
    } else {
        address.ip().to_string()
    };
    let host = if ip.contains(':') {
        format!("[{ip}]")
    } else {
        ip
    };
    let scheme = match tls {
        TlsSettings::Off => "http",
        _ => "https",
    };
    format!("{scheme}://{host}:{}", address.port())
}

/// The address of the interface that leads outside, or `localhost` when none does. Connecting a UDP socket sends
/// nothing, it only looks the route up; the target is an address reserved for documentation.
fn outgoing_address() -> String {
    let found = UdpSocket::bind(("0.0.0.0", 0)).and_then(|socket| {
        socket.connect(("192.0.2.1", 9))?;
        Ok(socket.local_addr()?.ip())
    });
    match found {
        Ok(IpAddr::V4(ip)) if !ip.is_loopback() && !ip.is_unspecified() => ip.to_string(),
        _ => "localhost".to_owned(),
    }
}
