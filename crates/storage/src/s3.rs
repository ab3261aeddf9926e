//! S3 and what speaks it: the built-in store, `MinIO`, AWS.
//!
//! A client of our own rather than a library: keys have to arrive as they are (blanks and empty folder names included),
//! buckets are to be created and notifications listened to.

mod download;
mod listen;
mod listing;
mod upload;

use std::fmt;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use jiff::Timestamp;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, Method, Response, StatusCode, Url};

pub use listen::{Listening, Notice};

use crate::connections::{Connections, persist};
use crate::error::{Doing, StorageError, chain};
use crate::sign::{self, Signer};
use crate::{Content, Depth, Download, Entry, ObjectPath, Progress, Storage, times};

/// Time for a request without content.
const REQUEST: Duration = Duration::from_mins(1);
/// Time for one part to move: 8 MiB on the thinnest uplink that is still of use.
const PART: Duration = Duration::from_mins(5);
/// What stands for the hash of content that TLS protects already.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// How to reach an S3 provider.
#[derive(Clone, PartialEq, Eq)]
pub struct S3Settings {
    /// `http://host:port` or `https://…`; buckets are addressed in the path. Empty for AWS in `region`, where they are
    /// addressed as hosts.
    pub endpoint: String,
    pub region: String,
    pub access_key: String,
    pub secret_key: String,
    /// Verify the endpoint's certificate.
    pub verify: bool,
}

impl fmt::Debug for S3Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The keys stay out of logs.
        f.debug_struct("S3Settings")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// An S3 provider. Clones share connections.
#[derive(Clone)]
pub struct S3Storage {
    endpoint: String,
    base: Url,
    signer: Signer,
    http: Client,
}

/// A request to be made, as often as it takes.
struct Ask<'a> {
    method: Method,
    path: &'a ObjectPath,
    /// Sorted by name.
    query: &'a [(&'a str, &'a str)],
    headers: HeaderMap,
    body: bytes::Bytes,
    limit: Option<Duration>,
}

impl<'a> Ask<'a> {
    fn new(method: Method, path: &'a ObjectPath) -> Self {
        Self {
            method,
            path,
            query: &[],
            headers: HeaderMap::new(),
            body: bytes::Bytes::new(),
            limit: Some(REQUEST),
        }
    }
}

impl S3Storage {
    /// Prepares the client, with connections of its own; nothing is sent yet.
    pub fn new(settings: S3Settings) -> Result<Self, StorageError> {
        Self::with(settings, &Connections::new(None)?)
    }

    /// The same with shared connections.
    pub fn with(settings: S3Settings, connections: &Connections) -> Result<Self, StorageError> {
        let http = connections.client(settings.verify);
        Self::with_client(settings, http)
    }

    /// The same with a client that was prepared elsewhere: one that trusts a certificate of its own. What
    /// `settings.verify` says is the client's business then.
    pub fn with_client(settings: S3Settings, http: Client) -> Result<Self, StorageError> {
        let region = match settings.region.trim() {
            "" => "us-east-1",
            region => region,
        };
        let endpoint = match settings.endpoint.trim().trim_end_matches('/') {
            "" => format!("https://s3.{region}.amazonaws.com"),
            endpoint => endpoint.to_owned(),
        };
        let unusable = |message: String| StorageError::Settings {
            endpoint: endpoint.clone(),
            message,
        };
        let base = Url::parse(&endpoint).map_err(|error| unusable(chain(&error)))?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(unusable(
                "expected an endpoint such as https://minio.example.org:9000".to_owned(),
            ));
        }
        let is_plain = |text: &str| text.bytes().all(|byte| (0x21..0x7f).contains(&byte));
        if !is_plain(&settings.access_key) || !is_plain(region) {
            return Err(unusable(
                "the access key and the region may have no blanks and only ASCII characters"
                    .to_owned(),
            ));
        }
        let signer = Signer {
            access_key: settings.access_key,
            secret_key: settings.secret_key,
            region: region.to_owned(),
        };
        Ok(Self {
            endpoint,
            base,
            signer,
            http,
        })
    }

    /// Creates the bucket; whether it was not there before.
    pub async fn create_bucket(&self, bucket: &str) -> Result<bool, StorageError> {
        let path = ObjectPath::new(bucket, "");
        let doing = self.doing("creating the bucket", &path);
        let mut ask = Ask::new(Method::PUT, &path);
        if self.signer.region != "us-east-1" {
            let body = format!(
                "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><LocationConstraint>{}</LocationConstraint></CreateBucketConfiguration>",
                quick_xml::escape::escape(&self.signer.region)
            );
            ask.body = body.into();
        }
        let answer = self.send(doing, ask).await?;
        if answer.status() != StatusCode::CONFLICT {
            return doing.accepted(answer).await.map(|_| true);
        }
        let refusal = doing.refused(answer).await;
        let is_ours = refusal.in_full().contains("BucketAlreadyOwnedByYou");
        if is_ours { Ok(false) } else { Err(refusal) }
    }

    fn doing<'a>(&'a self, doing: &'static str, path: &'a ObjectPath) -> Doing<'a> {
        Doing {
            verb: doing,
            path,
            endpoint: &self.endpoint,
        }
    }

    /// Path-style, except at AWS, which wants the bucket as host wherever a certificate can cover it.
    fn url(&self, path: &ObjectPath) -> Url {
        let mut url = self.base.clone();
        let host = url.host_str().unwrap_or_default().to_owned();
        let prefix = url.path().trim_end_matches('/').to_owned();
        let key = sign::path(&path.key);
        let as_host = host.ends_with(".amazonaws.com") && !path.bucket.contains('.');
        if as_host
            && url
                .set_host(Some(&format!("{}.{host}", path.bucket)))
                .is_ok()
        {
            url.set_path(&format!("{prefix}/{key}"));
        } else if path.key.is_empty() {
            url.set_path(&format!("{prefix}/{}", sign::path(&path.bucket)));
        } else {
            url.set_path(&format!("{prefix}/{}/{key}", sign::path(&path.bucket)));
        }
        url
    }

    async fn send(&self, doing: Doing<'_>, ask: Ask<'_>) -> Result<Response, StorageError> {
        let url = self.url(ask.path);
        let hash = if url.scheme() == "https" && !ask.body.is_empty() {
            UNSIGNED.to_owned()
        } else {
            sign::sha256(&ask.body)
        };
        let mut target = url.clone();
        if !ask.query.is_empty() {
            let pairs: Vec<String> = ask
                .query
                .iter()
                .map(|(name, value)| format!("{}={}", sign::value(name), sign::value(value)))
                .collect();
            target.set_query(Some(&pairs.join("&")));
        }
        let sent = persist(|| {
            // Signed anew each time: the signature ages.
            let signed = self
                .signer
                .headers(&ask.method, &url, ask.query, &hash, Timestamp::now());
            let mut request = self
                .http
                .request(ask.method.clone(), target.clone())
                .headers(ask.headers.clone())
                .headers(signed);
            if ask.method == Method::PUT || ask.method == Method::POST {
                request = request
                    .header(CONTENT_LENGTH, ask.body.len())
                    .body(ask.body.clone());
            }
            if let Some(limit) = ask.limit {
                request = request.timeout(limit);
            }
            request.send()
        });
        sent.await.map_err(|error| doing.unanswered(error))
    }

    async fn stat(&self, path: &ObjectPath) -> Result<Option<Entry>, StorageError> {
        check_key(&path.key)?;
        let doing = self.doing("asking for", path);
        let answer = self.send(doing, Ask::new(Method::HEAD, path)).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let answer = doing.accepted(answer).await?;
        Ok(Some(entry(path.clone(), answer.headers())))
    }

    async fn remove(&self, path: &ObjectPath) -> Result<(), StorageError> {
        check_key(&path.key)?;
        let doing = self.doing("deleting", path);
        let answer = self.send(doing, Ask::new(Method::DELETE, path)).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(());
        }
        doing.accepted(answer).await.map(drop)
    }
}

impl Storage for S3Storage {
    fn put<'a>(
        &'a self,
        path: &'a ObjectPath,
        content: Content,
        progress: Progress<'a>,
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        self.write(path, content, progress).boxed()
    }

    fn get<'a>(&'a self, path: &'a ObjectPath) -> BoxFuture<'a, Result<Download, StorageError>> {
        self.open(path).boxed()
    }

    fn head<'a>(
        &'a self,
        path: &'a ObjectPath,
    ) -> BoxFuture<'a, Result<Option<Entry>, StorageError>> {
        self.stat(path).boxed()
    }

    fn list<'a>(
        &'a self,
        path: &'a ObjectPath,
        depth: Depth,
    ) -> BoxStream<'a, Result<Entry, StorageError>> {
        stream::once(async move { Ok(self.pages(path, depth)) })
            .try_flatten()
            .boxed()
    }

    fn delete<'a>(&'a self, path: &'a ObjectPath) -> BoxFuture<'a, Result<(), StorageError>> {
        self.remove(path).boxed()
    }
}

impl fmt::Debug for S3Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Storage")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// A URL's path cannot hold these: every HTTP client resolves them before it asks.
fn check_key(key: &str) -> Result<(), StorageError> {
    let message = if key.is_empty() {
        "it is empty"
    } else if key.split('/').any(|folder| matches!(folder, "." | "..")) {
        "it has a folder named \".\" or \"..\", which cannot be sent in an address"
    } else {
        return Ok(());
    };
    Err(StorageError::Key {
        key: key.to_owned(),
        message,
    })
}

fn entry(path: ObjectPath, headers: &HeaderMap) -> Entry {
    let text = |name: &str| {
        headers
            .get(name)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    Entry {
        path,
        size: text("content-length")
            .and_then(|size| size.parse().ok())
            .unwrap_or(0),
        modified: text("last-modified").and_then(|time| times::http(&time)),
        etag: text("etag").map(|etag| etag.trim_matches('"').to_owned()),
        content_type: text("content-type"),
    }
}

/// A header for what the content is, if it can be one.
fn content_type(media_type: Option<&str>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(value) = media_type.and_then(|text| HeaderValue::from_str(text).ok()) {
        headers.insert(CONTENT_TYPE, value);
    }
    headers
}
