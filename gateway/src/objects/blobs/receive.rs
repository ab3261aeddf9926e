//! Taking in content.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use tokio::task::JoinHandle;

use super::digest::{Digests, Expected, Found};
use super::folder::{Folder, unlink};
use super::{Blobs, INLINE, NewBlob, blocking};
use crate::objects::ObjectError;

/// Bytes that are hashed and written at a time. While one piece is on its way to the disk the next one arrives:
/// an upload holds two of them, whatever its size.
const PIECE: usize = 256 * 1024;

/// Looks up a header that follows the content.
pub(crate) type Trailer = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// A content that is in, with the checksums its sender asked for (base64, by header name).
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) blob: NewBlob,
    pub(crate) checksums: Vec<(&'static str, String)>,
}

/// For senders that announce none.
pub(crate) fn no_trailer() -> Trailer {
    Box::new(|_| None)
}

/// A temporary file that is being written; gone when dropped, unless it was published.
struct Intake {
    folder: Arc<Folder>,
    id: i64,
    file: File,
    digests: Digests,
    published: bool,
}

impl Blobs {
    /// Takes in a stream and compares it with what was `expected` of it; on a difference nothing of it remains.
    pub(crate) async fn receive_expecting<E>(
        &self,
        bytes: impl Stream<Item = Result<Bytes, E>> + Send,
        limit: u64,
        expected: &Expected,
        trailer: Trailer,
    ) -> Result<Received, ObjectError>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut bytes = std::pin::pin!(bytes);
        let mut buffer = BytesMut::new();
        let mut total: u64 = 0;
        let mut writing: Option<JoinHandle<Result<Intake, ObjectError>>> = None;
        while let Some(chunk) = bytes.next().await {
            let mut chunk =
                chunk.map_err(|error| ObjectError::Receive(error.into().to_string()))?;
            total += chunk.len() as u64;
            if total > limit {
                return Err(ObjectError::TooLarge(limit));
            }
            while buffer.len() + chunk.len() > PIECE {
                buffer.extend_from_slice(&chunk.split_to(PIECE - buffer.len()));
                let full = std::mem::replace(&mut buffer, BytesMut::with_capacity(PIECE));
                writing = Some(self.write_behind(writing.take(), full, expected).await?);
            }
            buffer.extend_from_slice(&chunk);
        }
        if writing.is_none() && buffer.len() <= INLINE {
            return self.take_in_small(buffer.freeze(), expected, &trailer);
        }
        let last = self.write_behind(writing, buffer, expected).await?;
        let intake = joined(last).await?;
        let expected = expected.clone();
        let id = intake.id;
        let discarded = Some(Arc::clone(&self.inner.sweep));
        // Whoever sends may hang up while this syncs: the file has its owner before anybody waits for it.
        blocking(move || {
            let found = intake.finish(&expected, &trailer)?;
            let blob = NewBlob {
                id,
                size: found.length,
                md5: found.md5,
                content: None,
                discarded,
            };
            Ok(Received {
                blob,
                checksums: found.checksums,
            })
        })
        .await
    }

    fn take_in_small(
        &self,
        content: Bytes,
        expected: &Expected,
        trailer: &Trailer,
    ) -> Result<Received, ObjectError> {
        self.inner
            .folder
            .probably_require_room(content.len() as u64)?;
        let mut digests = Digests::new(expected);
        digests.update(&content);
        let found = digests.finish();
        expected.check(&found, trailer)?;
        let id = self.inner.folder.next_id();
        let blob = NewBlob {
            id,
            size: found.length,
            md5: found.md5,
            content: Some(content),
            discarded: None,
        };
        Ok(Received {
            blob,
            checksums: found.checksums,
        })
    }

    /// Waits for the previous piece and starts to write this one.
    async fn write_behind(
        &self,
        previous: Option<JoinHandle<Result<Intake, ObjectError>>>,
        piece: BytesMut,
        expected: &Expected,
    ) -> Result<JoinHandle<Result<Intake, ObjectError>>, ObjectError> {
        let intake = if let Some(previous) = previous {
            joined(previous).await?
        } else {
            let folder = Arc::clone(&self.inner.folder);
            let digests = Digests::new(expected);
            blocking(move || Intake::create(folder, digests)).await?
        };
        Ok(tokio::task::spawn_blocking(move || intake.write(&piece)))
    }
}

async fn joined(writing: JoinHandle<Result<Intake, ObjectError>>) -> Result<Intake, ObjectError> {
    writing.await.unwrap_or(Err(ObjectError::Stopping))
}

/// All of it blocks.
impl Intake {
    fn create(folder: Arc<Folder>, digests: Digests) -> Result<Self, ObjectError> {
        let id = folder.next_id();
        let path = folder.temporary(id);
        let file = File::options()
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(|error| ObjectError::file("creating", &path, error))?;
        Ok(Self {
            folder,
            id,
            file,
            digests,
            published: false,
        })
    }

    fn write(mut self, piece: &[u8]) -> Result<Self, ObjectError> {
        self.folder.require_room(piece.len() as u64)?;
        self.digests.update(piece);
        self.file.write_all(piece).map_err(|error| {
            ObjectError::file("writing", &self.folder.temporary(self.id), error)
        })?;
        Ok(self)
    }

    /// Checks, syncs and publishes.
    fn finish(mut self, expected: &Expected, trailer: &Trailer) -> Result<Found, ObjectError> {
        let digests = std::mem::replace(&mut self.digests, Digests::new(&Expected::default()));
        let found = digests.finish();
        expected.check(&found, trailer)?;
        self.file.sync_data().map_err(|error| {
            ObjectError::file("syncing", &self.folder.temporary(self.id), error)
        })?;
        self.folder.publish(self.id)?;
        self.published = true;
        Ok(found)
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        if !self.published {
            // It may have been renamed already when syncing the folder failed. What cannot be deleted now is at
            // the next start.
            drop(unlink(&self.folder.temporary(self.id)));
            drop(unlink(&self.folder.file(self.id)));
        }
    }
}
