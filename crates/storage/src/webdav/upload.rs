//! Writing a file, and the folders it is in.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, stream};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Body, Method, RequestBuilder, Response};

use super::{WebdavStorage, check_key};
use crate::connections::persist;
use crate::error::{Doing, StorageError, Why};
use crate::{Content, ObjectPath, Progress};

/// Content up to this many bytes goes in one request that can be repeated.
const SMALL: usize = 1024 * 1024;

/// Time for small content to move.
const REQUEST: Duration = Duration::from_mins(5);

/// Begins the names of files that are on their way; whoever watches a folder leaves them alone.
pub const UNFINISHED: &str = ".spillway-";

impl WebdavStorage {
    /// Small content is written in place. Large content goes to a file beside it that is renamed at the end: many servers
    /// show a file while it arrives, and keep what has arrived when the connection breaks.
    pub(super) async fn write(
        &self,
        path: &ObjectPath,
        content: Content,
        progress: Progress<'_>,
    ) -> Result<(), StorageError> {
        check_key(&path.key)?;
        let doing = self.doing("writing", path);
        if let Some((folder, _)) = path.key.rsplit_once('/') {
            self.ensure_folder(doing, folder).await?;
        }
        let written = self.write_into(doing, content, progress).await;
        if let Err(StorageError::Provider {
            why: Why::NotFound | Why::Other,
            ..
        }) = &written
        {
            // Perhaps a folder has gone. Whoever tries again makes it anew.
            self.forget_folders();
        }
        written
    }

    async fn write_into(
        &self,
        doing: Doing<'_>,
        content: Content,
        progress: Progress<'_>,
    ) -> Result<(), StorageError> {
        let Content {
            mut bytes,
            size,
            media_type,
        } = content;
        let key = doing.path.key.as_str();
        let mut first = BytesMut::new();
        let mut is_all = false;
        while first.len() <= SMALL && !is_all {
            match bytes.next().await {
                Some(Ok(piece)) => first.extend_from_slice(&piece),
                Some(Err(source)) => return Err(unread(doing, source)),
                None => is_all = true,
            }
        }
        let first = first.freeze();
        if is_all {
            let length = first.len() as u64;
            let sent = persist(|| {
                self.put_request(key, media_type.as_deref())
                    .header(CONTENT_LENGTH, first.len())
                    .timeout(REQUEST)
                    .body(first.clone())
                    .send()
            });
            let answer = sent.await.map_err(|error| doing.unanswered(error))?;
            doing.accepted(answer).await?;
            progress(length);
            return Ok(());
        }
        let whole = stream::once(async { Ok(first) }).chain(bytes).boxed();
        if self.is_fixed() {
            return self
                .put_stream(doing, key, whole, size, media_type, progress)
                .await;
        }
        let (folder, name) = key
            .rsplit_once('/')
            .map_or(("", key), |(folder, name)| (folder, name));
        let temporary = format!("{folder}/{UNFINISHED}{}-{name}", suffix());
        let temporary = temporary.trim_start_matches('/');
        let mut done = self
            .put_stream(doing, temporary, whole, size, media_type, progress)
            .await;
        if done.is_ok() {
            done = self.rename(doing, temporary, key).await;
        }
        if done.is_err() {
            // The first error is the one to tell.
            let _ = self
                .ask(doing, &Method::DELETE, temporary, &HeaderMap::new())
                .await;
        }
        done
    }

    async fn put_stream(
        &self,
        doing: Doing<'_>,
        key: &str,
        bytes: crate::ByteStream,
        size: Option<u64>,
        media_type: Option<String>,
        progress: Progress<'_>,
    ) -> Result<(), StorageError> {
        // What breaks the source is told apart from what breaks the connection; the client would mix them up.
        let broken: Arc<Mutex<Option<std::io::Error>>> = Arc::default();
        let (seen, moved) = (Arc::clone(&broken), Arc::new(Mutex::new(0_u64)));
        let counted = Arc::clone(&moved);
        let bytes = bytes.map(move |piece| match piece {
            Ok(piece) => {
                *counted.lock().unwrap_or_else(PoisonError::into_inner) += piece.len() as u64;
                Ok::<Bytes, std::io::Error>(piece)
            }
            Err(error) => {
                let kind = error.kind();
                *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                Err(kind.into())
            }
        });
        let mut request = self.put_request(key, media_type.as_deref());
        if let Some(size) = size {
            request = request.header(CONTENT_LENGTH, size);
        }
        let sent = request.body(Body::wrap_stream(bytes)).send().await;
        if let Some(source) = broken.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(unread(doing, source));
        }
        let answer: Response = sent.map_err(|error| doing.unanswered(error))?;
        doing.accepted(answer).await?;
        progress(*moved.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(())
    }

    async fn rename(&self, doing: Doing<'_>, from: &str, to: &str) -> Result<(), StorageError> {
        let mut headers = HeaderMap::new();
        let target = HeaderValue::from_str(self.url(to).as_str());
        headers.insert(
            "destination",
            target.map_err(|error| doing.failed(Why::Other, error))?,
        );
        headers.insert("overwrite", HeaderValue::from_static("T"));
        let answer = self.ask(doing, &verb(b"MOVE"), from, &headers).await?;
        if matches!(answer.status().as_u16(), 403 | 405 | 501) {
            // From now on in place; this time is lost.
            self.memory.is_fixed.store(true, Ordering::Relaxed);
        }
        doing.accepted(answer).await.map(drop)
    }

    fn put_request(&self, key: &str, media_type: Option<&str>) -> RequestBuilder {
        let request = self.request(Method::PUT, key);
        match media_type {
            Some(media_type) => request.header(CONTENT_TYPE, media_type),
            None => request,
        }
    }

    /// Makes the folder and those above it, as far as they are missing.
    pub async fn make_folder(&self, path: &ObjectPath) -> Result<(), StorageError> {
        self.ensure_folder(self.doing("making the folder", path), &path.key)
            .await
    }

    async fn ensure_folder(&self, doing: Doing<'_>, folder: &str) -> Result<(), StorageError> {
        let mut missing = vec![folder];
        while let Some(folder) = missing.last().copied() {
            if folder.is_empty() || self.remembers(folder) {
                missing.pop();
                continue;
            }
            let answer = self
                .ask(doing, &verb(b"MKCOL"), folder, &HeaderMap::new())
                .await?;
            match (answer.status().as_u16(), folder.rsplit_once('/')) {
                // Made, or there already; a server that forbids to make it may still have it.
                (200..=399 | 403 | 405 | 501, _) => {
                    self.remember(folder);
                    missing.pop();
                }
                (404 | 409, Some((parent, _))) if !self.remembers(parent) => missing.push(parent),
                _ => return Err(doing.refused(answer).await),
            }
        }
        Ok(())
    }
}

/// `WebDAV`'s own methods.
pub(super) fn verb(name: &'static [u8]) -> Method {
    Method::from_bytes(name).unwrap_or(Method::OPTIONS)
}

fn unread(doing: Doing<'_>, source: std::io::Error) -> StorageError {
    StorageError::Read {
        path: doing.path.clone(),
        source,
    }
}

fn suffix() -> String {
    use ring::rand::{SecureRandom, SystemRandom};
    let mut bytes = [0; 6];
    // Without randomness the names of two writers at once might meet; both would be told by the server.
    let _ = SystemRandom::new().fill(&mut bytes);
    hex::encode(bytes)
}
