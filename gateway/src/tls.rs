//! TLS on both ports: which certificate is shown, and how it changes while we run.
//!
//! Either the files that the user names, read again when they change, or a certificate of our own making
//! ([`authority`]). Connections that are open keep the certificate they began with.

mod accept;
mod authority;
mod files;
mod names;

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::Context as _;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use spillway_trust::Fingerprint;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::TlsSettings;
use authority::Authority;
use files::Files;

pub(crate) use accept::accept;
pub(crate) use names::Names;

/// How often the user's files are looked at.
const LOOK_AT_FILES: Duration = Duration::from_secs(5);

/// How often our own certificate is looked at: its age, and whether this machine got another address.
const LOOK_AT_OURS: Duration = Duration::from_mins(1);

/// What we speak, the best first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The certificate in use, and where the next one comes from.
#[derive(Debug)]
pub(crate) struct Tls {
    current: Arc<Current>,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Files(Files),
    Ours(Box<Authority>),
}

/// Shows one certificate to everybody, until there is another.
#[derive(Debug)]
struct Current {
    shown: RwLock<Arc<CertifiedKey>>,
    fingerprint: watch::Sender<Fingerprint>,
}

impl Tls {
    /// Reads or makes the first certificate; none when TLS is off. Blocks.
    pub(crate) fn open(
        settings: &TlsSettings,
        data: &Path,
        names: Names,
    ) -> anyhow::Result<Option<Self>> {
        let mut source = match settings {
            TlsSettings::Off => return Ok(None),
            TlsSettings::SelfSigned { .. } => {
                Source::Ours(Box::new(Authority::open(&data.join("tls"), names)?))
            }
            TlsSettings::Files { certificate, key } => {
                Source::Files(Files::new(certificate.clone(), key.clone()))
            }
        };
        let first = source
            .next()?
            .context("there is no certificate to begin with")?;
        let fingerprint = fingerprint(&first)?;
        let current = Arc::new(Current {
            shown: RwLock::new(Arc::new(first)),
            fingerprint: watch::Sender::new(fingerprint),
        });
        Ok(Some(Self { current, source }))
    }

    /// What a listener needs.
    pub(crate) fn server(&self) -> Result<Arc<ServerConfig>, rustls::Error> {
        let resolver: Arc<dyn ResolvesServerCert> = Arc::<Current>::clone(&self.current);
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        Ok(Arc::new(config))
    }

    /// The key that is shown, now and later.
    pub(crate) fn fingerprint(&self) -> watch::Receiver<Fingerprint> {
        self.current.fingerprint.subscribe()
    }

    /// Replaces the certificate when it is due, until told to stop.
    pub(crate) async fn keep_fresh(self, stop: CancellationToken) {
        let Self {
            current,
            mut source,
        } = self;
        let every = match &source {
            Source::Files(_) => LOOK_AT_FILES,
            Source::Ours(_) => LOOK_AT_OURS,
        };
        let mut complaint = String::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(every) => (),
            }
            let looked = tokio::task::spawn_blocking(move || {
                let next = source.next();
                (source, next)
            });
            let Ok((returned, next)) = looked.await else {
                return; // It panicked, or the runtime ends.
            };
            source = returned;
            match next.map(|next| next.map(|next| current.show(next))) {
                Ok(None) => (),
                Ok(Some(Ok(fingerprint))) => {
                    complaint.clear();
                    info!(%fingerprint, "new connections see a new certificate");
                }
                Ok(Some(Err(error))) => {
                    warn!(%error, "the new certificate cannot be used; the old one stays");
                }
                Err(error) => {
                    // Said once, however long it lasts.
                    let text = format!("{error:#}");
                    if text != complaint {
                        warn!("the certificate cannot be replaced; the old one stays: {text}");
                        complaint = text;
                    }
                }
            }
        }
    }
}

impl Source {
    /// Another certificate than the last time, if it is time for one.
    fn next(&mut self) -> anyhow::Result<Option<CertifiedKey>> {
        match self {
            Self::Files(files) => files.next(),
            Self::Ours(authority) => authority.next(),
        }
    }
}

impl Current {
    fn show(&self, next: CertifiedKey) -> Result<Fingerprint, rustls::Error> {
        let fingerprint = fingerprint(&next)?;
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        self.fingerprint.send_replace(fingerprint);
        Ok(fingerprint)
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let shown = self.shown.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&shown))
    }
}

fn fingerprint(shown: &CertifiedKey) -> Result<Fingerprint, rustls::Error> {
    Fingerprint::of_certificate(shown.end_entity_cert()?)
}

fn provider() -> CryptoProvider {
    rustls::crypto::ring::default_provider()
}
