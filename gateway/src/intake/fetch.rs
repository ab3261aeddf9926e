//! One file, from a provider into a blob of ours.

use spillway_storage::{Entry, ObjectPath, Provider, StorageError, Why};

use crate::objects::{Blobs, NewBlob, ObjectError};

/// Why a file is not here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error(transparent)]
    Provider(#[from] StorageError),
    /// The bytes may be of two versions, or of an unfinished one.
    #[error("the file changed while it was read")]
    Changed,
    #[error("there is no such file")]
    Missing,
    /// Ours to mend.
    #[error("keeping the file: {0}")]
    Keep(ObjectError),
}

impl FetchError {
    /// Whether it is not this file's doing, so that others would fare alike.
    pub(crate) fn is_away(&self) -> bool {
        match self {
            Self::Provider(error) => matches!(error.why(), Some(Why::Unreachable | Why::Busy)),
            Self::Keep(_) => true,
            Self::Changed | Self::Missing => false,
        }
    }

    /// With the provider's own words.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Provider(error) => error.in_full(),
            other => other.to_string(),
        }
    }
}

/// Fetches exactly the version that `expected` describes, or the current one. The bytes are safe on disk when this
/// returns, and belong to one version: it is the same before and after.
pub(crate) async fn fetch(
    provider: &Provider,
    blobs: &Blobs,
    path: &ObjectPath,
    expected: Option<Entry>,
    limit: u64,
) -> Result<(NewBlob, Entry), FetchError> {
    let storage = provider.storage();
    let before = match expected {
        Some(entry) => entry,
        None => storage.head(path).await?.ok_or(FetchError::Missing)?,
    };
    let download = storage.get(path).await.map_err(|error| match error.why() {
        Some(Why::NotFound) => FetchError::Missing,
        _ => error.into(),
    })?;
    let blob = blobs.receive(download.bytes, limit).await;
    let blob = blob.map_err(|error| match error {
        // The connection broke.
        ObjectError::Receive(words) => FetchError::Provider(StorageError::Provider {
            doing: "reading",
            path: path.clone(),
            endpoint: "the provider".to_owned(),
            why: Why::Unreachable,
            source: Some(words.into()),
        }),
        other => FetchError::Keep(other),
    })?;
    let after = storage.head(path).await?.ok_or(FetchError::Missing)?;
    if blob.size != before.size || version(provider, &after) != version(provider, &before) {
        return Err(FetchError::Changed);
    }
    Ok((blob, before))
}

/// What tells one version of a file from the next. Of S3 the time is part of it, because a file that is replaced by an
/// equal one is an event; the entity tags of `WebDAV` change with every write, its times with every copy that keeps them.
pub(crate) fn version(provider: &Provider, entry: &Entry) -> String {
    let seconds = entry.modified.map_or(0, jiff::Timestamp::as_second);
    match (provider, entry.etag.as_deref()) {
        (Provider::Webdav(_), Some(etag)) => format!("{etag} {}", entry.size),
        (_, Some(etag)) => format!("{etag} {} {seconds}", entry.size),
        (_, None) => format!("{seconds} {}", entry.size),
    }
}
