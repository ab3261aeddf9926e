//! Clients of storage providers behind one trait, [`Storage`].
//!
//! What goes in and out is streamed: memory stays bounded by a few parts, whatever the size of the object. This
//! crate moves bytes; it does not know services, jobs or who may read what.
//!
//! Invariant: a key arrives at the provider exactly as it was given, or is refused with [`StorageError::Key`].
//!
//! ```no_run
//! # async fn example() -> Result<(), spillway_storage::StorageError> {
//! use spillway_storage::{Content, ObjectPath, S3Settings, S3Storage, Storage};
//!
//! let store = S3Storage::new(S3Settings {
//!     endpoint: "http://localhost:9000".into(),
//!     region: "us-east-1".into(),
//!     access_key: "key".into(),
//!     secret_key: "secret".into(),
//!     verify: true,
//! })?;
//! let path = ObjectPath::new("vision", "in/leaf.png");
//! store.put(&path, Content::from_bytes("…"), &|_| ()).await?;
//! # Ok(()) }
//! ```

mod connections;
mod content;
mod error;
mod onedata;
mod provider;
mod s3;
mod sign;
mod times;
mod webdav;
mod xml;

use std::fmt;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use jiff::Timestamp;

pub use connections::Connections;
pub use content::{ByteStream, Content};
pub use error::{Refusal, StorageError, Why};
pub use onedata::{OnedataSettings, OnedataStorage};
pub use provider::{Provider, ProviderError};
pub use s3::{Listening, Notice, S3Settings, S3Storage};
pub use webdav::{UNFINISHED, WebdavSettings, WebdavStorage};

/// Called with the number of bytes that have moved since the last call.
pub type Progress<'a> = &'a (dyn Fn(u64) + Send + Sync);

/// A storage provider. Every method gives up after a bounded number of retries; none waits for ever.
pub trait Storage: fmt::Debug + Send + Sync {
    /// Writes the object, replacing its predecessor. It becomes visible as a whole when this returns, or not at all.
    fn put<'a>(
        &'a self,
        path: &'a ObjectPath,
        content: Content,
        progress: Progress<'a>,
    ) -> BoxFuture<'a, Result<(), StorageError>>;

    /// Opens the object for reading from its first byte.
    fn get<'a>(&'a self, path: &'a ObjectPath) -> BoxFuture<'a, Result<Download, StorageError>>;

    /// What is known of the object without reading it; `None` when there is no such object.
    fn head<'a>(
        &'a self,
        path: &'a ObjectPath,
    ) -> BoxFuture<'a, Result<Option<Entry>, StorageError>>;

    /// The objects whose keys start with `path.key`, in the order of their keys, page after page as they are asked for.
    fn list<'a>(
        &'a self,
        path: &'a ObjectPath,
        depth: Depth,
    ) -> BoxStream<'a, Result<Entry, StorageError>>;

    /// Deletes the object; deleting what is not there is no error.
    fn delete<'a>(&'a self, path: &'a ObjectPath) -> BoxFuture<'a, Result<(), StorageError>>;
}

/// Where an object is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectPath {
    /// Bucket, container or space.
    pub bucket: String,
    /// Name in it, with `/` between folders and none in front.
    pub key: String,
}

impl ObjectPath {
    /// Both parts as they are.
    pub fn new(bucket: impl Into<String>, key: impl Into<String>) -> Self {
        Self {
            bucket: bucket.into(),
            key: key.into(),
        }
    }

    /// Splits `bucket/key`; the key is empty when there is no slash.
    pub fn parse(text: &str) -> Self {
        let text = text.trim_start_matches('/');
        let (bucket, key) = text.split_once('/').unwrap_or((text, ""));
        Self::new(bucket, key)
    }

    /// What stands after the last slash of the key.
    pub fn file_name(&self) -> &str {
        self.key.rsplit('/').next().unwrap_or_default()
    }
}

impl fmt::Display for ObjectPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.bucket.as_str(), self.key.as_str()) {
            (bucket, "") => f.write_str(bucket),
            ("", key) => f.write_str(key),
            (bucket, key) => write!(f, "{bucket}/{key}"),
        }
    }
}

/// How far a listing goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Only this folder; sub-folders appear as entries that end in `/`.
    Folder,
    /// Everything below.
    All,
}

/// One object, or one folder of a listing with [`Depth::Folder`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub path: ObjectPath,
    /// Bytes; 0 for a folder.
    pub size: u64,
    pub modified: Option<Timestamp>,
    /// Without quotation marks.
    pub etag: Option<String>,
    pub content_type: Option<String>,
}

impl Entry {
    /// Whether this is a folder rather than an object with content.
    pub fn is_folder(&self) -> bool {
        self.path.key.ends_with('/')
    }
}

/// An object that is being read.
pub struct Download {
    pub entry: Entry,
    pub bytes: ByteStream,
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download")
            .field("entry", &self.entry)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::ObjectPath;

    #[test]
    fn bucket_and_key_are_told_apart_at_the_first_slash() {
        check("vision/in/a b.png", "vision", "in/a b.png");
        check("/vision/in/", "vision", "in/");
        check("vision", "vision", "");
        check("vision/", "vision", "");

        #[allow(clippy::items_after_statements)] // The data come first.
        #[track_caller]
        fn check(text: &str, bucket: &str, key: &str) {
            assert_eq!(
                ObjectPath::parse(text),
                ObjectPath::new(bucket, key),
                "for {text:?}"
            );
        }
    }
}
