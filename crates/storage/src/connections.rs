//! Connections to providers: how they are made, how long they may take, and what is tried again.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Response, StatusCode};

use crate::error::StorageError;

/// Time to reach a provider.
const CONNECT: Duration = Duration::from_secs(10);

/// Longest silence while something is on its way.
const SILENCE: Duration = Duration::from_mins(1);

/// How long an unused connection is kept open.
const IDLE: Duration = Duration::from_mins(1);

/// Unused connections kept open to one host.
const IDLE_PER_HOST: usize = 4;

/// Redirects followed, as from a dCache door to its pool. Credentials stay with the first host.
const REDIRECTS: usize = 5;

/// Tries after the first one; the waits between them double from [`FIRST_WAIT`].
pub(crate) const RETRIES: u32 = 4;

/// Before the second try.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// Clonable; all providers of a process share one, so that connections and the list of trusted certificates are there once.
#[derive(Clone)]
pub struct Connections(Arc<Clients>);

struct Clients {
    verifying: Client,
    trusting: Client,
}

impl Connections {
    /// Trusts what the system trusts and, besides, the certificates of `authorities` (PEM). Proxies of the
    /// environment are not used: a stray variable must not change where credentials go.
    pub fn new(authorities: Option<&[u8]>) -> Result<Self, StorageError> {
        let unusable = |error: &dyn std::error::Error| StorageError::Settings {
            endpoint: "certificates".to_owned(),
            message: crate::error::chain(error),
        };
        let mut certificates = Vec::new();
        if let Some(pem) = authorities {
            certificates = Certificate::from_pem_bundle(pem).map_err(|error| unusable(&error))?;
            if certificates.is_empty() {
                return Err(StorageError::Settings {
                    endpoint: "certificates".to_owned(),
                    message: "there is no PEM certificate in the file".to_owned(),
                });
            }
        }
        let base = || {
            Client::builder()
                .connect_timeout(CONNECT)
                .read_timeout(SILENCE)
                .pool_idle_timeout(IDLE)
                .pool_max_idle_per_host(IDLE_PER_HOST)
                .redirect(Policy::limited(REDIRECTS))
                .no_proxy()
        };
        let verifying = certificates
            .into_iter()
            .fold(base(), reqwest::ClientBuilder::add_root_certificate)
            .build()
            .map_err(|error| unusable(&error))?;
        let trusting = base()
            .tls_danger_accept_invalid_certs(true)
            .build()
            .map_err(|error| unusable(&error))?;
        Ok(Self(Arc::new(Clients {
            verifying,
            trusting,
        })))
    }

    /// The client that verifies certificates, or the one that does not.
    pub(crate) fn client(&self, verify: bool) -> Client {
        if verify {
            self.0.verifying.clone()
        } else {
            self.0.trusting.clone()
        }
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").finish_non_exhaustive()
    }
}

/// Sends a request until there is an answer worth having, or the tries are used up. `send` makes the request anew.
pub(crate) async fn persist<F>(send: impl Fn() -> F) -> Result<Response, reqwest::Error>
where
    F: Future<Output = Result<Response, reqwest::Error>>,
{
    let mut wait = FIRST_WAIT;
    for _ in 0..RETRIES {
        match send().await {
            Ok(answer) if !passes(answer.status()) => return Ok(answer),
            Err(error) if error.is_builder() || error.is_redirect() => return Err(error),
            Ok(_) | Err(_) => (),
        }
        tokio::time::sleep(jittered(wait)).await;
        wait *= 2;
    }
    send().await
}

/// Whether the trouble behind a status is likely to pass.
fn passes(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
}

/// Between half and all of `wait`.
fn jittered(wait: Duration) -> Duration {
    use ring::rand::{SecureRandom, SystemRandom};
    let mut byte = [0; 1];
    if SystemRandom::new().fill(&mut byte).is_err() {
        return wait;
    }
    wait.mul_f64(0.5 + f64::from(byte[0]) / 510.0)
}
