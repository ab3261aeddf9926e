//! `GetObjectAttributes` and `ListObjectVersions`: each object has one version, called "null".

use s3s::dto::{
    Checksum, GetObjectAttributesInput, GetObjectAttributesOutput, GetObjectAttributesParts,
    ListObjectVersionsInput, ListObjectVersionsOutput, ObjectVersion, ObjectVersionStorageClass,
    StorageClass,
};
use s3s::{S3Request, S3Response, S3Result};

use super::Server;
use super::get::{checksum_type, refuse_versions};
use super::list::{Keys, owner, page_size};
use super::request::{self, timestamp};
use crate::objects::blobs::signed;
use crate::objects::listing::Listing;
use crate::objects::{Object, rows};

pub(super) async fn attributes(
    server: &Server,
    request: S3Request<GetObjectAttributesInput>,
) -> S3Result<S3Response<GetObjectAttributesOutput>> {
    let input = request.input;
    refuse_versions(input.version_id.as_deref())?;
    let object = server
        .store
        .read(move |db| rows::get(db, &input.bucket, &input.key))
        .await?;
    let wants = |name: &str| {
        input
            .object_attributes
            .iter()
            .flat_map(|wanted| wanted.as_str().split(','))
            .any(|wanted| wanted.trim().eq_ignore_ascii_case(name))
    };
    let parts = object
        .etag
        .split_once('-')
        .and_then(|(_, parts)| parts.parse().ok())
        .map(|parts| GetObjectAttributesParts {
            total_parts_count: Some(parts),
            ..GetObjectAttributesParts::default()
        });
    Ok(S3Response::new(GetObjectAttributesOutput {
        e_tag: wants("ETag").then(|| request::etag(&object.etag)),
        checksum: if wants("Checksum") {
            checksum(&object)
        } else {
            None
        },
        object_parts: parts.filter(|_| wants("ObjectParts")),
        object_size: wants("ObjectSize").then(|| signed(object.size)),
        storage_class: wants("StorageClass")
            .then(|| StorageClass::from_static(StorageClass::STANDARD)),
        last_modified: Some(timestamp(object.modified)),
        ..GetObjectAttributesOutput::default()
    }))
}

fn checksum(object: &Object) -> Option<Checksum> {
    let stored = |name: &str| object.metadata.get(name).cloned();
    let found = Checksum {
        checksum_crc32: stored("x-amz-checksum-crc32"),
        checksum_crc32c: stored("x-amz-checksum-crc32c"),
        checksum_crc64nvme: stored("x-amz-checksum-crc64nvme"),
        checksum_sha1: stored("x-amz-checksum-sha1"),
        checksum_sha256: stored("x-amz-checksum-sha256"),
        checksum_type: None,
    };
    (found != Checksum::default()).then(|| Checksum {
        checksum_type: Some(checksum_type(&object.metadata)),
        ..found
    })
}

pub(super) async fn versions(
    server: &Server,
    request: S3Request<ListObjectVersionsInput>,
) -> S3Result<S3Response<ListObjectVersionsOutput>> {
    let input = request.input;
    let keys = Keys::new(input.encoding_type)?;
    let limit = page_size("max-keys", input.max_keys)?;
    let listing = Listing {
        bucket: input.bucket.clone(),
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: input.delimiter.clone().unwrap_or_default(),
        after: input.key_marker.clone().unwrap_or_default(),
        limit: usize::try_from(limit).unwrap_or(0),
    };
    let page = server.store.read(move |db| listing.page(db)).await?;
    let version = |object: &Object| ObjectVersion {
        key: Some(keys.show(&object.key)),
        version_id: Some("null".to_owned()),
        is_latest: Some(true),
        e_tag: Some(request::etag(&object.etag)),
        last_modified: Some(timestamp(object.modified)),
        size: Some(signed(object.size)),
        owner: Some(owner()),
        storage_class: Some(ObjectVersionStorageClass::from_static(
            ObjectVersionStorageClass::STANDARD,
        )),
        ..ObjectVersion::default()
    };
    Ok(S3Response::new(ListObjectVersionsOutput {
        name: Some(input.bucket),
        prefix: Some(keys.show(&input.prefix.unwrap_or_default())),
        delimiter: input.delimiter.map(|delimiter| keys.show(&delimiter)),
        key_marker: Some(keys.show(&input.key_marker.unwrap_or_default())),
        version_id_marker: input.version_id_marker,
        max_keys: Some(limit),
        is_truncated: Some(page.next.is_some()),
        next_version_id_marker: page.next.is_some().then(|| "null".to_owned()),
        next_key_marker: page.next.map(|next| keys.show(&next)),
        versions: (!page.objects.is_empty()).then(|| page.objects.iter().map(version).collect()),
        common_prefixes: keys.prefixes(&page.prefixes),
        encoding_type: keys.encoding(),
        ..ListObjectVersionsOutput::default()
    }))
}
