//! Onedata, through the CDMI interface of a Oneprovider (SNIA CDMI 1.1.1, as Onedata documents it).
//!
//! [`ObjectPath::bucket`] is the space. Content moves in plain requests; containers are made and read as CDMI objects.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Body, Client, Method, RequestBuilder, Response, StatusCode, Url};
use serde_json::Value;

use crate::connections::{Connections, persist};
use crate::error::{Doing, StorageError, chain};
use crate::{Content, Depth, Download, Entry, ObjectPath, Progress, Storage, sign, times, xml};

/// Time for a request without content.
const REQUEST: Duration = Duration::from_mins(1);

/// Answers are read up to this length, in bytes.
const ANSWER: usize = 8 * 1024 * 1024;

/// Names of one container that are asked for at once.
const PAGE: u64 = 1_000;

/// Containers that may wait to be read.
const FOLDERS: usize = 100_000;

const CONTAINER: &str = "application/cdmi-container";
const OBJECT: &str = "application/cdmi-object";

/// How to reach a Oneprovider.
#[derive(Clone, PartialEq, Eq)]
pub struct OnedataSettings {
    /// A host, with a port as needed. HTTPS, unless it begins with `http://`.
    pub host: String,
    pub token: String,
}

impl fmt::Debug for OnedataSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The token stays out of logs.
        f.debug_struct("OnedataSettings")
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

/// A Oneprovider. Clones share connections.
#[derive(Clone)]
pub struct OnedataStorage {
    settings: OnedataSettings,
    base: Url,
    http: Client,
}

impl OnedataStorage {
    /// Prepares the client; nothing is sent yet.
    pub fn with(
        settings: OnedataSettings,
        connections: &Connections,
    ) -> Result<Self, StorageError> {
        let name = settings.host.trim().trim_end_matches('/');
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
        if name.is_empty() || base.host_str().is_none() {
            return Err(unusable(
                "expected a host name such as oneprovider.example.org".to_owned(),
            ));
        }
        if HeaderValue::from_str(&settings.token).is_err() {
            return Err(unusable("the token has control characters".to_owned()));
        }
        Ok(Self {
            base,
            http: connections.client(true),
            settings,
        })
    }

    /// Checks address, token and that the space is there.
    pub async fn check(&self, space: &str) -> Result<(), StorageError> {
        let path = ObjectPath::new(space, "");
        let doing = self.doing("looking into the space", &path);
        let answer = self
            .ask(doing, &Method::GET, &path, "/", Some(CONTAINER))
            .await?;
        doing.accepted(answer).await.map(drop)
    }

    /// Makes the folder and those above it, as far as they are missing.
    pub async fn make_folder(&self, path: &ObjectPath) -> Result<(), StorageError> {
        let doing = self.doing("making the folder", path);
        let mut folder = String::new();
        for name in path.key.split('/').filter(|name| !name.is_empty()) {
            folder = format!("{folder}{name}/");
            let at = ObjectPath::new(path.bucket.clone(), folder.clone());
            let found = self
                .ask(doing, &Method::GET, &at, "", Some(CONTAINER))
                .await?;
            if found.status() != StatusCode::NOT_FOUND {
                doing.accepted(found).await?;
                continue;
            }
            let made = self
                .ask(doing, &Method::PUT, &at, "", Some(CONTAINER))
                .await?;
            // Somebody else may have made it meanwhile.
            if made.status() != StatusCode::CONFLICT {
                doing.accepted(made).await?;
            }
        }
        Ok(())
    }

    fn doing<'a>(&'a self, doing: &'static str, path: &'a ObjectPath) -> Doing<'a> {
        Doing {
            verb: doing,
            path,
            endpoint: &self.settings.host,
        }
    }

    fn request(&self, method: Method, path: &ObjectPath, more: &str) -> RequestBuilder {
        let mut url = self.base.clone();
        let prefix = url.path().trim_end_matches('/').to_owned();
        let key = sign::path(&path.key);
        let (folder, query) = more.split_once('?').unwrap_or((more, ""));
        url.set_path(&format!(
            "{prefix}/cdmi/{}/{key}{}",
            sign::value(&path.bucket),
            if path.key.is_empty() { "" } else { folder }
        ));
        url.set_query(Some(query).filter(|query| !query.is_empty()));
        self.http
            .request(method, url)
            .header("X-Auth-Token", &self.settings.token)
    }

    async fn ask(
        &self,
        doing: Doing<'_>,
        method: &Method,
        path: &ObjectPath,
        more: &str,
        cdmi: Option<&'static str>,
    ) -> Result<Response, StorageError> {
        let mut headers = HeaderMap::new();
        if let Some(kind) = cdmi {
            headers.insert(
                "x-cdmi-specification-version",
                HeaderValue::from_static("1.1.1"),
            );
            headers.insert(ACCEPT, HeaderValue::from_static(kind));
            if *method == Method::PUT {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            }
        }
        let sent = persist(|| {
            self.request(method.clone(), path, more)
                .headers(headers.clone())
                .timeout(REQUEST)
                .send()
        });
        sent.await.map_err(|error| doing.unanswered(error))
    }

    async fn write(
        &self,
        path: &ObjectPath,
        content: Content,
        progress: Progress<'_>,
    ) -> Result<(), StorageError> {
        check_key(&path.key)?;
        let doing = self.doing("writing", path);
        if let Some((folder, _)) = path.key.rsplit_once('/') {
            self.make_folder(&ObjectPath::new(path.bucket.clone(), folder))
                .await?;
        }
        let moved = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
        let counted = std::sync::Arc::clone(&moved);
        let bytes = content.bytes.inspect_ok(move |piece| {
            counted.fetch_add(piece.len() as u64, std::sync::atomic::Ordering::Relaxed);
        });
        let kind = content
            .media_type
            .unwrap_or_else(|| "application/octet-stream".to_owned());
        let mut request = self
            .request(Method::PUT, path, "")
            .header(CONTENT_TYPE, kind);
        if let Some(size) = content.size {
            request = request.header(CONTENT_LENGTH, size);
        }
        let sent = request.body(Body::wrap_stream(bytes)).send().await;
        let answer = sent.map_err(|error| doing.unanswered(error))?;
        doing.accepted(answer).await?;
        progress(moved.load(std::sync::atomic::Ordering::Relaxed));
        Ok(())
    }

    async fn open(&self, path: &ObjectPath) -> Result<Download, StorageError> {
        check_key(&path.key)?;
        let doing = self.doing("reading", path);
        let entry = self.stat(path).await?;
        // The whole may take long; silence ends it.
        let sent = persist(|| self.request(Method::GET, path, "").send());
        let answer = sent.await.map_err(|error| doing.unanswered(error))?;
        let answer = doing.accepted(answer).await?;
        let entry = entry.unwrap_or_else(|| Entry {
            path: path.clone(),
            size: answer.content_length().unwrap_or(0),
            modified: None,
            etag: None,
            content_type: None,
        });
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
        let answer = self
            .ask(
                doing,
                &Method::GET,
                path,
                "?metadata;mimetype",
                Some(OBJECT),
            )
            .await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let about = json(doing, answer).await?;
        let text = |pointer: &str| about.pointer(pointer).and_then(Value::as_str);
        let size = about.pointer("/metadata/cdmi_size");
        Ok(Some(Entry {
            path: path.clone(),
            size: size
                .and_then(|size| size.as_u64().or_else(|| size.as_str()?.parse().ok()))
                .unwrap_or(0),
            modified: text("/metadata/cdmi_mtime").and_then(times::iso),
            etag: None,
            content_type: text("/mimetype").map(str::to_owned),
        }))
    }

    /// Names in one container, as many as a page has; folders end in `/`.
    async fn children(
        &self,
        doing: Doing<'_>,
        folder: &ObjectPath,
        from: u64,
    ) -> Result<Vec<String>, StorageError> {
        let query = format!("?children:{from}-{}", from + PAGE - 1);
        let answer = self
            .ask(doing, &Method::GET, folder, &query, Some(CONTAINER))
            .await?;
        let about = json(doing, answer).await?;
        let names = about.get("children").and_then(Value::as_array);
        Ok(names
            .into_iter()
            .flatten()
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect())
    }

    /// Files with size and time need a request each: Onedata's listing has the names only.
    fn walk<'a>(
        &'a self,
        path: &'a ObjectPath,
        depth: Depth,
    ) -> BoxStream<'a, Result<Entry, StorageError>> {
        let doing = self.doing("listing", path);
        let root = match path.key.trim_matches('/') {
            "" => String::new(),
            folder => format!("{folder}/"),
        };
        let todo: VecDeque<(String, u64)> = VecDeque::from([(root, 0)]);
        let pages = stream::try_unfold(todo, move |mut todo| async move {
            let Some((folder, from)) = todo.pop_front() else {
                return Ok(None);
            };
            let at = ObjectPath::new(path.bucket.clone(), folder.clone());
            let names = self.children(doing, &at, from).await?;
            if names.len() as u64 >= PAGE {
                todo.push_front((folder.clone(), from + PAGE));
            }
            let mut keys = Vec::with_capacity(names.len());
            for name in names {
                let key = format!("{folder}{}", name.trim_start_matches('/'));
                if key.ends_with('/') && depth == Depth::All {
                    if todo.len() >= FOLDERS {
                        let words = format!("more than {FOLDERS} folders lie side by side");
                        return Err(doing.garbled(words));
                    }
                    todo.push_back((key, 0));
                } else {
                    keys.push(key);
                }
            }
            let keys = stream::iter(keys.into_iter().map(Ok::<_, StorageError>));
            Ok(Some((keys, todo)))
        });
        pages
            .try_flatten()
            .try_filter_map(move |key| async move {
                let at = ObjectPath::new(path.bucket.clone(), key);
                if at.key.ends_with('/') {
                    return Ok(Some(Entry {
                        path: at,
                        size: 0,
                        modified: None,
                        etag: None,
                        content_type: None,
                    }));
                }
                self.stat(&at).await
            })
            .boxed()
    }

    async fn remove(&self, path: &ObjectPath) -> Result<(), StorageError> {
        check_key(&path.key)?;
        let doing = self.doing("deleting", path);
        let answer = self.ask(doing, &Method::DELETE, path, "", None).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(());
        }
        doing.accepted(answer).await.map(drop)
    }
}

impl Storage for OnedataStorage {
    /// Onedata shows a file while it arrives.
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
        self.walk(path, depth)
    }

    fn delete<'a>(&'a self, path: &'a ObjectPath) -> BoxFuture<'a, Result<(), StorageError>> {
        self.remove(path).boxed()
    }
}

impl fmt::Debug for OnedataStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnedataStorage")
            .field("host", &self.settings.host)
            .finish_non_exhaustive()
    }
}

async fn json(doing: Doing<'_>, answer: Response) -> Result<Value, StorageError> {
    let answer = doing.accepted(answer).await?;
    let body = xml::body(doing, answer, ANSWER).await?;
    serde_json::from_str(&body)
        .map_err(|error| doing.garbled(format!("the answer is no JSON: {error}")))
}

fn check_key(key: &str) -> Result<(), StorageError> {
    let message = if key.trim_matches('/').is_empty() {
        "it is empty"
    } else if key
        .split('/')
        .any(|folder| matches!(folder, "" | "." | ".."))
    {
        "a folder in it has no name, or one that leads elsewhere"
    } else {
        return Ok(());
    };
    Err(StorageError::Key {
        key: key.to_owned(),
        message,
    })
}
