//! What can go wrong in the object store, before it is put into S3's or HTTP's words.

use std::path::PathBuf;

use crate::store::StoreError;

/// How `SQLite` says that a commit found no room.
const SQLITE_FULL: &str = "disk is full";

/// Why an object or bucket operation failed; what a user reads names bucket and key.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    #[error("the bucket '{0}' does not exist")]
    NoSuchBucket(String),
    #[error("the bucket \"{0}\" already exists")]
    BucketExists(String),
    #[error("the bucket \"{0}\" is not empty: delete its objects first")]
    BucketNotEmpty(String),
    #[error(
        "\"{name}\" is no valid bucket name: {expected} (3 to 63 lower-case letters, digits, dots and hyphens are)"
    )]
    BucketName {
        name: String,
        expected: &'static str,
    },
    #[error("the key {key:?} cannot be used: {reason}")]
    Key { key: String, reason: &'static str },
    #[error(
        "MinIO bucket quota exceeded for user {user}: limit {limit}, current {current}, requested new buckets 1"
    )]
    BucketQuota {
        user: String,
        limit: u64,
        current: u64,
    },
    #[error(
        "the quota of the bucket \"{bucket}\" is {limit} bytes and {used} are used: {wanted} more do not fit; \
         delete objects or ask the administrator for a larger quota"
    )]
    StorageQuota {
        bucket: String,
        limit: u64,
        used: u64,
        wanted: u64,
    },
    #[error("the object '{key}' does not exist in the bucket '{bucket}'")]
    NoSuchKey { bucket: String, key: String },
    #[error("the upload '{0}' does not exist: it was completed, aborted, or is for another key")]
    NoSuchUpload(String),
    #[error("part {number} {reason}")]
    Part { number: i64, reason: String },
    #[error("part {number} has {size} bytes; every part but the last must have at least {minimum}")]
    PartTooSmall {
        number: i64,
        size: u64,
        minimum: u64,
    },
    #[error("{0}")]
    PartOrder(&'static str),
    #[error("{0} uploads are unfinished: complete or abort some of them first")]
    TooManyUploads(i64),
    #[error("{0} jobs are unfinished, which is the limit: upload again when some are done")]
    TooManyJobs(u64),
    /// A condition of the request (`If-Match` and its kin) does not hold.
    #[error("the condition {0} does not hold")]
    Precondition(&'static str),
    #[error("more than {0} bytes")]
    TooLarge(u64),
    /// The client's stream broke off, or its signature or digest was wrong.
    #[error("receiving the content: {0}")]
    Receive(String),
    /// The content is not what the request says it is.
    #[error("{header} says {expected}, but the content that arrived has {found}")]
    Digest {
        header: &'static str,
        expected: String,
        found: String,
    },
    #[error("the request says {expected} bytes, but {found} arrived")]
    Length { expected: u64, found: u64 },
    #[error(
        "the disk of the object store is full: {free} bytes are free and {reserve} are kept in reserve; \
         delete objects or make room"
    )]
    StorageFull { free: u64, reserve: u64 },
    /// The database or a file found it out.
    #[error("the disk of the object store is full: delete objects or make room")]
    DiskFull,
    #[error("the blob {0} is gone")]
    NoSuchBlob(i64),
    #[error("{doing} {path}")]
    File {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the database")]
    Store(#[source] StoreError),
    #[error("the gateway is stopping")]
    Stopping,
}

impl From<StoreError> for ObjectError {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Statement(rusqlite::Error::SqliteFailure(cause, _))
                if cause.code == rusqlite::ErrorCode::DiskFull =>
            {
                Self::DiskFull
            }
            StoreError::Commit(text) if text.contains(SQLITE_FULL) => Self::DiskFull,
            _ => Self::Store(error),
        }
    }
}

impl From<rusqlite::Error> for ObjectError {
    fn from(error: rusqlite::Error) -> Self {
        StoreError::from(error).into()
    }
}

impl ObjectError {
    /// An error of the file system; a full disk becomes [`ObjectError::StorageFull`].
    pub(crate) fn file(
        doing: &'static str,
        path: &std::path::Path,
        source: std::io::Error,
    ) -> Self {
        if source.kind() == std::io::ErrorKind::StorageFull
            || source.kind() == std::io::ErrorKind::QuotaExceeded
        {
            return Self::DiskFull;
        }
        Self::File {
            doing,
            path: path.to_owned(),
            source,
        }
    }
}
