//! Errors as clients read them: a sentence of plain text, or nothing but the status. The one place that turns
//! errors into HTTP.

use std::error::Error;
use std::fmt::Write as _;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tracing::error;

use crate::objects::ObjectError;
use crate::queue::CallError;
use crate::services::ServiceError;
use crate::store::StoreError;
use crate::volumes::VolumeError;

/// An answer that is no success.
#[derive(Debug)]
pub(super) enum Problem {
    Empty(StatusCode),
    Text(StatusCode, String),
}

impl Problem {
    /// 400 with a sentence.
    pub(super) fn bad(text: impl Into<String>) -> Self {
        Self::Text(StatusCode::BAD_REQUEST, text.into())
    }

    /// 404 without a word.
    pub(super) const NOT_FOUND: Self = Self::Empty(StatusCode::NOT_FOUND);

    /// Ours to mend: told to the log in full, to the client in short.
    pub(super) fn internal<E: Error>(doing: &str) -> impl FnOnce(E) -> Self {
        move |cause| {
            error!(error = %chain(&cause), "{doing}");
            Self::Text(
                StatusCode::INTERNAL_SERVER_ERROR,
                format!("{doing} failed: {cause}"),
            )
        }
    }

    /// What went wrong with a service, in the words of the reference.
    pub(super) fn of_service(doing: &str, cause: ServiceError) -> Self {
        match cause {
            ServiceError::Exists | ServiceError::BucketTaken(_) => {
                Self::Text(StatusCode::CONFLICT, cause.to_string())
            }
            ServiceError::Group(text) | ServiceError::Federation(text) => Self::bad(text),
            ServiceError::Objects(name @ ObjectError::BucketName { .. }) => {
                Self::bad(format!("The service specification is not valid: {name}"))
            }
            ServiceError::Unknown => Self::NOT_FOUND,
            ServiceError::NotYours => Self::Text(StatusCode::FORBIDDEN, cause.to_string()),
            ServiceError::Unavailable(reason) => {
                Self::bad(format!("The service specification is not valid: {reason}"))
            }
            ServiceError::Volume(VolumeError::Exists) => Self::Text(
                StatusCode::CONFLICT,
                "A managed volume with the provided name already exists".to_owned(),
            ),
            ServiceError::Volume(cause @ (VolumeError::Invalid(_) | VolumeError::Quota(_))) => {
                Self::bad(format!("The service specification is not valid: {cause}"))
            }
            ServiceError::Volume(cause) => cause.into(),
            ServiceError::Provider(cause) => Self::bad(cause.to_string()),
            ServiceError::ImageNotAllowed(_) => Self::Text(
                StatusCode::INTERNAL_SERVER_ERROR,
                format!("{doing}: {cause}"),
            ),
            ServiceError::Stopping | ServiceError::Store(StoreError::Closed) => Self::Text(
                StatusCode::SERVICE_UNAVAILABLE,
                "the gateway is stopping; try again later".to_owned(),
            ),
            ServiceError::Objects(
                full @ (ObjectError::StorageFull { .. } | ObjectError::DiskFull),
            ) => Self::Text(StatusCode::INSUFFICIENT_STORAGE, full.to_string()),
            ServiceError::Objects(quota @ ObjectError::BucketQuota { .. }) => {
                Self::Text(StatusCode::FORBIDDEN, quota.to_string())
            }
            ServiceError::Token(_)
            | ServiceError::User(_)
            | ServiceError::Objects(_)
            | ServiceError::Store(_)
            | ServiceError::Damaged { .. } => {
                error!(error = %chain(&cause), "{doing}");
                Self::Text(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    format!("{doing}: {cause}"),
                )
            }
        }
    }
}

impl From<StoreError> for Problem {
    fn from(cause: StoreError) -> Self {
        Self::of_service("Error reading the database", cause.into())
    }
}

impl From<CallError> for Problem {
    fn from(cause: CallError) -> Self {
        match cause {
            CallError::Full(_) => Self::Text(StatusCode::SERVICE_UNAVAILABLE, cause.to_string()),
            CallError::Store(cause) => cause.into(),
        }
    }
}

impl From<rusqlite::Error> for Problem {
    fn from(cause: rusqlite::Error) -> Self {
        StoreError::from(cause).into()
    }
}

impl From<ServiceError> for Problem {
    fn from(cause: ServiceError) -> Self {
        Self::of_service("Error reading the services", cause)
    }
}

impl From<ObjectError> for Problem {
    fn from(cause: ObjectError) -> Self {
        Self::of_service("Error in the object store", cause.into())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        match self {
            // No text, but of a type: what an error holds is always text, as the document says.
            Self::Empty(status) => (status, "").into_response(),
            Self::Text(status, text) => (status, text).into_response(),
        }
    }
}

/// The answer to whatever is not there.
pub(super) async fn page_not_found() -> Response {
    (StatusCode::NOT_FOUND, "404 page not found").into_response()
}

/// An error with all its causes, for the log.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}"); // Writing to a string cannot fail.
        cause = error.source();
    }
    text
}
