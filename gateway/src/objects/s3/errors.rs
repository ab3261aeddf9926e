//! Our errors in S3's words. The only place that knows both.

use axum::http::StatusCode;
use s3s::{S3Error, S3ErrorCode};
use tracing::error;

use crate::objects::{ObjectError, chunks};

/// What clients of `MinIO` know a full disk as.
const STORAGE_FULL: &str = "XMinioStorageFull";

/// A user's quota; S3 itself has none and so no word for it.
const QUOTA_EXCEEDED: &str = "QuotaExceeded";

impl From<ObjectError> for S3Error {
    fn from(error: ObjectError) -> Self {
        let code = match &error {
            ObjectError::NoSuchBucket(_) => S3ErrorCode::NoSuchBucket,
            ObjectError::BucketExists(_) => S3ErrorCode::BucketAlreadyOwnedByYou,
            ObjectError::BucketNotEmpty(_) => S3ErrorCode::BucketNotEmpty,
            ObjectError::BucketName { .. } => S3ErrorCode::InvalidBucketName,
            ObjectError::Key { key, .. } if key.len() > crate::objects::MAX_KEY => {
                S3ErrorCode::KeyTooLongError
            }
            ObjectError::Key { .. } => S3ErrorCode::InvalidArgument,
            ObjectError::NoSuchKey { .. } | ObjectError::NoSuchBlob(_) => S3ErrorCode::NoSuchKey,
            ObjectError::NoSuchUpload(_) => S3ErrorCode::NoSuchUpload,
            ObjectError::Part { .. } => S3ErrorCode::InvalidPart,
            ObjectError::PartTooSmall { .. } => S3ErrorCode::EntityTooSmall,
            ObjectError::PartOrder(_) => S3ErrorCode::InvalidPartOrder,
            ObjectError::TooManyUploads(_) | ObjectError::TooManyJobs(_) => S3ErrorCode::SlowDown,
            ObjectError::Precondition(_) => S3ErrorCode::PreconditionFailed,
            ObjectError::TooLarge(_) => S3ErrorCode::EntityTooLarge,
            ObjectError::Receive(text) => of_stream(text),
            ObjectError::Digest { .. } => S3ErrorCode::BadDigest,
            ObjectError::Length { .. } => S3ErrorCode::IncompleteBody,
            ObjectError::BucketQuota { .. } | ObjectError::StorageQuota { .. } => {
                S3ErrorCode::Custom(QUOTA_EXCEEDED.into())
            }
            ObjectError::StorageFull { .. } | ObjectError::DiskFull => {
                S3ErrorCode::Custom(STORAGE_FULL.into())
            }
            ObjectError::Stopping => S3ErrorCode::ServiceUnavailable,
            ObjectError::File { .. } | ObjectError::Store(_) => S3ErrorCode::InternalError,
        };
        if code == S3ErrorCode::InternalError {
            error!(error = %chain(&error), "a request to the object store failed");
            return Self::with_message(code, "the object store failed; its log says why");
        }
        // Codes that `s3s` has no name for have no status either.
        let status = match &code {
            S3ErrorCode::Custom(name) if &**name == STORAGE_FULL => {
                Some(StatusCode::INSUFFICIENT_STORAGE)
            }
            S3ErrorCode::Custom(name) if &**name == QUOTA_EXCEEDED => Some(StatusCode::FORBIDDEN),
            S3ErrorCode::Custom(_) => Some(StatusCode::BAD_REQUEST),
            _ => None,
        };
        let mut answer = Self::with_message(code, error.to_string());
        if let Some(status) = status {
            answer.set_status_code(status);
        }
        answer
    }
}

/// Why a stream of `s3s` broke off. Its error types are private, so their texts have to do; whatever is not
/// recognised is a client that went away.
fn of_stream(text: &str) -> S3ErrorCode {
    if text.contains("SignatureMismatch") {
        S3ErrorCode::SignatureDoesNotMatch
    } else if text.contains("Sha256Mismatch") {
        S3ErrorCode::Custom("XAmzContentSHA256Mismatch".into())
    } else if text.contains(chunks::TOO_LARGE)
        || text.contains("FormatError")
        || text.contains("trailer")
        || text.contains("Trailer")
    {
        S3ErrorCode::InvalidRequest
    } else {
        S3ErrorCode::IncompleteBody
    }
}

/// An error with all its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}
