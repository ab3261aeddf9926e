//! Events: what starts a job, how it is recognised, and what it means for the job's input and environment.
//!
//! The body of `POST /job/<service>` may be anything. [`recognise`] tells the documented forms apart, [`stage`] says
//! what the script gets, and [`Created`] writes the notification of the built-in store.

mod notification;
mod recognise;
mod stage;

use crate::service::StringMap;

pub use notification::{Created, decode_key, encode_key};
pub use recognise::recognise;
pub use stage::{Staged, StagedInput, safe_file_name, stage};

/// Prefix of the variables that the query of an API gateway becomes.
pub const QUERY_VARIABLE: &str = "CONT_VAR_";

/// A recognised event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An object of a store that speaks S3.
    Storage(StorageEvent),
    /// Another cluster passed on what it could not run itself.
    Delegated {
        /// `<type>.<id>` or `<id>` as the wrapper says it; empty when it does not.
        storage_provider: String,
        /// Text of the original event.
        text: String,
        /// The original event, its provider already that of the wrapper.
        inner: Box<Event>,
    },
    /// A request that came through an API gateway.
    ApiGateway {
        /// The query, as variables with [`QUERY_VARIABLE`] in front.
        variables: StringMap,
        /// Text of the request's body.
        text: String,
        /// What the body is.
        inner: Box<Event>,
    },
    /// A new file in dCache.
    DCache {
        /// Name of the file within the watched folder.
        name: String,
    },
    /// A data set of Rucio.
    Rucio {
        /// Scope and name of the data set.
        scope: String,
        name: String,
    },
    /// A new file in Onedata.
    OneData {
        /// First segment of the path: the name of the space.
        space: String,
        /// Path within the space.
        path: String,
        /// When it happened; may be empty.
        time: String,
    },
    /// Anything else. It is the input itself.
    Unknown {
        /// The body.
        raw: Vec<u8>,
    },
}

/// An object was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageEvent {
    /// `<type>.<id>`, such as `minio.default`.
    pub provider: String,
    pub bucket: String,
    /// Decoded, without the bucket.
    pub key: String,
    /// `eventTime` as written; may be empty.
    pub time: String,
}

#[cfg(test)]
#[allow(clippy::items_after_statements)] // Cases first, what checks them below.
mod tests;
