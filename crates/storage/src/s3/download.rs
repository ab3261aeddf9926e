//! Reading an object; a connection that breaks is taken up again where it broke.

use std::io;

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use reqwest::header::{HeaderMap, HeaderValue, IF_MATCH, RANGE};
use reqwest::{Method, StatusCode};

use super::{Ask, S3Storage, check_key, entry};
use crate::connections::RETRIES;
use crate::error::{Doing, StorageError, Why};
use crate::{Download, Entry, ObjectPath};

struct Reading {
    storage: S3Storage,
    entry: Entry,
    at: u64,
    bytes: BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    tries: u32,
}

impl S3Storage {
    pub(super) async fn open(&self, path: &ObjectPath) -> Result<Download, StorageError> {
        check_key(&path.key)?;
        let doing = self.doing("reading", path);
        let ask = Ask {
            // The whole may take long; silence ends it.
            limit: None,
            ..Ask::new(Method::GET, path)
        };
        let answer = self.send(doing, ask).await?;
        let answer = doing.accepted(answer).await?;
        let entry = entry(path.clone(), answer.headers());
        let reading = Reading {
            storage: self.clone(),
            entry: entry.clone(),
            at: 0,
            bytes: answer.bytes_stream().boxed(),
            tries: RETRIES,
        };
        let bytes = stream::try_unfold(reading, |mut reading| async move {
            Ok(reading.next().await?.map(|piece| (piece, reading)))
        });
        Ok(Download {
            entry,
            bytes: bytes.boxed(),
        })
    }

    /// The rest of the same version of an object.
    async fn resume(
        &self,
        entry: &Entry,
        at: u64,
    ) -> Result<BoxStream<'static, reqwest::Result<bytes::Bytes>>, StorageError> {
        let doing = self.doing("reading", &entry.path);
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, value(doing, &format!("bytes={at}-"))?);
        if let Some(etag) = &entry.etag {
            headers.insert(IF_MATCH, value(doing, &format!("\"{etag}\""))?);
        }
        let ask = Ask {
            headers,
            limit: None,
            ..Ask::new(Method::GET, &entry.path)
        };
        let answer = doing.accepted(self.send(doing, ask).await?).await?;
        if answer.status() != StatusCode::PARTIAL_CONTENT {
            return Err(doing.garbled("the store does not send parts of an object"));
        }
        Ok(answer.bytes_stream().boxed())
    }
}

impl Reading {
    async fn next(&mut self) -> io::Result<Option<bytes::Bytes>> {
        loop {
            let error = match self.bytes.next().await {
                Some(Ok(piece)) => {
                    self.at += piece.len() as u64;
                    return Ok(Some(piece));
                }
                None if self.at >= self.entry.size => return Ok(None),
                None => io::Error::from(io::ErrorKind::UnexpectedEof),
                Some(Err(error)) => io::Error::other(error.without_url()),
            };
            if self.tries == 0 || self.entry.etag.is_none() {
                return Err(error);
            }
            self.tries -= 1;
            let resumed = self.storage.resume(&self.entry, self.at).await;
            self.bytes = resumed.map_err(io::Error::other)?;
        }
    }
}

fn value(doing: Doing<'_>, text: &str) -> Result<HeaderValue, StorageError> {
    HeaderValue::from_str(text).map_err(|error| doing.failed(Why::Other, error))
}
