//! What buckets do not have, in the words that clients expect of a bucket where nobody has set it.

use rusqlite::Connection;
use s3s::dto;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

use super::Server;
use crate::objects::{ObjectError, rows};

async fn exists(server: &Server, bucket: String) -> Result<(), ObjectError> {
    let find = move |db: &Connection| rows::require_bucket(db, &bucket);
    server.store.read(find).await
}

fn missing<T>(code: S3ErrorCode) -> S3Result<T> {
    let mut error = S3Error::with_message(code, "it is not configured");
    error.set_status_code(axum::http::StatusCode::NOT_FOUND);
    Err(error)
}

fn not_here(what: &str) -> S3Error {
    let text = format!("{what} is not available here");
    S3Error::with_message(S3ErrorCode::NotImplemented, text)
}

/// Reading what is not there: 404 with a code of its own.
macro_rules! absent {
    ($($name:ident($input:ident) -> $output:ident: $code:expr;)*) => {
        $(pub(super) async fn $name(
            server: &Server,
            request: S3Request<dto::$input>,
        ) -> S3Result<S3Response<dto::$output>> {
            exists(server, request.input.bucket).await?;
            missing($code)
        })*
    };
}

absent! {
    lifecycle(GetBucketLifecycleConfigurationInput) -> GetBucketLifecycleConfigurationOutput:
        S3ErrorCode::NoSuchLifecycleConfiguration;
    encryption(GetBucketEncryptionInput) -> GetBucketEncryptionOutput:
        S3ErrorCode::ServerSideEncryptionConfigurationNotFoundError;
    replication(GetBucketReplicationInput) -> GetBucketReplicationOutput:
        S3ErrorCode::ReplicationConfigurationNotFoundError;
    website(GetBucketWebsiteInput) -> GetBucketWebsiteOutput: S3ErrorCode::NoSuchWebsiteConfiguration;
    object_lock(GetObjectLockConfigurationInput) -> GetObjectLockConfigurationOutput:
        S3ErrorCode::ObjectLockConfigurationNotFoundError;
    legal_hold(GetObjectLegalHoldInput) -> GetObjectLegalHoldOutput: S3ErrorCode::NoSuchObjectLockConfiguration;
    retention(GetObjectRetentionInput) -> GetObjectRetentionOutput: S3ErrorCode::NoSuchObjectLockConfiguration;
}

/// Reading what holds everywhere, and deleting what is not there: plain success.
macro_rules! plain {
    ($($name:ident($input:ident) -> $output:ident: $value:expr;)*) => {
        $(pub(super) async fn $name(
            server: &Server,
            request: S3Request<dto::$input>,
        ) -> S3Result<S3Response<dto::$output>> {
            exists(server, request.input.bucket).await?;
            Ok(S3Response::new($value))
        })*
    };
}

plain! {
    delete_lifecycle(DeleteBucketLifecycleInput) -> DeleteBucketLifecycleOutput:
        dto::DeleteBucketLifecycleOutput::default();
    delete_encryption(DeleteBucketEncryptionInput) -> DeleteBucketEncryptionOutput:
        dto::DeleteBucketEncryptionOutput::default();
    delete_replication(DeleteBucketReplicationInput) -> DeleteBucketReplicationOutput:
        dto::DeleteBucketReplicationOutput::default();
    delete_website(DeleteBucketWebsiteInput) -> DeleteBucketWebsiteOutput: dto::DeleteBucketWebsiteOutput::default();
    logging(GetBucketLoggingInput) -> GetBucketLoggingOutput: dto::GetBucketLoggingOutput::default();
    acceleration(GetBucketAccelerateConfigurationInput) -> GetBucketAccelerateConfigurationOutput:
        dto::GetBucketAccelerateConfigurationOutput::default();
    payer(GetBucketRequestPaymentInput) -> GetBucketRequestPaymentOutput: dto::GetBucketRequestPaymentOutput {
        payer: Some(dto::Payer::from_static(dto::Payer::BUCKET_OWNER)),
    };
    ownership(GetBucketOwnershipControlsInput) -> GetBucketOwnershipControlsOutput:
        dto::GetBucketOwnershipControlsOutput {
            ownership_controls: Some(dto::OwnershipControls {
                rules: vec![dto::OwnershipControlsRule {
                    object_ownership: dto::ObjectOwnership::from_static(
                        dto::ObjectOwnership::BUCKET_OWNER_ENFORCED,
                    ),
                }],
            }),
        };
    public_block(GetPublicAccessBlockInput) -> GetPublicAccessBlockOutput: dto::GetPublicAccessBlockOutput {
        public_access_block_configuration: Some(dto::PublicAccessBlockConfiguration {
            block_public_acls: Some(true),
            block_public_policy: Some(true),
            ignore_public_acls: Some(true),
            restrict_public_buckets: Some(true),
        }),
    };
}

/// Versions are not kept; saying so is fine, asking for them is not.
pub(super) async fn put_versioning(
    server: &Server,
    request: S3Request<dto::PutBucketVersioningInput>,
) -> S3Result<S3Response<dto::PutBucketVersioningOutput>> {
    exists(server, request.input.bucket).await?;
    let status = request.input.versioning_configuration.status;
    if status.is_some_and(|status| status.as_str() != dto::BucketVersioningStatus::SUSPENDED) {
        return Err(not_here("keeping old versions of objects"));
    }
    Ok(S3Response::new(dto::PutBucketVersioningOutput::default()))
}

/// Anonymous access is always blocked.
pub(super) async fn put_public_block(
    server: &Server,
    request: S3Request<dto::PutPublicAccessBlockInput>,
) -> S3Result<S3Response<dto::PutPublicAccessBlockOutput>> {
    exists(server, request.input.bucket).await?;
    let wanted = request.input.public_access_block_configuration;
    let all = [
        wanted.block_public_acls,
        wanted.block_public_policy,
        wanted.ignore_public_acls,
        wanted.restrict_public_buckets,
    ];
    if all.contains(&Some(false)) {
        return Err(not_here("anonymous access"));
    }
    Ok(S3Response::new(dto::PutPublicAccessBlockOutput::default()))
}

/// Everything belongs to the bucket's owner.
pub(super) async fn put_ownership(
    server: &Server,
    request: S3Request<dto::PutBucketOwnershipControlsInput>,
) -> S3Result<S3Response<dto::PutBucketOwnershipControlsOutput>> {
    exists(server, request.input.bucket).await?;
    let enforced = dto::ObjectOwnership::BUCKET_OWNER_ENFORCED;
    let rules = request.input.ownership_controls.rules;
    if rules
        .iter()
        .any(|rule| rule.object_ownership.as_str() != enforced)
    {
        return Err(not_here("an owner of objects other than the bucket's"));
    }
    Ok(S3Response::new(
        dto::PutBucketOwnershipControlsOutput::default(),
    ))
}
