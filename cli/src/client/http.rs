//! Requests: addresses, credentials, time limits, and answers turned into values or errors.

use std::fmt;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, RequestBuilder, Response, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use spillway_trust::{Trust, another_key, is_untrusted};
use tokio::time::Instant;

use super::error::{ClientError, Refusal};
use crate::clusters::Cluster;

/// Time to reach the gateway.
const CONNECT: Duration = Duration::from_secs(5);
/// Time for an ordinary request, as OSCAR's own client allows.
pub(crate) const PLAIN: Duration = Duration::from_secs(20);
/// Time to create a service whose image the cluster fetches first.
pub(crate) const PREFETCH: Duration = Duration::from_secs(400);
/// How much of an error's text is shown.
const MOST_ERROR_TEXT: usize = 2_000;

/// What may stand in one segment of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Whom to talk to, and as whom.
#[derive(Clone)]
pub(crate) struct Access {
    /// Id in the configuration; empty for `--endpoint`.
    pub(crate) id: String,
    pub(crate) cluster: Cluster,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("id", &self.id)
            .field("endpoint", &self.cluster.endpoint)
            .finish_non_exhaustive()
    }
}

/// Client of one cluster. Clones share connections.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    trust: Trust,
    access: Access,
    verbose: bool,
}

impl Client {
    /// Prepares the client; nothing is sent yet.
    pub(crate) fn new(access: Access, verbose: bool) -> Result<Self, ClientError> {
        let bad = |message: String| ClientError::Endpoint {
            endpoint: access.cluster.endpoint.clone(),
            message,
        };
        let url = Url::parse(&access.cluster.endpoint).map_err(|error| bad(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad(format!(
                "the scheme {:?} is neither http nor https",
                url.scheme()
            )));
        }
        let http = reqwest::Client::builder()
            .user_agent(concat!("spillway/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            // A followed log may be silent for hours; a gateway that has gone away is found out all the same.
            .tcp_keepalive(Duration::from_secs(15));
        let trust = access
            .cluster
            .trust()
            .map_err(|error| bad(error.to_string()))?;
        if matches!(trust, Trust::Key(_) | Trust::Authority(_)) && url.scheme() != "https" {
            // Whoever wants the key compared must not get a connection without one.
            return Err(bad(
                "its certificate is to be checked, but http has none; write https://".into(),
            ));
        }
        let http = trust
            .apply(http)
            .map_err(ClientError::Trust)?
            .build()
            .map_err(|error| bad(error.to_string()))?;
        Ok(Self {
            http,
            trust,
            access,
            verbose,
        })
    }

    /// Id of the cluster, or its address when it has none.
    pub(crate) fn name(&self) -> &str {
        match self.access.id.as_str() {
            "" => &self.access.cluster.endpoint,
            id => id,
        }
    }

    /// Whose certificate is accepted as the cluster's.
    pub(crate) fn trust(&self) -> &Trust {
        &self.trust
    }

    /// What the configuration says about the cluster.
    pub(crate) fn cluster(&self) -> &Cluster {
        &self.access.cluster
    }

    /// A request to `path`, which begins with a slash and is encoded already. A prefix in the endpoint is kept.
    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = self.url(path);
        let request = self.http.request(method, url);
        let cluster = &self.access.cluster;
        if cluster.auth_user.is_empty() {
            request
        } else {
            request.basic_auth(&cluster.auth_user, Some(&cluster.auth_password))
        }
    }

    /// The same without the cluster's credentials.
    pub(super) fn bare_request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.url(path))
    }

    fn url(&self, path: &str) -> String {
        format!(
            "{}{path}",
            self.access.cluster.endpoint.trim_end_matches('/')
        )
    }

    /// Sends and insists on a 2xx; `what` names the matter for the error. `limit` is for the whole answer, absent
    /// for answers that are followed.
    pub(super) async fn send(
        &self,
        what: &str,
        request: RequestBuilder,
        limit: Option<Duration>,
    ) -> Result<Response, ClientError> {
        let request = match limit {
            Some(limit) => request.timeout(limit),
            None => request,
        };
        let request = request.build().map_err(|error| ClientError::Endpoint {
            endpoint: self.access.cluster.endpoint.clone(),
            message: error.to_string(),
        })?;
        let (method, url) = (request.method().clone(), request.url().clone());
        let begun = Instant::now();
        let answer = self
            .http
            .execute(request)
            .await
            .map_err(|error| failed(&url, limit, error))?;
        if self.verbose {
            eprintln!(
                "{method} {url}: {} in {:.1} ms",
                answer.status(),
                begun.elapsed().as_secs_f64() * 1e3
            );
        }
        if answer.status().is_success() {
            return Ok(answer);
        }
        let refusal = Refusal::of(answer.status());
        let text = answer.text().await.unwrap_or_default();
        let text = text
            .chars()
            .filter(|c| !c.is_control() || *c == '\n')
            .take(MOST_ERROR_TEXT)
            .collect();
        Err(ClientError::Refused {
            what: what.to_owned(),
            refusal,
            text,
        })
    }

    /// `GET` of a JSON value; `what` names the matter for the error.
    pub(super) async fn get_json<T: DeserializeOwned>(
        &self,
        what: &str,
        path: &str,
    ) -> Result<T, ClientError> {
        self.json(what, self.request(Method::GET, path)).await
    }

    /// `GET` of a JSON value; `what` names the matter for the error.
    pub(super) async fn json<T: DeserializeOwned>(
        &self,
        what: &str,
        request: RequestBuilder,
    ) -> Result<T, ClientError> {
        let answer = self.send(what, request, Some(PLAIN)).await?;
        let url = answer.url().clone();
        let body = answer
            .bytes()
            .await
            .map_err(|error| failed(&url, Some(PLAIN), error))?;
        serde_json::from_slice(&body).map_err(|error| ClientError::Answer {
            url: url.to_string(),
            source: Box::new(error),
        })
    }

    /// A request with a JSON body whose answer is of no interest.
    pub(super) async fn send_json<T: Serialize + Sync>(
        &self,
        what: &str,
        method: Method,
        path: &str,
        body: &T,
        limit: Duration,
    ) -> Result<(), ClientError> {
        self.send(what, self.request(method, path).json(body), Some(limit))
            .await
            .map(drop)
    }
}

/// Encodes one segment of a path.
pub(super) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

pub(super) fn failed(url: &Url, limit: Option<Duration>, source: reqwest::Error) -> ClientError {
    // Passwords may stand in the address; the query is of no help.
    let mut shown = url.clone();
    shown.set_query(None);
    let _ = shown.set_password(None);
    let _ = shown.set_username("");
    let url = shown.to_string();
    if let Some(why) = another_key(&source) {
        ClientError::AnotherKey { url, why }
    } else if is_untrusted(&source) {
        ClientError::Untrusted {
            url,
            source: source.without_url(),
        }
    } else if source.is_connect() {
        ClientError::Connect {
            url,
            source: source.without_url(),
        }
    } else if source.is_timeout() {
        ClientError::TimedOut {
            url,
            seconds: limit.unwrap_or(CONNECT).as_secs(),
        }
    } else {
        ClientError::Broken {
            url,
            source: source.without_url(),
        }
    }
}
