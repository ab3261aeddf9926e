//! Why a storage operation failed, told so that its reader knows where and what to do.

use std::error::Error;
use std::fmt;

use crate::ObjectPath;

/// A failed storage operation.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The settings are not usable.
    #[error("the storage provider {endpoint:?} cannot be used: {message}")]
    Settings { endpoint: String, message: String },

    /// The key cannot be named through this client.
    #[error("the key {key:?} cannot be used: {message}")]
    Key { key: String, message: &'static str },

    /// What was to be written could not be read.
    #[error("reading what was to be written to {path}")]
    Read {
        path: ObjectPath,
        #[source]
        source: std::io::Error,
    },

    /// The provider refused or could not be reached.
    #[error("{doing} {path} at {endpoint}: {why}")]
    Provider {
        /// `writing`, `reading` …
        doing: &'static str,
        path: ObjectPath,
        endpoint: String,
        why: Why,
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
}

/// Kinds of failure that a caller can act upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// There is no such bucket or object.
    NotFound,
    /// The keys are wrong, or not good enough.
    Denied,
    /// The provider asks to slow down, and went on asking through all retries.
    Busy,
    /// It did not answer, or the connection broke, through all retries.
    Unreachable,
    /// It answered with something else; the source has it.
    Other,
}

impl StorageError {
    /// What kind of failure it is, if the provider's.
    pub fn why(&self) -> Option<Why> {
        match self {
            Self::Provider { why, .. } => Some(*why),
            _ => None,
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "there is no such bucket or object; check the name, or list the bucket",
            Self::Denied => "access denied; check the provider's access key and secret key",
            Self::Busy => "the store asks to slow down; try again later, or with less at once",
            Self::Unreachable => {
                "the store does not answer; check that it runs and that this machine can reach that address"
            }
            Self::Other => "the store refused",
        })
    }
}

pub(crate) fn why(error: &opendal::Error) -> Why {
    use opendal::ErrorKind;

    match error.kind() {
        ErrorKind::NotFound => Why::NotFound,
        ErrorKind::PermissionDenied => Why::Denied,
        ErrorKind::RateLimited => Why::Busy,
        // Whatever was worth a retry and still failed after the last one: connections, time-outs, 5xx.
        _ if error.is_persistent() || error.is_temporary() => Why::Unreachable,
        _ => Why::Other,
    }
}
