//! Operations on buckets.

use rusqlite::Connection;
use s3s::dto::{
    self, CreateBucketInput, CreateBucketOutput, DeleteBucketInput, DeleteBucketOutput,
    GetBucketLocationInput, GetBucketLocationOutput, GetBucketVersioningInput,
    GetBucketVersioningOutput, HeadBucketInput, HeadBucketOutput, ListBucketsInput,
    ListBucketsOutput,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

use super::list::owner;
use super::request::timestamp;
use super::{Server, access, acl};
use crate::auth::access::{may_change_bucket, may_read_bucket};
use crate::objects::buckets::{self, Bucket};
use crate::objects::rows::require_bucket;
use crate::objects::{ObjectError, quotas};

pub(super) async fn create(
    server: &Server,
    request: S3Request<CreateBucketInput>,
) -> S3Result<S3Response<CreateBucketOutput>> {
    let caller = access::caller(&request)?;
    let input = request.input;
    acl::refuse(
        input.acl.as_ref().map(dto::BucketCannedACL::as_str),
        [
            input.grant_full_control.as_ref(),
            input.grant_read.as_ref(),
            input.grant_read_acp.as_ref(),
            input.grant_write.as_ref(),
            input.grant_write_acp.as_ref(),
        ],
    )?;
    if input.object_lock_enabled_for_bucket == Some(true) {
        let text = "objects cannot be locked here: make the bucket without object lock";
        return Err(S3Error::with_message(S3ErrorCode::NotImplemented, text));
    }
    let name = input.bucket;
    let location = format!("/{name}");
    let uid = caller.uid().unwrap_or_default().to_owned();
    let bucket = Bucket::private(name, &caller, &server.settings.cluster);
    let create = move |db: &Connection| {
        if let Some(there) = buckets::get(db, &bucket.name)? {
            return Ok(Some(there));
        }
        quotas::check_buckets(db, &uid)?;
        buckets::create(db, &bucket)?;
        Ok::<_, ObjectError>(None)
    };
    match server.store.write(create).await? {
        None => (),
        Some(there) if may_change_bucket(&caller, &there) => {
            return Err(ObjectError::BucketExists(there.name).into());
        }
        Some(_) => {
            let text = "the name is taken; choose another one";
            return Err(S3Error::with_message(
                S3ErrorCode::BucketAlreadyExists,
                text,
            ));
        }
    }
    Ok(S3Response::new(CreateBucketOutput {
        location: Some(location),
    }))
}

pub(super) async fn delete(
    server: &Server,
    request: S3Request<DeleteBucketInput>,
) -> S3Result<S3Response<DeleteBucketOutput>> {
    server
        .store
        .write(move |db| buckets::delete_empty(db, &request.input.bucket))
        .await?;
    Ok(S3Response::new(DeleteBucketOutput::default()))
}

pub(super) async fn head(
    server: &Server,
    request: S3Request<HeadBucketInput>,
) -> S3Result<S3Response<HeadBucketOutput>> {
    server
        .store
        .read(move |db| require_bucket(db, &request.input.bucket))
        .await?;
    Ok(S3Response::new(HeadBucketOutput::default()))
}

pub(super) async fn list(
    server: &Server,
    request: S3Request<ListBucketsInput>,
) -> S3Result<S3Response<ListBucketsOutput>> {
    let caller = access::caller(&request)?;
    let prefix = request.input.prefix.unwrap_or_default();
    let all = server.store.read(buckets::list_with_times).await?;
    let shown = all
        .into_iter()
        .filter(|(bucket, _)| bucket.name.starts_with(&prefix) && may_read_bucket(&caller, bucket))
        .map(|(bucket, created)| dto::Bucket {
            name: Some(bucket.name),
            creation_date: Some(timestamp(created)),
            ..dto::Bucket::default()
        });
    Ok(S3Response::new(ListBucketsOutput {
        buckets: Some(shown.collect()),
        owner: Some(owner()),
        ..ListBucketsOutput::default()
    }))
}

/// Any region will do; this answer stands for the default one.
pub(super) async fn location(
    server: &Server,
    request: S3Request<GetBucketLocationInput>,
) -> S3Result<S3Response<GetBucketLocationOutput>> {
    server
        .store
        .read(move |db| require_bucket(db, &request.input.bucket))
        .await?;
    Ok(S3Response::new(GetBucketLocationOutput::default()))
}

/// No status: versioning was never switched on.
pub(super) async fn versioning(
    server: &Server,
    request: S3Request<GetBucketVersioningInput>,
) -> S3Result<S3Response<GetBucketVersioningOutput>> {
    server
        .store
        .read(move |db| require_bucket(db, &request.input.bucket))
        .await?;
    Ok(S3Response::new(GetBucketVersioningOutput::default()))
}
