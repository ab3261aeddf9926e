//! Notifications as `MinIO` sends them to whoever listens: a request that does not end, a line for each event.

use std::time::Duration;

use bytes::BytesMut;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;

use super::{Ask, S3Storage};
use crate::ObjectPath;
use crate::error::{StorageError, Why};

/// Longest line that is read, in bytes.
const LINE: usize = 1024 * 1024;

/// The store sends a sign of life so often, in seconds.
const PING: &str = "10";

/// Longest silence on a connection that listens.
const SILENCE: Duration = Duration::from_secs(45);

/// A store that has agreed to tell what happens in it.
pub struct Listening {
    bytes: BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    line: BytesMut,
    storage: S3Storage,
    path: ObjectPath,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// An object came into being or was replaced.
    Created(ObjectPath),
    /// A sign of life.
    Alive,
}

impl S3Storage {
    /// Listens to objects that are created below `path`. `None` when the store does not offer it.
    pub async fn listen(&self, path: &ObjectPath) -> Result<Option<Listening>, StorageError> {
        let bucket = ObjectPath::new(path.bucket.clone(), "");
        let query = [
            ("events", "s3:ObjectCreated:*"),
            ("ping", PING),
            ("prefix", path.key.as_str()),
            ("suffix", ""),
        ];
        let doing = self.doing("listening to", path);
        let ask = Ask {
            query: &query,
            limit: None,
            ..Ask::new(Method::GET, &bucket)
        };
        let answer = self.send(doing, ask).await?;
        if matches!(answer.status().as_u16(), 400 | 405 | 501) {
            return Ok(None);
        }
        let answer = doing.accepted(answer).await?;
        // Stores that do not know the parameter answer with a list of objects.
        let kind = answer.headers().get(CONTENT_TYPE);
        let is_list =
            kind.is_some_and(|kind| String::from_utf8_lossy(kind.as_bytes()).contains("xml"));
        if is_list {
            return Ok(None);
        }
        Ok(Some(Listening {
            bytes: answer.bytes_stream().boxed(),
            line: BytesMut::new(),
            storage: self.clone(),
            path: path.clone(),
        }))
    }
}

impl Listening {
    /// Waits for the next notices. `None` when the store has ended it.
    pub async fn next(&mut self) -> Result<Option<Vec<Notice>>, StorageError> {
        loop {
            if let Some(at) = self.line.iter().position(|byte| *byte == b'\n') {
                let line = self.line.split_to(at + 1);
                return Ok(Some(read(&line)));
            }
            let doing = self.storage.doing("listening to", &self.path);
            if self.line.len() > LINE {
                return Err(doing.garbled(format!("a notification is longer than {LINE} bytes")));
            }
            match tokio::time::timeout(SILENCE, self.bytes.next()).await {
                Err(_) => {
                    return Err(doing.failed(Why::Unreachable, "the connection has gone silent"));
                }
                Ok(None) => return Ok(None),
                Ok(Some(Ok(piece))) => self.line.extend_from_slice(&piece),
                Ok(Some(Err(error))) => return Err(doing.unanswered(error)),
            }
        }
    }
}

impl std::fmt::Debug for Listening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listening")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

fn read(line: &[u8]) -> Vec<Notice> {
    let Ok(event) = serde_json::from_slice::<serde_json::Value>(line) else {
        return vec![Notice::Alive];
    };
    let records = event.get("Records").and_then(|records| records.as_array());
    let notices: Vec<Notice> = records
        .into_iter()
        .flatten()
        .filter_map(|record| {
            let text = |pointer: &str| record.pointer(pointer).and_then(|value| value.as_str());
            let is_creation = text("/eventName")?.contains("ObjectCreated");
            let key = spillway_model::event::decode_key(text("/s3/object/key")?);
            let path = ObjectPath::new(text("/s3/bucket/name")?, key);
            is_creation.then_some(Notice::Created(path))
        })
        .collect();
    if notices.is_empty() {
        vec![Notice::Alive]
    } else {
        notices
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_notices_or_signs_of_life() {
        let created = br#"{"Records":[{"eventName":"s3:ObjectCreated:Put","s3":{"bucket":{"name":"b"},"object":{"key":"in%2Fa+b.png"}}}]}"#;
        assert_eq!(
            read(created),
            [Notice::Created(ObjectPath::new("b", "in/a b.png"))]
        );
        for line in [&b" \n"[..], b"{}", b"{\"Records\":null}", b"\xff"] {
            assert_eq!(read(line), [Notice::Alive], "for {line:?}");
        }
    }
}
