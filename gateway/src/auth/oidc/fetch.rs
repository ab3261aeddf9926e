//! Asking an issuer: bounded in time, in size and in how many at once.

use std::time::Duration;

use reqwest::{Client, Url, redirect};
use serde_json::Value;
use tokio::sync::Semaphore;

/// For one answer, from the look-up of the name to the last byte.
const TIMEOUT: Duration = Duration::from_secs(10);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of an answer. Key sets and user infos have a few KiB.
const LARGEST: usize = 256 * 1024;

/// Requests to issuers at the same time; further ones wait.
const AT_ONCE: usize = 8;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("{0:?} is no URL")]
    Url(String),
    #[error("{0:?} is not https; http is for this machine only, or with --oidc-insecure-issuers")]
    Insecure(String),
    #[error("it answered with status {0}")]
    Status(u16),
    #[error("its answer is larger than {LARGEST} bytes")]
    TooLarge,
    #[error("its answer is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("{}", reason(.0))]
    Http(#[from] reqwest::Error),
    #[error("the gateway is stopping")]
    Stopping,
}

/// The innermost cause: "connection refused" says more than "error sending request".
fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// A client of issuers.
#[derive(Debug)]
pub(super) struct Fetch {
    client: Client,
    insecure: bool,
    room: Semaphore,
}

impl Fetch {
    /// `insecure`: plain http is allowed to other machines, too.
    pub(super) fn new(insecure: bool) -> anyhow::Result<Self> {
        drop(rustls::crypto::ring::default_provider().install_default()); // Fails when one is installed already.
        let client = Client::builder()
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(redirect::Policy::none())
            .build()?;
        Ok(Self {
            client,
            insecure,
            room: Semaphore::new(AT_ONCE),
        })
    }

    /// Gets a JSON document, with a bearer token if there is one.
    pub(super) async fn json(&self, url: &str, token: Option<&str>) -> Result<Value, FetchError> {
        let url = check_url(url, self.insecure)?;
        let _permit = self
            .room
            .acquire()
            .await
            .map_err(|_| FetchError::Stopping)?;
        let mut request = self.client.get(url).header("accept", "application/json");
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let mut answer = request.send().await?;
        if answer.status() != reqwest::StatusCode::OK {
            return Err(FetchError::Status(answer.status().as_u16()));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            if bytes.len() + chunk.len() > LARGEST {
                return Err(FetchError::TooLarge);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(serde_json::from_slice(&bytes)?)
    }
}

/// Tokens travel to these addresses: in the clear only within this machine.
fn check_url(text: &str, insecure: bool) -> Result<Url, FetchError> {
    let url = Url::parse(text).map_err(|_| FetchError::Url(text.to_owned()))?;
    let is_local = || match url.host_str() {
        Some("localhost") => true,
        Some(host) => {
            let host = host.trim_matches(['[', ']']);
            host.parse::<std::net::IpAddr>()
                .is_ok_and(|ip| ip.is_loopback())
        }
        None => false,
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if insecure || is_local() => Ok(url),
        _ => Err(FetchError::Insecure(text.to_owned())),
    }
}

#[cfg(test)]
#[allow(clippy::items_after_statements)] // The check of a table stands below it.
mod tests {
    use super::*;

    #[test]
    fn tokens_leave_the_machine_encrypted_only() {
        check("https://aai.example/x", false, true);
        check("http://127.0.0.1:8080/x", false, true);
        check("http://[::1]/x", false, true);
        check("http://localhost/x", false, true);
        check("http://aai.example/x", false, false);
        check("http://127.0.0.1.example/x", false, false);
        check("http://localhost.example/x", false, false);
        check("http://aai.example/x", true, true);
        check("ftp://aai.example/x", true, false);
        check("file:///etc/passwd", true, false);
        check("aai.example", true, false);

        #[track_caller]
        fn check(url: &str, insecure: bool, expected: bool) {
            assert_eq!(check_url(url, insecure).is_ok(), expected, "for {url}");
        }
    }
}
