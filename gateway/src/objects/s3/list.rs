//! Listings: objects (both versions), parts, uploads.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::{
    self, CommonPrefix, EncodingType, ListMultipartUploadsInput, ListMultipartUploadsOutput,
    ListObjectsInput, ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output, ListPartsInput,
    ListPartsOutput, MultipartUpload, ObjectStorageClass, Owner, StorageClass,
};
use s3s::{S3Request, S3Response, S3Result};

use super::Server;
use super::request::{self, timestamp};
use crate::objects::Object;
use crate::objects::blobs::signed;
use crate::objects::listing::Listing;
use crate::objects::uploads;

/// Entries of a page at most, as in S3; whoever asks for more gets this.
const PAGE: i32 = 1000;

/// What `encoding-type=url` leaves alone.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'*')
    .remove(b'/');

/// Writes keys as the client wants them: XML cannot carry all characters.
#[derive(Debug, Clone)]
pub(super) struct Keys(Option<EncodingType>);

impl Keys {
    pub(super) fn new(encoding: Option<EncodingType>) -> S3Result<Self> {
        match encoding.as_ref().map(EncodingType::as_str) {
            None | Some("url") => Ok(Self(encoding)),
            Some(other) => Err(request::invalid(format!(
                "encoding-type is {other:?}; it must be url"
            ))),
        }
    }

    pub(super) fn show(&self, key: &str) -> String {
        if self.0.is_some() {
            utf8_percent_encode(key, PLAIN).to_string()
        } else {
            key.to_owned()
        }
    }

    pub(super) fn encoding(self) -> Option<EncodingType> {
        self.0
    }

    pub(super) fn prefixes(&self, prefixes: &[String]) -> Option<Vec<CommonPrefix>> {
        let shown = |prefix: &String| CommonPrefix {
            prefix: Some(self.show(prefix)),
        };
        (!prefixes.is_empty()).then(|| prefixes.iter().map(shown).collect())
    }

    fn objects(&self, objects: &[Object], with_owner: bool) -> Option<Vec<dto::Object>> {
        let shown = |object: &Object| dto::Object {
            key: Some(self.show(&object.key)),
            e_tag: Some(request::etag(&object.etag)),
            last_modified: Some(timestamp(object.modified)),
            size: Some(signed(object.size)),
            storage_class: Some(ObjectStorageClass::from_static(
                ObjectStorageClass::STANDARD,
            )),
            owner: with_owner.then(owner),
            ..dto::Object::default()
        };
        (!objects.is_empty()).then(|| objects.iter().map(shown).collect())
    }
}

/// Stands for whoever owns the bucket, where looking him up is not worth it.
pub(super) fn owner() -> Owner {
    owner_of("")
}

/// An owner of buckets; the administrator's name is empty.
pub(super) fn owner_of(uid: &str) -> Owner {
    let name = if uid.is_empty() { "spillway" } else { uid };
    Owner {
        display_name: Some(name.to_owned()),
        id: Some(name.to_owned()),
    }
}

pub(super) fn page_size(name: &str, asked: Option<i32>) -> S3Result<i32> {
    match asked.unwrap_or(PAGE) {
        asked if asked < 0 => Err(request::invalid(format!(
            "{name} is {asked}; it must be 0 to {PAGE}"
        ))),
        asked => Ok(asked.min(PAGE)),
    }
}

pub(super) async fn objects(
    server: &Server,
    request: S3Request<ListObjectsInput>,
) -> S3Result<S3Response<ListObjectsOutput>> {
    let input = request.input;
    let keys = Keys::new(input.encoding_type)?;
    let limit = page_size("max-keys", input.max_keys)?;
    let listing = Listing {
        bucket: input.bucket.clone(),
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: input.delimiter.clone().unwrap_or_default(),
        after: input.marker.clone().unwrap_or_default(),
        limit: usize::try_from(limit).unwrap_or(0),
    };
    let page = server.store.read(move |db| listing.page(db)).await?;
    Ok(S3Response::new(ListObjectsOutput {
        name: Some(input.bucket),
        prefix: Some(keys.show(&input.prefix.unwrap_or_default())),
        marker: Some(keys.show(&input.marker.unwrap_or_default())),
        max_keys: Some(limit),
        is_truncated: Some(page.next.is_some()),
        contents: keys.objects(&page.objects, true),
        common_prefixes: keys.prefixes(&page.prefixes),
        delimiter: input.delimiter.map(|delimiter| keys.show(&delimiter)),
        next_marker: page.next.map(|next| keys.show(&next)),
        encoding_type: keys.0,
        request_charged: None,
    }))
}

pub(super) async fn objects_v2(
    server: &Server,
    request: S3Request<ListObjectsV2Input>,
) -> S3Result<S3Response<ListObjectsV2Output>> {
    let input = request.input;
    let keys = Keys::new(input.encoding_type)?;
    let limit = page_size("max-keys", input.max_keys)?;
    // The token is the last entry of the page before, in a dress that keeps clients from building their own.
    let after = match &input.continuation_token {
        None => input.start_after.clone().unwrap_or_default(),
        Some(token) => URL_SAFE_NO_PAD
            .decode(token)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or_else(|| request::invalid("the continuation token is none of ours"))?,
    };
    let listing = Listing {
        bucket: input.bucket.clone(),
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: input.delimiter.clone().unwrap_or_default(),
        after,
        limit: usize::try_from(limit).unwrap_or(0),
    };
    let page = server.store.read(move |db| listing.page(db)).await?;
    Ok(S3Response::new(ListObjectsV2Output {
        name: Some(input.bucket),
        prefix: Some(keys.show(&input.prefix.unwrap_or_default())),
        max_keys: Some(limit),
        key_count: i32::try_from(page.objects.len() + page.prefixes.len()).ok(),
        continuation_token: input.continuation_token,
        is_truncated: Some(page.next.is_some()),
        next_continuation_token: page.next.map(|next| URL_SAFE_NO_PAD.encode(next)),
        contents: keys.objects(&page.objects, input.fetch_owner == Some(true)),
        common_prefixes: keys.prefixes(&page.prefixes),
        delimiter: input.delimiter.map(|delimiter| keys.show(&delimiter)),
        start_after: input.start_after.map(|key| keys.show(&key)),
        encoding_type: keys.0,
        request_charged: None,
    }))
}

pub(super) async fn parts(
    server: &Server,
    request: S3Request<ListPartsInput>,
) -> S3Result<S3Response<ListPartsOutput>> {
    let input = request.input;
    let limit = page_size("max-parts", input.max_parts)?;
    let after = input.part_number_marker.unwrap_or(0);
    let (id, bucket, key) = (
        input.upload_id.clone(),
        input.bucket.clone(),
        input.key.clone(),
    );
    let mut parts = server
        .store
        .read(move |db| {
            uploads::get(db, &id, &bucket, &key)?;
            // One more than asked for tells whether any follow.
            uploads::parts(db, &id, i64::from(after), i64::from(limit) + 1)
        })
        .await?;
    let full = usize::try_from(limit).unwrap_or(0);
    let more = limit > 0 && parts.len() > full;
    parts.truncate(full);
    let number = |part: &uploads::Part| i32::try_from(part.number).ok();
    let shown = |part: &uploads::Part| dto::Part {
        part_number: number(part),
        e_tag: Some(request::etag(&part.etag)),
        size: Some(signed(part.size)),
        last_modified: Some(timestamp(part.modified)),
        checksum_crc32: part.checksums.get("x-amz-checksum-crc32").cloned(),
        checksum_crc32c: part.checksums.get("x-amz-checksum-crc32c").cloned(),
        checksum_crc64nvme: part.checksums.get("x-amz-checksum-crc64nvme").cloned(),
        checksum_sha1: part.checksums.get("x-amz-checksum-sha1").cloned(),
        checksum_sha256: part.checksums.get("x-amz-checksum-sha256").cloned(),
    };
    Ok(S3Response::new(ListPartsOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        part_number_marker: Some(after),
        next_part_number_marker: parts.last().filter(|_| more).and_then(number),
        max_parts: Some(limit),
        is_truncated: Some(more),
        parts: (!parts.is_empty()).then(|| parts.iter().map(shown).collect()),
        owner: Some(owner()),
        storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
        ..ListPartsOutput::default()
    }))
}

pub(super) async fn uploads(
    server: &Server,
    request: S3Request<ListMultipartUploadsInput>,
) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
    let input = request.input;
    let keys = Keys::new(input.encoding_type)?;
    let limit = page_size("max-uploads", input.max_uploads)?;
    let prefix = input.prefix.unwrap_or_default();
    let delimiter = input.delimiter.clone().unwrap_or_default();
    // A key marker without an upload's id is after all uploads of that key; no id sorts behind this one.
    let key_marker = input.key_marker.clone().unwrap_or_default();
    let id_marker = input
        .upload_id_marker
        .clone()
        .filter(|id| !id.is_empty())
        .unwrap_or_else(|| "~".to_owned());
    let (bucket, wanted) = (input.bucket.clone(), prefix.clone());
    let all = server
        .store
        .read(move |db| {
            // There are never more than this, so folding them in memory is fine.
            uploads::list(
                db,
                &bucket,
                &wanted,
                (&key_marker, &id_marker),
                uploads::MAX_UPLOADS,
            )
        })
        .await?;
    let full = usize::try_from(limit).unwrap_or(0);
    let (mut shown, mut prefixes, mut last, mut more) =
        (Vec::new(), Vec::<String>::new(), None, false);
    for upload in all {
        let rest = upload.key.get(prefix.len()..).unwrap_or_default();
        let end = if delimiter.is_empty() {
            None
        } else {
            rest.find(&delimiter)
        };
        let common = end.and_then(|end| upload.key.get(..prefix.len() + end + delimiter.len()));
        let known = common.is_some_and(|common| prefixes.last().is_some_and(|last| last == common));
        if !known && shown.len() + prefixes.len() == full {
            more = full > 0;
            break;
        }
        last = Some((upload.key.clone(), upload.id.clone()));
        match common {
            Some(common) if !known => prefixes.push(common.to_owned()),
            Some(_) => (),
            None => shown.push(upload),
        }
    }
    let (next_key, next_id) = last.filter(|_| more).unzip();
    let entry = |upload: &uploads::Upload| MultipartUpload {
        key: Some(keys.show(&upload.key)),
        upload_id: Some(upload.id.clone()),
        initiated: Some(timestamp(upload.started)),
        owner: Some(owner()),
        storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
        ..MultipartUpload::default()
    };
    Ok(S3Response::new(ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        prefix: Some(keys.show(&prefix)),
        delimiter: input.delimiter.map(|delimiter| keys.show(&delimiter)),
        key_marker: Some(keys.show(&input.key_marker.unwrap_or_default())),
        upload_id_marker: input.upload_id_marker,
        next_key_marker: next_key.map(|key| keys.show(&key)),
        next_upload_id_marker: next_id,
        max_uploads: Some(limit),
        is_truncated: Some(more),
        uploads: (!shown.is_empty()).then(|| shown.iter().map(entry).collect()),
        common_prefixes: keys.prefixes(&prefixes),
        encoding_type: keys.0,
        request_charged: None,
    }))
}
