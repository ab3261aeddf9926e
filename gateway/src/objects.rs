//! The built-in S3 object store: buckets, objects, the blobs that hold their bytes, and the S3 protocol on top.
//!
//! Owner of this module: the object store. Others use what is public here.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use futures::Stream;
use rusqlite::Connection;

use crate::queue::{Queue, QueuedJob};
use crate::store::{Store, StoreError};

/// Clonable handle to the folder (and table) of blobs.
#[derive(Debug, Clone)]
pub struct Blobs {}

/// Bytes that are safe on disk (or small and held in memory) but that no row refers to yet. Dropped without
/// [`NewBlob::keep`], its file is deleted.
#[derive(Debug)]
pub struct NewBlob {
    pub id: i64,
    pub size: u64,
    /// MD5 in hexadecimal.
    pub md5: String,
}

/// Why an object or bucket operation failed; what a user reads names bucket and key.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    #[error("the bucket '{0}' does not exist")]
    NoSuchBucket(String),
    #[error("the bucket \"{0}\" already exists")]
    BucketExists(String),
    #[error("the database")]
    Store(#[from] StoreError),
    #[error("reading or writing a blob")]
    Io(#[from] std::io::Error),
}

/// An object about to be written.
#[derive(Debug, Clone)]
pub struct NewObject {
    pub bucket: String,
    pub key: String,
    pub etag: String,
    pub content_type: String,
    /// User metadata and the headers S3 keeps.
    pub metadata: BTreeMap<String, String>,
    /// See [`crate::queue::CreatedObject`].
    pub event: &'static str,
    pub principal: String,
    pub source_ip: String,
    pub user_agent: String,
}

/// A bucket, as the API shows it.
#[derive(Debug, Clone, Default)]
pub struct Bucket {
    pub name: String,
    pub owner: String,
    pub visibility: String,
    pub allowed_users: Vec<String>,
    pub tags: BTreeMap<String, String>,
}

impl Blobs {
    /// Opens the folder, deletes what a crash left behind, and starts the sweeper of garbage.
    pub async fn open(_folder: &Path, _store: Store) -> Result<Self, ObjectError> {
        todo!()
    }

    /// Takes in a stream of at most `limit` bytes: small content stays in memory, the rest goes to a file that is
    /// synced and renamed before this returns.
    pub async fn receive<E>(
        &self,
        _bytes: impl Stream<Item = Result<Bytes, E>> + Send,
        _limit: u64,
    ) -> Result<NewBlob, ObjectError>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        todo!()
    }

    /// The same for bytes at hand.
    pub async fn receive_bytes(&self, _bytes: Vec<u8>) -> Result<NewBlob, ObjectError> {
        todo!()
    }

    /// Reads `range` (in bytes) of a blob, piece by piece.
    pub async fn read(
        &self,
        _blob: i64,
        _range: std::ops::Range<u64>,
    ) -> Result<futures::stream::BoxStream<'static, std::io::Result<Bytes>>, ObjectError> {
        todo!()
    }

    /// The whole of a small blob.
    pub async fn read_all(&self, _blob: i64, _limit: u64) -> Result<Vec<u8>, ObjectError> {
        todo!()
    }
}

impl NewBlob {
    /// Inside a write: adds the row, with no references.
    pub fn insert(&self, _db: &Connection) -> Result<(), StoreError> {
        todo!()
    }

    /// After the commit: the file stays.
    pub fn keep(self) {}
}

/// Inside a write: one more reference.
pub fn retain(_db: &Connection, _blob: i64) -> Result<(), StoreError> {
    todo!()
}

/// Inside a write: one reference less; the last one deletes the blob (its file is unlinked after the commit).
pub fn release(_db: &Connection, _blob: i64) -> Result<(), StoreError> {
    todo!()
}

/// Inside a write: makes the object visible, replacing its predecessor, and queues the jobs it triggers. The blob
/// must have its row. The caller announces the jobs after the commit.
pub fn put_object(
    _db: &Connection,
    _queue: &Queue,
    _object: &NewObject,
    _blob: i64,
) -> Result<Vec<QueuedJob>, ObjectError> {
    todo!()
}

/// Buckets, inside a write or a read.
pub mod buckets {
    use super::{Bucket, Connection, ObjectError};

    /// Adds a bucket; [`ObjectError::BucketExists`] when it is there.
    pub fn create(_db: &Connection, _bucket: &Bucket) -> Result<(), ObjectError> {
        todo!()
    }

    /// The bucket, if there is one.
    pub fn get(_db: &Connection, _name: &str) -> Result<Option<Bucket>, ObjectError> {
        todo!()
    }

    /// Replaces visibility, allowed users and tags.
    pub fn update(_db: &Connection, _bucket: &Bucket) -> Result<(), ObjectError> {
        todo!()
    }

    /// Makes the folder visible by an empty object `folder/` unless it is there; triggers nothing.
    pub fn ensure_folder(
        _db: &Connection,
        _bucket: &str,
        _folder: &str,
    ) -> Result<(), ObjectError> {
        todo!()
    }

    /// Deletes the bucket with all it holds, unfinished uploads included.
    pub fn delete(_db: &Connection, _name: &str) -> Result<(), ObjectError> {
        todo!()
    }

    /// Number of buckets and of objects.
    pub fn count(_db: &Connection) -> Result<(u64, u64), ObjectError> {
        todo!()
    }
}
