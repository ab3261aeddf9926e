//! The S3 protocol: `s3s` parses, verifies and writes, we act.
//!
//! One file a group of operations. What is not listed here answers `NotImplemented` (501).

mod access;
mod auth;
mod buckets;
mod copy;
mod errors;
mod get;
mod list;
mod multipart;
mod put;
mod request;

use axum::http::Method;
use rusqlite::Connection;
use s3s::{S3, S3Request, S3Response, S3Result, dto};
use tokio_util::task::TaskTracker;

use super::{Blobs, Effects, NewBlob, ObjectError, Settings};
use crate::queue::Queue;
use crate::store::Store;

pub(super) use access::Access;
pub use auth::Credentials;

/// The backend behind `s3s`.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) store: Store,
    pub(super) blobs: Blobs,
    pub(super) queue: Queue,
    pub(super) settings: Settings,
    pub(super) publishing: TaskTracker,
}

impl Server {
    /// Commits a change that may bring a blob and jobs; then keeps the blob's file and announces the jobs. What was
    /// begun is ended even when the client goes away and its request is dropped: a commit whose jobs nobody
    /// announces would leave them lying.
    async fn publish<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection, &Queue) -> Result<(T, Option<NewBlob>, Effects), ObjectError>
        + Send
        + 'static,
    ) -> Result<T, ObjectError> {
        let (store, queue) = (self.store.clone(), self.queue.clone());
        let publishing = self.publishing.spawn(async move {
            let inside = queue.clone();
            let (answer, blob, effects) = store.write(move |db| change(db, &inside)).await?;
            if let Some(blob) = blob {
                blob.keep();
            }
            effects.announce(&queue);
            Ok(answer)
        });
        publishing.await.unwrap_or(Err(ObjectError::Stopping))
    }
}

#[async_trait::async_trait]
impl S3 for Server {
    async fn create_bucket(
        &self,
        request: S3Request<dto::CreateBucketInput>,
    ) -> S3Result<S3Response<dto::CreateBucketOutput>> {
        buckets::create(self, request).await
    }

    async fn delete_bucket(
        &self,
        request: S3Request<dto::DeleteBucketInput>,
    ) -> S3Result<S3Response<dto::DeleteBucketOutput>> {
        buckets::delete(self, request).await
    }

    async fn head_bucket(
        &self,
        request: S3Request<dto::HeadBucketInput>,
    ) -> S3Result<S3Response<dto::HeadBucketOutput>> {
        buckets::head(self, request).await
    }

    async fn list_buckets(
        &self,
        request: S3Request<dto::ListBucketsInput>,
    ) -> S3Result<S3Response<dto::ListBucketsOutput>> {
        buckets::list(self, request).await
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<dto::GetBucketLocationInput>,
    ) -> S3Result<S3Response<dto::GetBucketLocationOutput>> {
        buckets::location(self, request).await
    }

    async fn get_bucket_versioning(
        &self,
        request: S3Request<dto::GetBucketVersioningInput>,
    ) -> S3Result<S3Response<dto::GetBucketVersioningOutput>> {
        buckets::versioning(self, request).await
    }

    async fn get_object(
        &self,
        request: S3Request<dto::GetObjectInput>,
    ) -> S3Result<S3Response<dto::GetObjectOutput>> {
        get::get(self, request).await
    }

    async fn head_object(
        &self,
        request: S3Request<dto::HeadObjectInput>,
    ) -> S3Result<S3Response<dto::HeadObjectOutput>> {
        get::head(self, request).await
    }

    async fn copy_object(
        &self,
        request: S3Request<dto::CopyObjectInput>,
    ) -> S3Result<S3Response<dto::CopyObjectOutput>> {
        copy::copy(self, request).await
    }

    async fn delete_object(
        &self,
        request: S3Request<dto::DeleteObjectInput>,
    ) -> S3Result<S3Response<dto::DeleteObjectOutput>> {
        put::delete(self, request).await
    }

    async fn delete_objects(
        &self,
        request: S3Request<dto::DeleteObjectsInput>,
    ) -> S3Result<S3Response<dto::DeleteObjectsOutput>> {
        put::delete_all(self, request).await
    }

    async fn list_objects(
        &self,
        request: S3Request<dto::ListObjectsInput>,
    ) -> S3Result<S3Response<dto::ListObjectsOutput>> {
        list::objects(self, request).await
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<dto::ListObjectsV2Input>,
    ) -> S3Result<S3Response<dto::ListObjectsV2Output>> {
        list::objects_v2(self, request).await
    }

    async fn list_parts(
        &self,
        request: S3Request<dto::ListPartsInput>,
    ) -> S3Result<S3Response<dto::ListPartsOutput>> {
        list::parts(self, request).await
    }

    async fn list_multipart_uploads(
        &self,
        request: S3Request<dto::ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<dto::ListMultipartUploadsOutput>> {
        list::uploads(self, request).await
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<dto::CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<dto::CreateMultipartUploadOutput>> {
        multipart::create(self, request).await
    }

    async fn upload_part(
        &self,
        request: S3Request<dto::UploadPartInput>,
    ) -> S3Result<S3Response<dto::UploadPartOutput>> {
        multipart::upload_part(self, request).await
    }

    async fn upload_part_copy(
        &self,
        request: S3Request<dto::UploadPartCopyInput>,
    ) -> S3Result<S3Response<dto::UploadPartCopyOutput>> {
        multipart::upload_part_copy(self, request).await
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<dto::CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<dto::CompleteMultipartUploadOutput>> {
        multipart::complete(self, request).await
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<dto::AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<dto::AbortMultipartUploadOutput>> {
        multipart::abort(self, request).await
    }

    async fn put_object(
        &self,
        request: S3Request<dto::PutObjectInput>,
    ) -> S3Result<S3Response<dto::PutObjectOutput>> {
        // A form upload comes here by way of `post_object`, whose default this is.
        let event = if request.method == Method::POST {
            "s3:ObjectCreated:Post"
        } else {
            "s3:ObjectCreated:Put"
        };
        put::put(self, request, event).await
    }
}
