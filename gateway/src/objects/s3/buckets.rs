//! Operations on buckets.

use s3s::dto::{
    self, CreateBucketInput, CreateBucketOutput, DeleteBucketInput, DeleteBucketOutput,
    GetBucketLocationInput, GetBucketLocationOutput, GetBucketVersioningInput,
    GetBucketVersioningOutput, HeadBucketInput, HeadBucketOutput, ListBucketsInput,
    ListBucketsOutput,
};
use s3s::{S3Request, S3Response, S3Result};

use super::Server;
use super::list::owner;
use super::request::timestamp;
use crate::objects::buckets::{self, Bucket};
use crate::objects::rows::require_bucket;

pub(super) async fn create(
    server: &Server,
    request: S3Request<CreateBucketInput>,
) -> S3Result<S3Response<CreateBucketOutput>> {
    let name = request.input.bucket;
    let location = format!("/{name}");
    let bucket = Bucket {
        name,
        visibility: "private".to_owned(),
        ..Bucket::default()
    };
    server
        .store
        .write(move |db| buckets::create(db, &bucket))
        .await?;
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
    let prefix = request.input.prefix.unwrap_or_default();
    let all = server.store.read(buckets::times).await?;
    let shown = all
        .into_iter()
        .filter(|(name, _)| name.starts_with(&prefix))
        .map(|(name, created)| dto::Bucket {
            name: Some(name),
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
