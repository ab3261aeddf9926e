//! Which key does a server show?

use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::Fingerprint;
use crate::client::verified_by;
use crate::verify::Verifier;

/// Connecting and shaking hands take no longer.
const LIMIT: Duration = Duration::from_secs(10);

/// Why the key is not known.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    #[error("connecting to {host}:{port}")]
    Connect {
        host: String,
        port: u16,
        #[source]
        source: std::io::Error,
    },
    #[error("{host}:{port} did not answer within {} s", LIMIT.as_secs())]
    Silent { host: String, port: u16 },
    #[error("{host}:{port} does not speak TLS; is it http:// rather than https://?")]
    Handshake {
        host: String,
        port: u16,
        #[source]
        source: std::io::Error,
    },
    #[error("{host:?} is no name of a host")]
    Host { host: String },
    #[error("reading the server's certificate")]
    Certificate(#[from] rustls::Error),
}

/// Connects, and tells the key that the server has proved to own. Nothing else is sent.
pub async fn probe(host: &str, port: u16) -> Result<Fingerprint, ProbeError> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(bare.to_owned()).map_err(|_| ProbeError::Host {
        host: host.to_owned(),
    })?;
    let connector = TlsConnector::from(std::sync::Arc::new(verified_by(Verifier::anybody())?));
    let shown = async {
        let socket =
            TcpStream::connect((bare, port))
                .await
                .map_err(|source| ProbeError::Connect {
                    host: host.to_owned(),
                    port,
                    source,
                })?;
        let stream =
            connector
                .connect(name, socket)
                .await
                .map_err(|source| ProbeError::Handshake {
                    host: host.to_owned(),
                    port,
                    source,
                })?;
        let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let leaf = certificates
            .first()
            .ok_or(rustls::Error::NoCertificatesPresented)?;
        Ok(Fingerprint::of_certificate(leaf)?)
    };
    timeout(LIMIT, shown).await.unwrap_or_else(|_| {
        Err(ProbeError::Silent {
            host: host.to_owned(),
            port,
        })
    })
}
