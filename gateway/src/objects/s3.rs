//! The S3 protocol: `s3s` parses, verifies and writes, we act.
//!
//! One file a group of operations. What is not listed here answers `NotImplemented` (501).

mod access;
mod acl;
mod attributes;
mod auth;
mod buckets;
mod checksums;
mod complete;
mod copy;
mod cors;
mod delete;
mod errors;
mod get;
mod list;
mod listen;
mod multipart;
mod notification;
mod policy;
mod put;
mod request;
mod tagging;
mod unset;

use rusqlite::Connection;
use s3s::{S3, S3Request, S3Response, S3Result, dto};
use tokio_util::task::TaskTracker;

use super::{Blobs, Effects, NewBlob, ObjectError, Settings};
use crate::queue::Queue;
use crate::store::Store;

pub(super) use access::Access;
pub use auth::Credentials;
pub(super) use listen::Listen;

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

/// The operations and who carries them out. A macro, because the trait wants a method of three lines for each.
macro_rules! operations {
    ($($method:ident($input:ident) -> $output:ident: $handler:path;)*) => {
        #[async_trait::async_trait]
        impl S3 for Server {
            $(async fn $method(
                &self,
                request: S3Request<dto::$input>,
            ) -> S3Result<S3Response<dto::$output>> {
                $handler(self, request).await
            })*
        }
    };
}

operations! {
    create_bucket(CreateBucketInput) -> CreateBucketOutput: buckets::create;
    delete_bucket(DeleteBucketInput) -> DeleteBucketOutput: buckets::delete;
    head_bucket(HeadBucketInput) -> HeadBucketOutput: buckets::head;
    list_buckets(ListBucketsInput) -> ListBucketsOutput: buckets::list;
    get_bucket_location(GetBucketLocationInput) -> GetBucketLocationOutput: buckets::location;
    get_bucket_versioning(GetBucketVersioningInput) -> GetBucketVersioningOutput:
        buckets::versioning;
    put_bucket_versioning(PutBucketVersioningInput) -> PutBucketVersioningOutput:
        unset::put_versioning;
    get_bucket_tagging(GetBucketTaggingInput) -> GetBucketTaggingOutput: tagging::get_bucket;
    put_bucket_tagging(PutBucketTaggingInput) -> PutBucketTaggingOutput: tagging::put_bucket;
    delete_bucket_tagging(DeleteBucketTaggingInput) -> DeleteBucketTaggingOutput:
        tagging::delete_bucket;
    get_bucket_policy(GetBucketPolicyInput) -> GetBucketPolicyOutput: policy::get;
    put_bucket_policy(PutBucketPolicyInput) -> PutBucketPolicyOutput: policy::put;
    delete_bucket_policy(DeleteBucketPolicyInput) -> DeleteBucketPolicyOutput: policy::delete;
    get_bucket_policy_status(GetBucketPolicyStatusInput) -> GetBucketPolicyStatusOutput:
        policy::status;
    get_bucket_cors(GetBucketCorsInput) -> GetBucketCorsOutput: cors::get;
    put_bucket_cors(PutBucketCorsInput) -> PutBucketCorsOutput: cors::put;
    delete_bucket_cors(DeleteBucketCorsInput) -> DeleteBucketCorsOutput: cors::delete;
    get_bucket_notification_configuration(GetBucketNotificationConfigurationInput) -> GetBucketNotificationConfigurationOutput:
        notification::get;
    put_bucket_notification_configuration(PutBucketNotificationConfigurationInput) -> PutBucketNotificationConfigurationOutput:
        notification::put;
    get_bucket_acl(GetBucketAclInput) -> GetBucketAclOutput: acl::get_bucket;
    put_bucket_acl(PutBucketAclInput) -> PutBucketAclOutput: acl::put_bucket;
    get_object_acl(GetObjectAclInput) -> GetObjectAclOutput: acl::get_object;
    put_object_acl(PutObjectAclInput) -> PutObjectAclOutput: acl::put_object;
    get_bucket_lifecycle_configuration(GetBucketLifecycleConfigurationInput) -> GetBucketLifecycleConfigurationOutput:
        unset::lifecycle;
    delete_bucket_lifecycle(DeleteBucketLifecycleInput) -> DeleteBucketLifecycleOutput:
        unset::delete_lifecycle;
    get_bucket_encryption(GetBucketEncryptionInput) -> GetBucketEncryptionOutput: unset::encryption;
    delete_bucket_encryption(DeleteBucketEncryptionInput) -> DeleteBucketEncryptionOutput:
        unset::delete_encryption;
    get_bucket_replication(GetBucketReplicationInput) -> GetBucketReplicationOutput:
        unset::replication;
    delete_bucket_replication(DeleteBucketReplicationInput) -> DeleteBucketReplicationOutput:
        unset::delete_replication;
    get_bucket_website(GetBucketWebsiteInput) -> GetBucketWebsiteOutput: unset::website;
    delete_bucket_website(DeleteBucketWebsiteInput) -> DeleteBucketWebsiteOutput:
        unset::delete_website;
    get_object_lock_configuration(GetObjectLockConfigurationInput) -> GetObjectLockConfigurationOutput:
        unset::object_lock;
    get_object_legal_hold(GetObjectLegalHoldInput) -> GetObjectLegalHoldOutput: unset::legal_hold;
    get_object_retention(GetObjectRetentionInput) -> GetObjectRetentionOutput: unset::retention;
    get_bucket_logging(GetBucketLoggingInput) -> GetBucketLoggingOutput: unset::logging;
    get_bucket_accelerate_configuration(GetBucketAccelerateConfigurationInput) -> GetBucketAccelerateConfigurationOutput:
        unset::acceleration;
    get_bucket_request_payment(GetBucketRequestPaymentInput) -> GetBucketRequestPaymentOutput:
        unset::payer;
    get_bucket_ownership_controls(GetBucketOwnershipControlsInput) -> GetBucketOwnershipControlsOutput:
        unset::ownership;
    put_bucket_ownership_controls(PutBucketOwnershipControlsInput) -> PutBucketOwnershipControlsOutput:
        unset::put_ownership;
    get_public_access_block(GetPublicAccessBlockInput) -> GetPublicAccessBlockOutput:
        unset::public_block;
    put_public_access_block(PutPublicAccessBlockInput) -> PutPublicAccessBlockOutput:
        unset::put_public_block;
    get_object(GetObjectInput) -> GetObjectOutput: get::get;
    head_object(HeadObjectInput) -> HeadObjectOutput: get::head;
    get_object_attributes(GetObjectAttributesInput) -> GetObjectAttributesOutput:
        attributes::attributes;
    get_object_tagging(GetObjectTaggingInput) -> GetObjectTaggingOutput: tagging::get_object;
    put_object_tagging(PutObjectTaggingInput) -> PutObjectTaggingOutput: tagging::put_object;
    delete_object_tagging(DeleteObjectTaggingInput) -> DeleteObjectTaggingOutput:
        tagging::delete_object;
    put_object(PutObjectInput) -> PutObjectOutput: put::put;
    copy_object(CopyObjectInput) -> CopyObjectOutput: copy::copy;
    delete_object(DeleteObjectInput) -> DeleteObjectOutput: delete::one;
    delete_objects(DeleteObjectsInput) -> DeleteObjectsOutput: delete::many;
    list_objects(ListObjectsInput) -> ListObjectsOutput: list::objects;
    list_objects_v2(ListObjectsV2Input) -> ListObjectsV2Output: list::objects_v2;
    list_object_versions(ListObjectVersionsInput) -> ListObjectVersionsOutput: attributes::versions;
    list_parts(ListPartsInput) -> ListPartsOutput: list::parts;
    list_multipart_uploads(ListMultipartUploadsInput) -> ListMultipartUploadsOutput: list::uploads;
    create_multipart_upload(CreateMultipartUploadInput) -> CreateMultipartUploadOutput:
        multipart::create;
    upload_part(UploadPartInput) -> UploadPartOutput: multipart::upload_part;
    upload_part_copy(UploadPartCopyInput) -> UploadPartCopyOutput: multipart::upload_part_copy;
    complete_multipart_upload(CompleteMultipartUploadInput) -> CompleteMultipartUploadOutput:
        complete::complete;
    abort_multipart_upload(AbortMultipartUploadInput) -> AbortMultipartUploadOutput:
        multipart::abort;
}
