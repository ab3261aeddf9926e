//! Blobs: the bytes of objects, parts and job inputs.
//!
//! Small content sits in its row, so that one flush makes data and metadata durable together. Larger content is
//! streamed to a temporary file, synced, and renamed before the row that names it is written. So a crash leaves
//! at worst a file that no row knows, which the sweeper of the next run deletes. A row never lacks its file: files
//! are unlinked after the commit that dropped the last reference, by the sweeper.

mod digest;
mod folder;
mod read;
mod receive;
mod refs;
mod sweep;

use std::path::Path;
use std::sync::Arc;

use futures::Stream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use bytes::Bytes;
use rusqlite::Connection;

use super::ObjectError;
use crate::store::{Store, StoreError};
use folder::Folder;

pub(crate) use digest::{CHECKSUMS, Expected};
pub(crate) use read::Content;
pub(crate) use receive::{Received, Trailer, no_trailer};
pub(crate) use refs::{insert_pieces, signed, unsigned};
pub use refs::{release, retain};

/// Content up to this many bytes is kept in its row: one flush instead of three.
pub const INLINE: usize = 16 * 1024;

/// Bytes that are kept free on the disk unless set otherwise: the database needs room to go on accepting deletes.
pub const DEFAULT_RESERVE: u64 = 64 * 1024 * 1024;

/// Clonable handle to the folder (and table) of blobs.
#[derive(Debug, Clone)]
pub struct Blobs {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    folder: Arc<Folder>,
    sweep: Arc<sweep::Shared>,
    sweeper: TaskTracker,
    stop: CancellationToken,
}

/// Bytes that are safe on disk (or small and held in memory) but that no row refers to yet. Dropped without
/// [`NewBlob::keep`], its file is deleted.
#[derive(Debug)]
pub struct NewBlob {
    pub id: i64,
    pub size: u64,
    /// MD5 in hexadecimal.
    pub md5: String,
    content: Option<Bytes>,
    /// Where to report the file when nobody keeps it.
    discarded: Option<Arc<sweep::Shared>>,
}

impl Blobs {
    /// Opens the folder and starts the sweeper, which deletes what a crash left behind and, later, garbage.
    pub async fn open(folder: &Path, store: Store) -> Result<Self, ObjectError> {
        Self::open_with_reserve(folder, store, DEFAULT_RESERVE).await
    }

    /// The same; uploads are refused rather than leave fewer than `reserve` bytes free on the disk.
    pub async fn open_with_reserve(
        folder: &Path,
        store: Store,
        reserve: u64,
    ) -> Result<Self, ObjectError> {
        let root = folder.to_owned();
        let folder = blocking(move || Folder::open(&root, reserve).map(Arc::new)).await?;
        let past = sweep::continue_ids(&store, &folder).await?;
        let sweep = Arc::new(sweep::Shared::default());
        let (sweeper, stop) = (TaskTracker::new(), CancellationToken::new());
        sweeper.spawn(sweep::run(
            store.clone(),
            Arc::clone(&folder),
            Arc::clone(&sweep),
            past,
            stop.clone(),
        ));
        sweeper.close();
        Ok(Self {
            inner: Arc::new(Inner {
                store,
                folder,
                sweep,
                sweeper,
                stop,
            }),
        })
    }

    /// Stops the sweeper, after a last round.
    pub async fn close(&self) {
        self.inner.stop.cancel();
        self.inner.sweeper.wait().await;
    }

    /// Takes in a stream of at most `limit` bytes: small content stays in memory, the rest goes to a file that is
    /// synced and renamed before this returns.
    pub async fn receive<E>(
        &self,
        bytes: impl Stream<Item = Result<Bytes, E>> + Send,
        limit: u64,
    ) -> Result<NewBlob, ObjectError>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        Ok(self
            .receive_expecting(bytes, limit, &Expected::default(), no_trailer())
            .await?
            .blob)
    }

    /// The same for bytes at hand.
    pub async fn receive_bytes(&self, bytes: Vec<u8>) -> Result<NewBlob, ObjectError> {
        let limit = bytes.len() as u64;
        let whole = futures::stream::iter([Ok::<_, std::convert::Infallible>(Bytes::from(bytes))]);
        self.receive(whole, limit).await
    }

    /// A fresh id, for a blob that is put together from others.
    pub(crate) fn next_id(&self) -> i64 {
        self.inner.folder.next_id()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl NewBlob {
    /// Inside a write: adds the row, with no references.
    pub fn insert(&self, db: &Connection) -> Result<(), StoreError> {
        refs::insert(db, self.id, self.size, self.content.as_deref())
    }

    /// After the commit: the file stays.
    pub fn keep(mut self) {
        self.discarded = None;
    }
}

impl Drop for NewBlob {
    fn drop(&mut self) {
        if let Some(discarded) = self.discarded.take() {
            discarded.discard(self.id);
        }
    }
}

/// Runs what blocks on a thread that may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ObjectError> + Send + 'static,
) -> Result<T, ObjectError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or(Err(ObjectError::Stopping))
}

#[cfg(test)]
mod tests;
