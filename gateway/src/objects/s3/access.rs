//! Who may do what: one table of all operations. What is not in it is the administrator's.
//!
//! A user without access to a bucket gets the same answer whether it exists or not.

use rusqlite::Connection;
use s3s::access::{S3Access, S3AccessContext};
use s3s::dto::{CopyObjectInput, CopySource, UploadPartCopyInput};
use s3s::path::S3Path;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Result};

use super::auth::Credentials;
use crate::auth::Caller;
use crate::auth::access::{may_change_bucket, may_read_bucket, may_write_bucket};
use crate::objects::{Bucket, ObjectError, buckets};
use crate::store::Store;

/// What an operation asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    /// An account; the operation itself looks closer.
    Account,
    /// To see the bucket.
    Read,
    /// To change what is in it.
    Write,
    /// To own it.
    Own,
    Administrator,
}

/// The table, by the names that S3 has for its operations.
fn needs(operation: &str) -> Needs {
    match operation {
        "ListBuckets" | "CreateBucket" => Needs::Account,
        "HeadBucket"
        | "GetBucketLocation"
        | "GetBucketVersioning"
        | "GetBucketTagging"
        | "GetBucketCors"
        | "GetBucketAcl"
        | "GetBucketEncryption"
        | "GetBucketLifecycleConfiguration"
        | "GetBucketReplication"
        | "GetBucketWebsite"
        | "GetBucketLogging"
        | "GetBucketRequestPayment"
        | "GetBucketAccelerateConfiguration"
        | "GetBucketOwnershipControls"
        | "GetPublicAccessBlock"
        | "GetObjectLockConfiguration"
        | "GetBucketPolicyStatus"
        | "ListObjects"
        | "ListObjectsV2"
        | "ListObjectVersions"
        | "HeadObject"
        | "GetObject"
        | "GetObjectAcl"
        | "GetObjectAttributes"
        | "GetObjectTagging"
        | "GetObjectLegalHold"
        | "GetObjectRetention" => Needs::Read,
        "PutObject"
        | "PostObject"
        | "CopyObject"
        | "DeleteObject"
        | "DeleteObjects"
        | "PutObjectAcl"
        | "PutObjectTagging"
        | "DeleteObjectTagging"
        | "CreateMultipartUpload"
        | "UploadPart"
        | "UploadPartCopy"
        | "CompleteMultipartUpload"
        | "AbortMultipartUpload"
        | "ListMultipartUploads"
        | "ListParts" => Needs::Write,
        "DeleteBucket"
        | "PutBucketAcl"
        | "PutBucketVersioning"
        | "PutBucketOwnershipControls"
        | "PutPublicAccessBlock"
        | "DeletePublicAccessBlock"
        | "PutBucketTagging"
        | "DeleteBucketTagging"
        | "PutBucketCors"
        | "DeleteBucketCors"
        | "GetBucketPolicy"
        | "PutBucketPolicy"
        | "DeleteBucketPolicy"
        | "GetBucketNotificationConfiguration"
        | "PutBucketNotificationConfiguration"
        | "DeleteBucketEncryption"
        | "DeleteBucketLifecycle"
        | "DeleteBucketReplication"
        | "DeleteBucketWebsite"
        | "DeleteBucketOwnershipControls" => Needs::Own,
        _ => Needs::Administrator,
    }
}

/// Decides.
#[derive(Debug, Clone)]
pub(in crate::objects) struct Access {
    pub(in crate::objects) store: Store,
    pub(in crate::objects) credentials: Credentials,
}

impl Access {
    async fn on_bucket(&self, caller: &Caller, name: &str, needs: Needs) -> S3Result<()> {
        if caller.is_administrator() {
            return Ok(());
        }
        let wanted = name.to_owned();
        let find = move |db: &Connection| buckets::get(db, &wanted);
        let bucket: Option<Bucket> = self.store.read::<_, ObjectError>(find).await?;
        let may = match needs {
            Needs::Account | Needs::Read => may_read_bucket,
            Needs::Write => may_write_bucket,
            Needs::Own => may_change_bucket,
            Needs::Administrator => return Err(denied(name)),
        };
        match bucket {
            Some(bucket) if may(caller, &bucket) => Ok(()),
            _ => Err(denied(name)),
        }
    }

    async fn may_copy_from(
        &self,
        extensions: &axum::http::Extensions,
        source: &CopySource,
    ) -> S3Result<()> {
        match (extensions.get::<Caller>(), source) {
            (Some(caller), CopySource::Bucket { bucket, .. }) => {
                self.on_bucket(caller, bucket, Needs::Read).await
            }
            _ => Err(denied("the source")),
        }
    }
}

#[async_trait::async_trait]
impl S3Access for Access {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let Some(credentials) = context.credentials() else {
            let text = "sign the request: there is no anonymous access here";
            return Err(S3Error::with_message(S3ErrorCode::AccessDenied, text));
        };
        let caller = self.credentials.caller(&credentials.access_key);
        let needs = needs(context.s3_op().name());
        match (context.s3_path(), needs) {
            (_, Needs::Account) => (),
            (S3Path::Root, _) if !caller.is_administrator() => return Err(denied("the account")),
            (S3Path::Root, _) => (),
            (S3Path::Bucket { bucket } | S3Path::Object { bucket, .. }, needs) => {
                self.on_bucket(&caller, bucket, needs).await?;
            }
        }
        context.extensions_mut().insert(caller);
        Ok(())
    }

    async fn copy_object(&self, request: &mut S3Request<CopyObjectInput>) -> S3Result<()> {
        self.may_copy_from(&request.extensions, &request.input.copy_source)
            .await
    }

    async fn upload_part_copy(&self, request: &mut S3Request<UploadPartCopyInput>) -> S3Result<()> {
        self.may_copy_from(&request.extensions, &request.input.copy_source)
            .await
    }
}

impl Access {
    /// For what `s3s` does not route: whoever has signed may listen to a bucket that he may read, the administrator
    /// to all.
    pub(super) async fn may_listen(
        &self,
        access_key: Option<&str>,
        bucket: Option<&str>,
    ) -> S3Result<()> {
        let Some(access_key) = access_key else {
            let text = "sign the request: there is no anonymous access here";
            return Err(S3Error::with_message(S3ErrorCode::AccessDenied, text));
        };
        let caller = self.credentials.caller(access_key);
        match bucket {
            Some(bucket) => self.on_bucket(&caller, bucket, Needs::Read).await,
            None if caller.is_administrator() => Ok(()),
            None => Err(denied("all buckets")),
        }
    }
}

/// Who calls, after [`Access`] has let him pass.
pub(super) fn caller<T>(request: &S3Request<T>) -> S3Result<Caller> {
    let caller = request.extensions.get::<Caller>().cloned();
    caller.ok_or_else(|| denied("the account"))
}

fn denied(what: &str) -> S3Error {
    let text = format!("your access key has no right to do this with {what}");
    S3Error::with_message(S3ErrorCode::AccessDenied, text)
}

#[cfg(test)]
mod tests;
