//! Giving content out again.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use rusqlite::{Connection, OptionalExtension};

use super::folder::Folder;
use super::refs;
use super::{Blobs, blocking};
use crate::objects::ObjectError;
use crate::store::StoreError;

/// Bytes that are read from a file at a time.
const PIECE: u64 = 128 * 1024;

/// Where the bytes of a blob are.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// Here.
    Inline(Bytes),
    /// In the files of these blobs, one after the other, with their sizes; a piece that is small comes along.
    Files(Vec<Part>),
}

/// A part of a blob.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    blob: i64,
    size: u64,
    content: Option<Bytes>,
}

impl Content {
    /// Inside a read: looks the blob up.
    pub(crate) fn find(db: &Connection, blob: i64) -> Result<Option<Self>, StoreError> {
        let Some((size, content)) = own(db, blob)? else {
            return Ok(None);
        };
        if let Some(content) = content {
            return Ok(Some(Self::Inline(content)));
        }
        let pieces = refs::pieces(db, blob)?;
        if pieces.is_empty() {
            return Ok(Some(Self::Files(vec![Part {
                blob,
                size,
                content: None,
            }])));
        }
        let mut parts = Vec::with_capacity(pieces.len());
        for (piece, size) in pieces {
            let content = own(db, piece)?.and_then(|(_, content)| content);
            parts.push(Part {
                blob: piece,
                size,
                content,
            });
        }
        Ok(Some(Self::Files(parts)))
    }
}

/// Size and content of one row.
fn own(db: &Connection, blob: i64) -> Result<Option<(u64, Option<Bytes>)>, StoreError> {
    let row = db
        .prepare_cached("SELECT size, content FROM blobs WHERE id = ?1")?
        .query_row([blob], |row| {
            Ok((
                refs::unsigned(row.get(0)?),
                row.get::<_, Option<Vec<u8>>>(1)?,
            ))
        })
        .optional()?;
    Ok(row.map(|(size, content)| (size, content.map(Bytes::from))))
}

impl Blobs {
    /// Reads `range` (in bytes) of a blob, piece by piece.
    pub async fn read(
        &self,
        blob: i64,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, std::io::Result<Bytes>>, ObjectError> {
        let content = self
            .inner
            .store
            .read(move |db| Content::find(db, blob))
            .await?;
        let content = content.ok_or(ObjectError::NoSuchBlob(blob))?;
        Ok(self.stream(content, range).await?.boxed())
    }

    /// The whole of a small blob.
    pub async fn read_all(&self, blob: i64, limit: u64) -> Result<Vec<u8>, ObjectError> {
        let content = self
            .inner
            .store
            .read(move |db| Content::find(db, blob))
            .await?;
        let content = content.ok_or(ObjectError::NoSuchBlob(blob))?;
        let size = match &content {
            Content::Inline(bytes) => bytes.len() as u64,
            Content::Files(parts) => parts.iter().map(|part| part.size).sum(),
        };
        if size > limit {
            return Err(ObjectError::TooLarge(limit));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        let mut stream = std::pin::pin!(self.stream(content, 0..size).await?);
        while let Some(chunk) = stream.next().await {
            let chunk = chunk
                .map_err(|error| ObjectError::file("reading", self.inner.folder.root(), error))?;
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// Streams `range` of what was found. Once this returns all of it can be read to its end, even if the blob is
    /// deleted meanwhile: the first file is open, and the sweeper leaves the others alone.
    pub(crate) async fn stream(
        &self,
        content: Content,
        range: Range<u64>,
    ) -> Result<
        impl futures::Stream<Item = std::io::Result<Bytes>> + Send + Sync + use<>,
        ObjectError,
    > {
        let mut todo = std::collections::VecDeque::new();
        match content {
            Content::Inline(bytes) => {
                let at = |offset: u64| {
                    usize::try_from(offset).map_or(bytes.len(), |at| at.min(bytes.len()))
                };
                todo.push_back(Source::Bytes(bytes.slice(at(range.start)..at(range.end))));
            }
            Content::Files(parts) => {
                let mut start = 0;
                for part in parts {
                    let end = start + part.size;
                    let wanted = range.start.max(start)..range.end.min(end);
                    if !wanted.is_empty() {
                        todo.push_back(Source::from_part(
                            part,
                            wanted.start - start..wanted.end - start,
                        ));
                    }
                    start = end;
                }
            }
        }
        let folder = Arc::clone(&self.inner.folder);
        let closed = |source: &Source| {
            if let Source::Closed(blob, _) = source {
                Some(*blob)
            } else {
                None
            }
        };
        let pinned = Arc::new(
            self.inner
                .sweep
                .pin(todo.iter().skip(1).filter_map(closed).collect()),
        );
        if let Some(Source::Closed(blob, range)) = todo.front() {
            let (blob, range, folder) = (*blob, range.clone(), Arc::clone(&folder));
            todo[0] = blocking(move || open(&folder, blob, range)).await?;
        }
        Ok(futures::stream::try_unfold(todo, move |mut todo| {
            let (folder, pinned) = (Arc::clone(&folder), Arc::clone(&pinned));
            async move {
                let _pinned = pinned;
                loop {
                    let Some(next) = todo.pop_front() else {
                        return Ok(None);
                    };
                    let (bytes, rest) = next.step(&folder).await?;
                    if let Some(rest) = rest {
                        todo.push_front(rest);
                    }
                    if !bytes.is_empty() {
                        return Ok(Some((bytes, todo)));
                    }
                }
            }
        }))
    }
}

/// What is still to be sent.
enum Source {
    Bytes(Bytes),
    Closed(i64, Range<u64>),
    Open(Arc<File>, Range<u64>),
}

impl Source {
    fn from_part(part: Part, range: Range<u64>) -> Self {
        let slice = |bytes: Bytes| -> Option<Bytes> {
            Some(bytes.slice(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?))
        };
        match part.content.and_then(slice) {
            Some(bytes) => Self::Bytes(bytes),
            None => Self::Closed(part.blob, range),
        }
    }

    /// The next bytes, and what remains.
    async fn step(self, folder: &Arc<Folder>) -> std::io::Result<(Bytes, Option<Self>)> {
        if let Self::Bytes(bytes) = self {
            return Ok((bytes, None));
        }
        let folder = Arc::clone(folder);
        let work = move || match self {
            Self::Bytes(bytes) => Ok((bytes, None)),
            Self::Closed(blob, range) => {
                let source = open(&folder, blob, range).map_err(std::io::Error::other)?;
                Ok((Bytes::new(), Some(source)))
            }
            Self::Open(file, range) => {
                let end = range.end.min(range.start + PIECE);
                let mut buffer = vec![0; usize::try_from(end - range.start).unwrap_or(0)];
                file.read_exact_at(&mut buffer, range.start)?;
                let rest = (end < range.end).then_some(Self::Open(file, end..range.end));
                Ok((Bytes::from(buffer), rest))
            }
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(std::io::Error::other)?
    }
}

fn open(folder: &Folder, blob: i64, range: Range<u64>) -> Result<Source, ObjectError> {
    let path = folder.file(blob);
    match File::open(&path) {
        Ok(file) => Ok(Source::Open(Arc::new(file), range)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(ObjectError::NoSuchBlob(blob))
        }
        Err(error) => Err(ObjectError::file("opening", &path, error)),
    }
}
