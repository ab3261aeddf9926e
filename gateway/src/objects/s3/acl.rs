//! Access control lists: there are none. Everything belongs to the bucket's owner; who else sees a bucket is its
//! visibility, which the API sets. A list that says just that is accepted, any other refused.

use s3s::dto::{
    AccessControlPolicy, BucketCannedACL, GetBucketAclInput, GetBucketAclOutput, GetObjectAclInput,
    GetObjectAclOutput, Grant, Grantee, ObjectCannedACL, Owner, Permission, PutBucketAclInput,
    PutBucketAclOutput, PutObjectAclInput, PutObjectAclOutput, Type,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

use super::Server;
use super::get::refuse_versions;
use super::list::owner_of;
use crate::objects::{buckets, rows};

/// What clients call a list that gives the owner everything and others nothing.
const PRIVATE: [&str; 3] = ["private", "bucket-owner-full-control", "bucket-owner-read"];

/// Refuses what a canned list or the `x-amz-grant-…` headers would give to others.
pub(super) fn refuse<'a>(
    canned: Option<&str>,
    grants: impl IntoIterator<Item = Option<&'a String>>,
) -> S3Result<()> {
    let grants_any = grants.into_iter().flatten().next().is_some();
    if !grants_any && canned.is_none_or(|canned| PRIVATE.contains(&canned)) {
        return Ok(());
    }
    Err(not_supported())
}

fn not_supported() -> S3Error {
    let text = "access control lists give nothing to others here: set the bucket's visibility to public or restricted \
                with PUT /system/buckets";
    S3Error::with_message(S3ErrorCode::AccessControlListNotSupported, text)
}

fn full_control(owner: &Owner) -> Vec<Grant> {
    vec![Grant {
        grantee: Some(Grantee {
            display_name: owner.display_name.clone(),
            email_address: None,
            id: owner.id.clone(),
            type_: Type::from_static(Type::CANONICAL_USER),
            uri: None,
        }),
        permission: Some(Permission::from_static(Permission::FULL_CONTROL)),
    }]
}

/// A list that says what holds anyway.
fn check_policy(policy: Option<AccessControlPolicy>, owner: &Owner) -> S3Result<()> {
    let grants = policy.and_then(|policy| policy.grants).unwrap_or_default();
    let is_owners = |grant: &Grant| {
        grant
            .grantee
            .as_ref()
            .is_some_and(|grantee| grantee.id.is_some() && grantee.id == owner.id)
    };
    if grants.iter().all(is_owners) {
        Ok(())
    } else {
        Err(not_supported())
    }
}

pub(super) async fn get_bucket(
    server: &Server,
    request: S3Request<GetBucketAclInput>,
) -> S3Result<S3Response<GetBucketAclOutput>> {
    let owner = bucket_owner(server, request.input.bucket).await?;
    Ok(S3Response::new(GetBucketAclOutput {
        grants: Some(full_control(&owner)),
        owner: Some(owner),
    }))
}

pub(super) async fn put_bucket(
    server: &Server,
    request: S3Request<PutBucketAclInput>,
) -> S3Result<S3Response<PutBucketAclOutput>> {
    let input = request.input;
    let owner = bucket_owner(server, input.bucket).await?;
    refuse(
        input.acl.as_ref().map(BucketCannedACL::as_str),
        [
            input.grant_full_control.as_ref(),
            input.grant_read.as_ref(),
            input.grant_read_acp.as_ref(),
            input.grant_write.as_ref(),
            input.grant_write_acp.as_ref(),
        ],
    )?;
    check_policy(input.access_control_policy, &owner)?;
    Ok(S3Response::new(PutBucketAclOutput::default()))
}

pub(super) async fn get_object(
    server: &Server,
    request: S3Request<GetObjectAclInput>,
) -> S3Result<S3Response<GetObjectAclOutput>> {
    let input = request.input;
    refuse_versions(input.version_id.as_deref())?;
    let owner = object_owner(server, input.bucket, input.key).await?;
    Ok(S3Response::new(GetObjectAclOutput {
        grants: Some(full_control(&owner)),
        owner: Some(owner),
        ..GetObjectAclOutput::default()
    }))
}

pub(super) async fn put_object(
    server: &Server,
    request: S3Request<PutObjectAclInput>,
) -> S3Result<S3Response<PutObjectAclOutput>> {
    let input = request.input;
    refuse_versions(input.version_id.as_deref())?;
    let owner = object_owner(server, input.bucket, input.key).await?;
    refuse(
        input.acl.as_ref().map(ObjectCannedACL::as_str),
        [
            input.grant_full_control.as_ref(),
            input.grant_read.as_ref(),
            input.grant_read_acp.as_ref(),
            input.grant_write.as_ref(),
            input.grant_write_acp.as_ref(),
        ],
    )?;
    check_policy(input.access_control_policy, &owner)?;
    Ok(S3Response::new(PutObjectAclOutput::default()))
}

async fn bucket_owner(server: &Server, name: String) -> S3Result<Owner> {
    let bucket = server
        .store
        .read(move |db| buckets::require(db, &name))
        .await?;
    Ok(owner_of(&bucket.owner))
}

async fn object_owner(server: &Server, bucket: String, key: String) -> S3Result<Owner> {
    let bucket = server
        .store
        .read(move |db| {
            rows::get(db, &bucket, &key)?;
            buckets::require(db, &bucket)
        })
        .await?;
    Ok(owner_of(&bucket.owner))
}
