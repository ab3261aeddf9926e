//! Requests to another OSCAR cluster. Bounded in time and size; redirects are not followed, so that credentials never
//! reach a host that nobody named.

use std::time::Duration;

use reqwest::header::AUTHORIZATION;
use reqwest::{Client, Method, RequestBuilder, Response, Url, redirect};
use serde_json::Value;
use spillway_model::service::{Cluster, Service};

/// Time to reach the cluster, and time for a whole request.
const CONNECT: Duration = Duration::from_secs(5);
const REQUEST: Duration = Duration::from_secs(20);

/// Largest definition that is read, in bytes.
const MOST: usize = 4 * 1024 * 1024;

/// How much of an error's text is shown, in characters.
const MOST_TEXT: usize = 200;

/// Why a member could not be told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RemoteError {
    #[error("its endpoint {endpoint:?} is no http or https address")]
    Endpoint { endpoint: String },
    #[error(
        "there are no credentials for it; call with an OIDC token, or set auth_user and auth_password of the cluster"
    )]
    NoCredentials,
    #[error("it cannot be reached: {0}")]
    Away(String),
    #[error("it answers {status}: {text}")]
    Refused { status: u16, text: String },
}

/// What the caller of this cluster showed, as far as it may be shown to others: a token, but never a password.
#[derive(Clone, Default)]
pub(crate) struct Credentials {
    pub(crate) bearer: Option<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

/// One cluster.
#[derive(Debug)]
pub(super) struct Remote {
    pub(super) id: String,
    base: String,
    authorization: Authorization,
    client: Client,
}

#[derive(Clone)]
enum Authorization {
    Bearer(String),
    Basic(String, String),
}

impl std::fmt::Debug for Authorization {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authorization")
    }
}

/// Whether a service is there.
#[derive(Debug)]
pub(super) enum Answer {
    Found(Value),
    Missing,
}

impl Remote {
    pub(super) fn new(
        id: &str,
        cluster: &Cluster,
        caller: &Credentials,
    ) -> Result<Self, RemoteError> {
        let endpoint = cluster.endpoint.trim().trim_end_matches('/');
        let is_web = Url::parse(endpoint)
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if !is_web {
            return Err(RemoteError::Endpoint {
                endpoint: cluster.endpoint.clone(),
            });
        }
        let authorization = match &caller.bearer {
            Some(token) => Authorization::Bearer(token.clone()),
            None if cluster.auth_user.is_empty() => return Err(RemoteError::NoCredentials),
            None => Authorization::Basic(cluster.auth_user.clone(), cluster.auth_password.clone()),
        };
        let client = Client::builder()
            .user_agent(concat!("spillway-gateway/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .timeout(REQUEST)
            .redirect(redirect::Policy::none())
            .tls_danger_accept_invalid_certs(!cluster.ssl_verify)
            .build()
            .map_err(|error| RemoteError::Away(error.to_string()))?;
        Ok(Self {
            id: id.to_owned(),
            base: endpoint.to_owned(),
            authorization,
            client,
        })
    }

    pub(super) async fn find(&self, service: &str) -> Result<Answer, RemoteError> {
        match self.send(self.request(Method::GET, service)).await {
            Ok(answer) => {
                let body = read(answer, MOST).await?;
                let found = serde_json::from_slice(&body).unwrap_or_default();
                Ok(Answer::Found(found))
            }
            Err(RemoteError::Refused { status: 404, .. }) => Ok(Answer::Missing),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn create(&self, service: &Service) -> Result<(), RemoteError> {
        let request = self.request(Method::POST, "").json(service);
        self.send(request).await.map(drop)
    }

    pub(super) async fn update(&self, service: &Service) -> Result<(), RemoteError> {
        let request = self.request(Method::PUT, "").json(service);
        self.send(request).await.map(drop)
    }

    pub(super) async fn delete(&self, service: &str) -> Result<(), RemoteError> {
        self.send(self.request(Method::DELETE, service))
            .await
            .map(drop)
    }

    fn request(&self, method: Method, service: &str) -> RequestBuilder {
        let mut url = format!("{}/system/services", self.base);
        if !service.is_empty() {
            let plain = percent_encoding::NON_ALPHANUMERIC;
            url.push('/');
            url.extend(percent_encoding::utf8_percent_encode(service, plain));
        }
        let request = self.client.request(method, url);
        match &self.authorization {
            Authorization::Bearer(token) => {
                request.header(AUTHORIZATION, format!("Bearer {token}"))
            }
            Authorization::Basic(user, password) => request.basic_auth(user, Some(password)),
        }
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, RemoteError> {
        let answer = request.send().await.map_err(away)?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let text = read(answer, 4 * MOST_TEXT).await.unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        Err(RemoteError::Refused {
            status: status.as_u16(),
            text: text
                .chars()
                .filter(|character| !character.is_control())
                .take(MOST_TEXT)
                .collect(),
        })
    }
}

/// The body, as far as it is not larger than `most`; what is, is cut off.
async fn read(mut answer: Response, most: usize) -> Result<Vec<u8>, RemoteError> {
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(away)? {
        let room = most.saturating_sub(body.len());
        body.extend_from_slice(&piece[..piece.len().min(room)]);
        if body.len() >= most {
            break;
        }
    }
    Ok(body)
}

/// Without the address, which may hold a password.
fn away(error: reqwest::Error) -> RemoteError {
    use std::error::Error as _;

    let error = error.without_url();
    let cause = error.source().map(|cause| format!(": {cause}"));
    RemoteError::Away(format!("{error}{}", cause.unwrap_or_default()))
}
