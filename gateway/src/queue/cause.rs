//! What started a job, as its row keeps it: enough to write the event out again when the job is granted.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::store::StoreError;

/// The event behind a job. JSON in the column `cause`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Cause {
    /// An object of the built-in store came into being; the job's blob is its content.
    Object(ObjectCause),
    /// Somebody asked for it.
    Call(CallCause),
}

/// See [`crate::queue::CreatedObject`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ObjectCause {
    /// `<type>.<id>` of the watched folder it was fetched from; empty for the built-in store.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) provider: String,
    /// That folder.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) folder: String,
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) size: u64,
    pub(crate) etag: String,
    pub(crate) content_type: String,
    pub(crate) event: String,
    pub(crate) principal: String,
    pub(crate) source_ip: String,
    pub(crate) user_agent: String,
    pub(crate) time: Timestamp,
}

/// A direct call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CallCause {
    /// The request's body, unless the job's blob holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<String>,
    pub(crate) time: Timestamp,
    pub(crate) input: CallInput,
}

/// Where the input of a direct call is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub(crate) enum CallInput {
    /// The service wants none.
    None,
    /// In the body.
    Body { name: String, size: u64 },
    /// The body is an event that names an object of ours: the job's blob is the content it had then.
    Object {
        bucket: String,
        key: String,
        size: u64,
    },
    /// The body is an event that names a file elsewhere, which is not here yet.
    Remote {
        provider: String,
        bucket: String,
        key: String,
    },
    /// It cannot be had; every attempt would fail alike.
    Missing { message: String },
}

/// Columns of a row that a lease is made of.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stored {
    pub(crate) cause: Cause,
    pub(crate) blob: Option<i64>,
}

impl Cause {
    /// Name of the event, as reports show it.
    pub(crate) fn event(&self) -> &str {
        match self {
            Self::Object(object) => &object.event,
            Self::Call(_) => "request",
        }
    }

    /// Path and size of the input.
    pub(crate) fn input(&self) -> Option<(String, u64)> {
        match self {
            Self::Object(object) => {
                let parts = [&object.provider, &object.bucket, &object.key];
                let parts: Vec<&str> = parts
                    .into_iter()
                    .map(String::as_str)
                    .filter(|part| !part.is_empty())
                    .collect();
                Some((parts.join("/"), object.size))
            }
            Self::Call(call) => match &call.input {
                CallInput::Body { name, size } => Some((name.clone(), *size)),
                CallInput::Object { bucket, key, size } => Some((format!("{bucket}/{key}"), *size)),
                CallInput::Remote { provider, key, .. } => Some((format!("{provider}/{key}"), 0)),
                CallInput::None | CallInput::Missing { .. } => None,
            },
        }
    }
}

/// The cause of a call whose input has arrived: JSON in, JSON out.
pub(crate) fn with_input(
    cause: &str,
    bucket: &str,
    key: &str,
    size: u64,
) -> Result<String, StoreError> {
    let damaged = |error: serde_json::Error| {
        StoreError::Statement(rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
    };
    let mut cause: Cause = serde_json::from_str(cause).map_err(damaged)?;
    if let Cause::Call(call) = &mut cause {
        call.input = CallInput::Object {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            size,
        };
    }
    serde_json::to_string(&cause).map_err(damaged)
}
