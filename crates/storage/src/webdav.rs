//! `WebDAV` (RFC 4918): dCache, Nextcloud, Apache.
//!
//! Paths have no bucket: [`ObjectPath::bucket`] is empty, the key is the path below the address of the provider.

mod listing;
mod multistatus;
mod upload;

pub use upload::UNFINISHED;

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use jiff::Timestamp;
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};

use crate::connections::{Connections, persist};
use crate::error::{Doing, StorageError, chain};
use crate::{Content, Depth, Download, Entry, ObjectPath, Progress, Storage, sign, times};

/// Time for a request without content.
const REQUEST: Duration = Duration::from_mins(1);

/// Folders remembered as existing.
const REMEMBERED: usize = 1_000;

/// How to reach a `WebDAV` provider.
#[derive(Clone, PartialEq, Eq)]
pub struct WebdavSettings {
    /// A host, with port and path as needed: `dav.example.org`, `cloud.example.org/remote.php/dav/files/ana`. HTTPS, unless
    /// it begins with `http://`.
    pub hostname: String,
    /// With an empty login the password is a bearer token.
    pub login: String,
    pub password: String,
}

impl fmt::Debug for WebdavSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The password stays out of logs.
        f.debug_struct("WebdavSettings")
            .field("hostname", &self.hostname)
            .finish_non_exhaustive()
    }
}

/// A `WebDAV` provider. Clones share connections.
#[derive(Clone)]
pub struct WebdavStorage {
    settings: WebdavSettings,
    base: Url,
    http: Client,
    memory: Arc<Memory>,
}

/// What was learnt of the server.
#[derive(Default)]
struct Memory {
    /// Folders that exist.
    folders: Mutex<HashSet<String>>,
    /// It refuses to rename.
    is_fixed: AtomicBool,
}

impl WebdavStorage {
    /// Prepares the client; nothing is sent yet.
    pub fn with(settings: WebdavSettings, connections: &Connections) -> Result<Self, StorageError> {
        let name = settings.hostname.trim().trim_end_matches('/');
        let unusable = |message: String| StorageError::Settings {
            endpoint: name.to_owned(),
            message,
        };
        let address = if name.starts_with("http://") || name.starts_with("https://") {
            name.to_owned()
        } else {
            format!("https://{name}")
        };
        let base = Url::parse(&address).map_err(|error| unusable(chain(&error)))?;
        if name.is_empty() || base.host_str().is_none() || base.query().is_some() {
            return Err(unusable(
                "expected a host name such as dav.example.org".to_owned(),
            ));
        }
        if HeaderValue::from_str(&settings.password).is_err() {
            return Err(unusable("the password has control characters".to_owned()));
        }
        Ok(Self {
            base,
            http: connections.client(true),
            memory: Arc::default(),
            settings,
        })
    }

    /// Checks address and credentials, as far as reading goes, at the folder or the nearest one above it that exists.
    /// Returns the server's own time, if it tells it.
    pub async fn check(&self, path: &ObjectPath) -> Result<Option<Timestamp>, StorageError> {
        let doing = self.doing("looking into", path);
        let mut folder = path.key.trim_matches('/');
        loop {
            let answer = self.propfind(doing, folder, "0").await?;
            let date = answer.headers().get("date");
            let date = date
                .and_then(|date| date.to_str().ok())
                .and_then(times::http);
            match answer.status().as_u16() {
                404 if !folder.is_empty() => {
                    folder = folder.rsplit_once('/').map_or("", |(parent, _)| parent);
                }
                // Some servers show no properties, or no root, but take files.
                200..=299 | 404 | 405 | 501 => return Ok(date),
                _ => return Err(doing.refused(answer).await),
            }
        }
    }

    fn doing<'a>(&'a self, doing: &'static str, path: &'a ObjectPath) -> Doing<'a> {
        Doing {
            verb: doing,
            path,
            endpoint: &self.settings.hostname,
        }
    }

    fn url(&self, key: &str) -> Url {
        let mut url = self.base.clone();
        let prefix = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!(
            "{prefix}/{}",
            sign::path(key.trim_start_matches('/'))
        ));
        url
    }

    fn request(&self, method: Method, key: &str) -> RequestBuilder {
        let request = self.http.request(method, self.url(key));
        if !self.settings.login.is_empty() {
            request.basic_auth(&self.settings.login, Some(&self.settings.password))
        } else if self.settings.password.is_empty() {
            request
        } else {
            request.bearer_auth(&self.settings.password)
        }
    }

    /// A request without content, tried again when the trouble passes.
    async fn ask(
        &self,
        doing: Doing<'_>,
        method: &Method,
        key: &str,
        headers: &HeaderMap,
    ) -> Result<Response, StorageError> {
        let sent = persist(|| {
            self.request(method.clone(), key)
                .headers(headers.clone())
                .timeout(REQUEST)
                .send()
        });
        sent.await.map_err(|error| doing.unanswered(error))
    }

    fn remembers(&self, folder: &str) -> bool {
        let folders = &self.memory.folders;
        folders
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(folder)
    }

    fn remember(&self, folder: &str) {
        let mut folders = self
            .memory
            .folders
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if folders.len() >= REMEMBERED {
            folders.clear();
        }
        folders.insert(folder.to_owned());
    }

    fn forget_folders(&self) {
        self.memory
            .folders
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    fn is_fixed(&self) -> bool {
        self.memory.is_fixed.load(Ordering::Relaxed)
    }

    async fn open(&self, path: &ObjectPath) -> Result<Download, StorageError> {
        check_key(&path.key)?;
        let doing = self.doing("reading", path);
        // The whole may take long; silence ends it.
        let sent = persist(|| self.request(Method::GET, &path.key).send());
        let answer = sent.await.map_err(|error| doing.unanswered(error))?;
        let answer = doing.accepted(answer).await?;
        let text = |name: &str| {
            answer
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        let size = answer.content_length();
        let entry = Entry {
            path: path.clone(),
            size: size.unwrap_or(0),
            modified: text("last-modified").and_then(|time| times::http(&time)),
            etag: text("etag").map(|etag| bare(&etag)),
            content_type: text("content-type"),
        };
        let bytes = answer
            .bytes_stream()
            .map_err(|error| std::io::Error::other(error.without_url()));
        Ok(Download {
            entry,
            bytes: bytes.boxed(),
        })
    }

    async fn stat(&self, path: &ObjectPath) -> Result<Option<Entry>, StorageError> {
        check_key(&path.key)?;
        let doing = self.doing("asking for", path);
        let answer = self.propfind(doing, &path.key, "0").await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let answer = doing.accepted(answer).await?;
        let mut found = self.members(doing, answer);
        let first = found.next().await.transpose()?;
        Ok(first.map(|found| Entry {
            path: path.clone(),
            ..found
        }))
    }

    async fn remove(&self, path: &ObjectPath) -> Result<(), StorageError> {
        check_key(&path.key)?;
        let doing = self.doing("deleting", path);
        let answer = self
            .ask(doing, &Method::DELETE, &path.key, &HeaderMap::new())
            .await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(());
        }
        doing.accepted(answer).await.map(drop)
    }
}

impl Storage for WebdavStorage {
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

    /// The order is the server's; `path.key` names a folder.
    fn list<'a>(
        &'a self,
        path: &'a ObjectPath,
        depth: Depth,
    ) -> BoxStream<'a, Result<Entry, StorageError>> {
        stream::once(async move { Ok(self.walk(path, depth)) })
            .try_flatten()
            .boxed()
    }

    fn delete<'a>(&'a self, path: &'a ObjectPath) -> BoxFuture<'a, Result<(), StorageError>> {
        self.remove(path).boxed()
    }
}

impl fmt::Debug for WebdavStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebdavStorage")
            .field("hostname", &self.settings.hostname)
            .finish_non_exhaustive()
    }
}

/// An entity tag without its quotes; that it is weak stays to be seen.
fn bare(etag: &str) -> String {
    etag.trim().replace('"', "")
}

/// Paths that a server, or any client on the way, would turn into another.
fn check_key(key: &str) -> Result<(), StorageError> {
    let message = if key.trim_matches('/').is_empty() {
        "it is empty"
    } else if key.split('/').any(|folder| matches!(folder, "." | "..")) {
        "it has a folder named \".\" or \"..\", which cannot be sent in an address"
    } else if key.contains("//") || key.starts_with('/') {
        "it has an empty folder name, which WebDAV does not know; remove the extra slash"
    } else {
        return Ok(());
    };
    Err(StorageError::Key {
        key: key.to_owned(),
        message,
    })
}
