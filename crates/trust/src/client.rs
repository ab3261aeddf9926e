//! Clients that trust as they were told to.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::watch;

use crate::Fingerprint;
use crate::verify::Verifier;

/// Whose certificates a client accepts.
#[derive(Debug, Clone, Default)]
pub enum Trust {
    /// Those that the system's authorities vouch for.
    #[default]
    System,
    /// Those that the authorities in this PEM file vouch for, and no others.
    Authority(PathBuf),
    /// The one with this key.
    Key(Fingerprint),
    /// The one with the key that holds at the moment, for a gateway in the same process.
    Current(watch::Receiver<Fingerprint>),
    /// Any. Whoever sits in between can read and change everything.
    Anybody,
}

/// Why the settings of trust cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    #[error("reading the certificates of authorities in {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    #[error(
        "{} has no certificate; expected PEM, which begins with -----BEGIN CERTIFICATE-----",
        path.display()
    )]
    Empty { path: PathBuf },
    #[error("a certificate in {} is damaged", path.display())]
    Damaged {
        path: PathBuf,
        #[source]
        source: rustls::Error,
    },
    #[error("setting TLS up")]
    Tls(#[from] rustls::Error),
}

impl Trust {
    /// Makes a client that trusts this way.
    pub fn apply(
        &self,
        client: reqwest::ClientBuilder,
    ) -> Result<reqwest::ClientBuilder, TrustError> {
        Ok(match self.client_config()? {
            None => client,
            Some(config) => client.tls_backend_preconfigured(config),
        })
    }

    /// The same for whoever speaks TLS without reqwest; none for the system's authorities, which reqwest knows best.
    fn client_config(&self) -> Result<Option<ClientConfig>, TrustError> {
        let verifier = match self {
            Self::System => return Ok(None),
            Self::Authority(path) => {
                let config = builder()?
                    .with_root_certificates(authorities(path)?)
                    .with_no_client_auth();
                return Ok(Some(config));
            }
            Self::Key(key) => Verifier::key(*key),
            Self::Current(key) => Verifier::current(key.clone()),
            Self::Anybody => Verifier::anybody(),
        };
        Ok(Some(verified_by(verifier)?))
    }
}

fn authorities(path: &Path) -> Result<RootCertStore, TrustError> {
    let read = |source| TrustError::Read {
        path: path.to_owned(),
        source,
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(read)? {
        roots
            .add(certificate.map_err(read)?)
            .map_err(|source| TrustError::Damaged {
                path: path.to_owned(),
                source,
            })?;
    }
    if roots.is_empty() {
        return Err(TrustError::Empty {
            path: path.to_owned(),
        });
    }
    Ok(roots)
}

pub(crate) fn verified_by(verifier: Verifier) -> Result<ClientConfig, rustls::Error> {
    Ok(builder()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

fn builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, rustls::Error> {
    ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
