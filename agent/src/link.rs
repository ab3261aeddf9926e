//! Client of the gateway: every request of `spillway_model::wire::link`, each with a time limit.
//!
//! The link knows whether this node is a member. A request waits until it is, and a 401 ends the membership;
//! whoever holds [`Link::lapsed`] then joins again. Nothing here retries but what says so.

mod patience;
mod requests;

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;
use spillway_model::wire::link::{Join, Joined, PREFIX};
use spillway_trust::Trust;
use tokio::sync::watch;

pub(crate) use patience::{Patience, causes, persist};
pub(crate) use requests::open_left_behind;

use crate::config::Secret;

/// Connecting takes at most so long.
const CONNECT: Duration = Duration::from_secs(5);

/// Small requests take at most so long.
const SHORT: Duration = Duration::from_secs(15);

/// The largest answer that is read into memory: sixteen leases with large events, and then some.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// What is kept of the words of a refusal, in bytes.
const MAX_WORDS: usize = 1024;

/// Clonable handle.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    http: Client,
    base: Arc<str>,
    join_token: Secret,
    membership: Arc<watch::Sender<Option<Membership>>>,
}

/// What a successful join gave.
#[derive(Clone)]
pub(crate) struct Membership {
    token: Arc<str>,
    pub(crate) terms: Joined,
}

impl std::fmt::Debug for Membership {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Membership")
            .field("terms", &self.terms)
            .finish_non_exhaustive()
    }
}

/// Why a request to the gateway came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    /// No answer, or one that says "later": worth another try.
    #[error("{doing}: the gateway cannot be reached")]
    Away {
        doing: &'static str,
        source: reqwest::Error,
    },
    #[error("{doing}: the gateway answers {status}: {words}")]
    Unwell {
        doing: &'static str,
        status: StatusCode,
        words: String,
    },
    #[error("{doing}: the gateway was silent for {} seconds", after.as_secs())]
    Silent {
        doing: &'static str,
        after: Duration,
    },
    #[error("{doing}: the gateway does not know this node any more")]
    NotJoined { doing: &'static str },
    /// 410: the attempt is not this node's any more.
    #[error("{doing}: the attempt is no longer this node's")]
    Gone { doing: &'static str },
    /// The request itself is wrong; another try would not help.
    #[error("{doing}: the gateway refuses with {status}: {words}")]
    Refused {
        doing: &'static str,
        status: StatusCode,
        words: String,
    },
    #[error("{doing}: the gateway's answer makes no sense: {words}")]
    Nonsense { doing: &'static str, words: String },
    /// The node's own disk.
    #[error("{doing}: {source}")]
    Disk {
        doing: &'static str,
        source: std::io::Error,
    },
}

impl LinkError {
    /// Whether the same request may succeed later.
    pub(crate) fn passes(&self) -> bool {
        matches!(
            self,
            Self::Away { .. } | Self::Unwell { .. } | Self::Silent { .. } | Self::NotJoined { .. }
        )
    }
}

impl Link {
    /// A link to the gateway at `base`, an address without a slash at its end, whose certificate `trust` accepts.
    pub(crate) fn new(base: &str, join_token: Secret, trust: &Trust) -> anyhow::Result<Self> {
        let http = Client::builder()
            .user_agent(concat!("spillway-agent/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .tcp_keepalive(Duration::from_secs(30))
            // A little longer than the poll is held back, so that the connections of a quiet node stay.
            .pool_idle_timeout(Duration::from_secs(90))
            .pool_max_idle_per_host(8)
            .redirect(reqwest::redirect::Policy::none());
        let http = trust.apply(http)?.build()?;
        let membership = Arc::new(watch::Sender::new(None));
        Ok(Self {
            http,
            base: base.into(),
            join_token,
            membership,
        })
    }

    /// The gateway's address.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Introduces this node once.
    pub(crate) async fn join(&self, about: &Join) -> Result<Membership, LinkError> {
        let doing = "joining the cluster";
        let request = self
            .http
            .post(self.url("join"))
            .bearer_auth(self.join_token.reveal())
            .json(about)
            .timeout(SHORT);
        let response = request
            .send()
            .await
            .map_err(|source| LinkError::Away { doing, source })?;
        let terms: Joined = match response.status() {
            status if status.is_success() => read_json(doing, response).await?,
            status => return Err(refusal(doing, status, response).await),
        };
        let membership = Membership {
            token: terms.token.as_str().into(),
            terms,
        };
        self.membership.send_replace(Some(membership.clone()));
        Ok(membership)
    }

    /// The membership; waits until there is one.
    pub(crate) async fn membership(&self) -> Membership {
        let mut changes = self.membership.subscribe();
        match changes
            .wait_for(Option::is_some)
            .await
            .map(|current| (*current).clone())
        {
            Ok(Some(membership)) => membership,
            // The sender lives in `self`, and `wait_for` returns only what it was asked for.
            _ => std::future::pending().await,
        }
    }

    /// Waits until the gateway no longer knows this node.
    pub(crate) async fn lapsed(&self) {
        let mut changes = self.membership.subscribe();
        if changes.wait_for(Option::is_none).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{PREFIX}/{path}", self.base)
    }

    /// Sends one request as a member. Status codes become errors; the body of a success is the caller's to read.
    async fn send(
        &self,
        doing: &'static str,
        (method, path): (Method, &str),
        limit: Option<Duration>,
        finish: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, LinkError> {
        let membership = self.membership().await;
        let mut request = self
            .http
            .request(method, self.url(path))
            .bearer_auth(&membership.token);
        if let Some(limit) = limit {
            request = request.timeout(limit);
        }
        let response = finish(request)
            .send()
            .await
            .map_err(|source| LinkError::Away { doing, source })?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        if status == StatusCode::UNAUTHORIZED {
            self.membership.send_if_modified(|current| {
                let same = current
                    .as_ref()
                    .is_some_and(|current| current.token == membership.token);
                if same {
                    *current = None;
                }
                same
            });
        }
        Err(refusal(doing, status, response).await)
    }
}

/// What a status that is no success means.
async fn refusal(doing: &'static str, status: StatusCode, response: Response) -> LinkError {
    let words = read_bytes(doing, response, MAX_WORDS)
        .await
        .unwrap_or_default();
    let words = String::from_utf8_lossy(&words).trim().to_owned();
    match status {
        StatusCode::GONE => LinkError::Gone { doing },
        StatusCode::UNAUTHORIZED if doing != "joining the cluster" => {
            LinkError::NotJoined { doing }
        }
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => LinkError::Unwell {
            doing,
            status,
            words,
        },
        status if status.is_server_error() => LinkError::Unwell {
            doing,
            status,
            words,
        },
        status => LinkError::Refused {
            doing,
            status,
            words,
        },
    }
}

async fn read_json<T: DeserializeOwned>(
    doing: &'static str,
    response: Response,
) -> Result<T, LinkError> {
    let body = read_bytes(doing, response, MAX_ANSWER).await?;
    serde_json::from_slice(&body).map_err(|error| LinkError::Nonsense {
        doing,
        words: error.to_string(),
    })
}

/// The whole body, or an error when it is larger than `limit`.
async fn read_bytes(
    doing: &'static str,
    mut response: Response,
    limit: usize,
) -> Result<Bytes, LinkError> {
    let mut body = BytesMut::new();
    while let Some(piece) = response
        .chunk()
        .await
        .map_err(|source| LinkError::Away { doing, source })?
    {
        if body.len() + piece.len() > limit {
            return Err(LinkError::Nonsense {
                doing,
                words: format!("it is larger than {limit} bytes"),
            });
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.freeze())
}

#[cfg(test)]
#[allow(clippy::items_after_statements)] // The helper of a table of cases comes last.
mod tests;
