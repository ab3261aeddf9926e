//! Answers that say no.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tracing::error;

use crate::objects::ObjectError;
use crate::queue::CompleteError;
use crate::store::StoreError;

/// Why a request of an agent is not carried out; the only place that knows statuses.
#[derive(Debug)]
pub(crate) enum Problem {
    /// The agent has to join again.
    Unauthorized,
    /// Shutting down.
    Stopping,
    /// The attempt is not the node's.
    Gone,
    NotFound(String),
    Invalid(String),
    Full(String),
    Internal(String),
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Self::Unauthorized => (
                StatusCode::UNAUTHORIZED,
                "the token is not valid: join (again)".to_owned(),
            ),
            Self::Stopping => (
                StatusCode::SERVICE_UNAVAILABLE,
                "the gateway is stopping; try again soon".to_owned(),
            ),
            Self::Gone => (
                StatusCode::GONE,
                "the attempt is no longer this node's".to_owned(),
            ),
            Self::NotFound(text) => (StatusCode::NOT_FOUND, text),
            Self::Invalid(text) => (StatusCode::BAD_REQUEST, text),
            Self::Full(text) => (StatusCode::INSUFFICIENT_STORAGE, text),
            Self::Internal(cause) => {
                error!(cause, "a request of an agent failed");
                (
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "the gateway could not do it; its log says why".to_owned(),
                )
            }
        };
        (status, text).into_response()
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::Internal(chain(&error))
    }
}

impl From<ObjectError> for Problem {
    fn from(error: ObjectError) -> Self {
        match error {
            ObjectError::StorageFull { .. } | ObjectError::DiskFull => {
                Self::Full(error.to_string())
            }
            ObjectError::TooLarge(_) | ObjectError::Receive(_) => Self::Invalid(error.to_string()),
            other => Self::Internal(chain(&other)),
        }
    }
}

impl From<CompleteError> for Problem {
    fn from(error: CompleteError) -> Self {
        match error {
            CompleteError::Gone => Self::Gone,
            CompleteError::Invalid(text) => Self::Invalid(text),
            CompleteError::Object(error) => error.into(),
            CompleteError::Store(error) => error.into(),
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
