//! S3 and what speaks it: the built-in store, `MinIO`, AWS.

use std::fmt;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use opendal::layers::{RetryLayer, TimeoutLayer};
use opendal::{HttpTransporter, Operator, services};
use opendal_http_transport_reqwest::ReqwestTransport;

use crate::error::{StorageError, why};
use crate::{Content, Depth, Download, Entry, ObjectPath, Progress, Storage};

/// Time to reach the provider.
const CONNECT: Duration = Duration::from_secs(10);
/// Time for a request without content.
const REQUEST: Duration = Duration::from_mins(1);
/// Time for one part to move: 8 MiB on the thinnest uplink that is still of use.
const PART: Duration = Duration::from_mins(5);
/// Tries after the first one; the waits between them double from a quarter of a second.
const RETRIES: usize = 4;
/// Smallest part of a multipart upload. Below it an object goes in one request.
const PART_BYTES: u64 = 8 * 1024 * 1024;
/// S3 takes 10,000 parts; staying below leaves room for a file that grows while it is read.
const MOST_PARTS: u64 = 9_000;

/// How to reach an S3 provider.
#[derive(Clone, PartialEq, Eq)]
pub struct S3Settings {
    /// `http://host:port` or `https://…`; buckets are addressed in the path.
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
#[derive(Debug, Clone)]
pub struct S3Storage {
    settings: S3Settings,
    http: reqwest::Client,
}

impl S3Storage {
    /// Prepares the client; nothing is sent yet.
    pub fn new(settings: S3Settings) -> Result<Self, StorageError> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .tls_danger_accept_invalid_certs(!settings.verify)
            .build()
            .map_err(|error| unusable(&settings, &error))?;
        Self::with_client(settings, http)
    }

    /// The same with a client that was prepared elsewhere: one that trusts a certificate of its own. What
    /// `settings.verify` says is the client's business then.
    pub fn with_client(settings: S3Settings, http: reqwest::Client) -> Result<Self, StorageError> {
        reqwest::Url::parse(&settings.endpoint).map_err(|error| unusable(&settings, &error))?;
        Ok(Self { settings, http })
    }

    fn bucket(&self, path: &ObjectPath) -> Result<Operator, StorageError> {
        let builder = services::S3::default()
            .endpoint(&self.settings.endpoint)
            .region(&self.settings.region)
            .access_key_id(&self.settings.access_key)
            .secret_access_key(&self.settings.secret_key)
            .bucket(&path.bucket)
            // Stray variables and files of this machine must not change where the bytes go.
            .disable_config_load()
            .disable_ec2_metadata();
        let operator = Operator::new(builder).map_err(|error| unusable(&self.settings, &error))?;
        let context = operator
            .base_context()
            .with_http_transport(HttpTransporter::new(ReqwestTransport::new(
                self.http.clone(),
            )));
        Ok(operator
            .with_context(context)
            .layer(
                TimeoutLayer::new()
                    .with_timeout(REQUEST)
                    .with_io_timeout(PART),
            )
            .layer(
                RetryLayer::new()
                    .with_jitter()
                    .with_min_delay(Duration::from_millis(250))
                    .with_max_times(RETRIES),
            ))
    }

    fn failed<'a>(
        &'a self,
        doing: &'static str,
        path: &'a ObjectPath,
    ) -> impl Fn(opendal::Error) -> StorageError + use<'a> {
        move |error| StorageError::Provider {
            doing,
            path: path.clone(),
            endpoint: self.settings.endpoint.clone(),
            why: why(&error),
            source: Some(Box::new(error)),
        }
    }

    async fn write(
        &self,
        path: &ObjectPath,
        content: Content,
        progress: Progress<'_>,
    ) -> Result<(), StorageError> {
        check_key(&path.key)?;
        let failed = self.failed("writing", path);
        let operator = self.bucket(path)?;
        let mut asked = operator
            .writer_with(&path.key)
            .chunk(part_bytes(content.size));
        if let Some(content_type) = &content.media_type {
            asked = asked.content_type(content_type);
        }
        let mut writer = asked.await.map_err(&failed)?;
        let mut bytes = content.bytes;
        let copied = async {
            while let Some(piece) = bytes.next().await {
                let piece = piece.map_err(|source| StorageError::Read {
                    path: path.clone(),
                    source,
                })?;
                let length = piece.len() as u64;
                writer.write(piece).await.map_err(&failed)?;
                progress(length);
            }
            writer.close().await.map_err(&failed)
        }
        .await;
        if let Err(error) = copied {
            // Parts that nobody will complete take room at the provider. The first error is the one to tell.
            let _ = writer.abort().await;
            return Err(error);
        }
        Ok(())
    }

    async fn open(&self, path: &ObjectPath) -> Result<Download, StorageError> {
        check_key(&path.key)?;
        let failed = self.failed("reading", path);
        let operator = self.bucket(path)?;
        let metadata = operator.stat(&path.key).await.map_err(&failed)?;
        let reader = operator.reader(&path.key).await.map_err(&failed)?;
        let bytes = reader.into_bytes_stream(..).await.map_err(&failed)?;
        Ok(Download {
            entry: entry(path.clone(), &metadata),
            bytes: bytes.boxed(),
        })
    }

    async fn stat(&self, path: &ObjectPath) -> Result<Option<Entry>, StorageError> {
        check_key(&path.key)?;
        match self.bucket(path)?.stat(&path.key).await {
            Ok(metadata) => Ok(Some(entry(path.clone(), &metadata))),
            Err(error) if error.kind() == opendal::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed("asking for", path)(error)),
        }
    }

    async fn entries<'a>(
        &'a self,
        path: &'a ObjectPath,
        depth: Depth,
    ) -> Result<BoxStream<'a, Result<Entry, StorageError>>, StorageError> {
        if !path.key.is_empty() {
            check_key(&path.key)?;
        }
        let failed = self.failed("listing", path);
        let lister = self
            .bucket(path)?
            .lister_with(&path.key)
            .recursive(depth == Depth::All)
            .await
            .map_err(&failed)?;
        Ok(lister
            .map_err(failed)
            .map_ok(|found| {
                let (key, metadata) = found.into_parts();
                entry(ObjectPath::new(path.bucket.clone(), key), &metadata)
            })
            // The folder itself is no content of the folder.
            .try_filter(|found| {
                std::future::ready(found.path.key != path.key || !found.is_folder())
            })
            .try_filter(|found| std::future::ready(found.path.key != "/"))
            .boxed())
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
        stream::once(self.entries(path, depth))
            .try_flatten()
            .boxed()
    }

    fn delete<'a>(&'a self, path: &'a ObjectPath) -> BoxFuture<'a, Result<(), StorageError>> {
        async move {
            check_key(&path.key)?;
            self.bucket(path)?
                .delete(&path.key)
                .await
                .map_err(self.failed("deleting", path))
        }
        .boxed()
    }
}

/// Bytes of one part so that the whole fits into as many parts as S3 allows.
fn part_bytes(size: Option<u64>) -> usize {
    let part = size.unwrap_or(0).div_ceil(MOST_PARTS).max(PART_BYTES);
    usize::try_from(part).unwrap_or(usize::MAX)
}

/// The library underneath trims blanks and joins slashes: such a key would end up elsewhere without a word.
fn check_key(key: &str) -> Result<(), StorageError> {
    let message = if key.is_empty() {
        "it is empty"
    } else if key.trim() != key {
        "it begins or ends with a blank, which this client cannot send"
    } else if key.starts_with('/') || key.contains("//") {
        "it has an empty folder name; remove the extra slash"
    } else {
        return Ok(());
    };
    Err(StorageError::Key {
        key: key.to_owned(),
        message,
    })
}

fn entry(path: ObjectPath, metadata: &opendal::Metadata) -> Entry {
    Entry {
        path,
        size: metadata.content_length(),
        modified: metadata
            .last_modified()
            .map(opendal::raw::Timestamp::into_inner),
        etag: metadata
            .etag()
            .map(|etag| etag.trim_matches('"').to_owned()),
        content_type: metadata.content_type().map(str::to_owned),
    }
}

fn unusable(settings: &S3Settings, error: &dyn std::error::Error) -> StorageError {
    StorageError::Settings {
        endpoint: settings.endpoint.clone(),
        message: error.to_string(),
    }
}
