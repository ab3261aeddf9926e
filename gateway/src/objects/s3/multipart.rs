//! Multipart uploads.

use futures::StreamExt;
use jiff::Timestamp;
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CopyPartResult,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, Range, UploadPartCopyInput,
    UploadPartCopyOutput, UploadPartInput, UploadPartOutput,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};
use uuid::Uuid;

use super::Server;
use super::checksums;
use super::copy::{judge, source, source_conditions};
use super::put::receive;
use super::request::{self, Kept, kept, refuse, timestamp};
use super::tagging::{self, TAGGING};
use crate::objects::blobs::{Content, Expected, no_trailer};
use crate::objects::rows;
use crate::objects::uploads::{self, MAX_PARTS, Part, Upload};
use crate::objects::{Effects, NewBlob, ObjectError, quotas};

pub(super) async fn create(
    server: &Server,
    request: S3Request<CreateMultipartUploadInput>,
) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
    let mut input = request.input;
    refuse!(input);
    let tags = tagging::of_header(input.tagging.take())?;
    let kept: Kept = kept!(input);
    let (content_type, mut metadata) = kept.into_stored()?;
    metadata.extend(tags.map(|tags| (TAGGING.to_owned(), tags)));
    let wanted = input
        .checksum_algorithm
        .as_ref()
        .map(s3s::dto::ChecksumAlgorithm::as_str);
    checksums::want(
        &mut metadata,
        wanted,
        input
            .checksum_type
            .as_ref()
            .map(s3s::dto::ChecksumType::as_str),
    )?;
    let upload = Upload {
        id: Uuid::new_v4().simple().to_string(),
        bucket: input.bucket,
        key: input.key,
        content_type,
        metadata,
        started: Timestamp::now(),
    };
    let output = CreateMultipartUploadOutput {
        bucket: Some(upload.bucket.clone()),
        key: Some(upload.key.clone()),
        upload_id: Some(upload.id.clone()),
        // Echoed, or clients take it for ignored and refuse to go on.
        checksum_algorithm: input.checksum_algorithm,
        checksum_type: input.checksum_type,
        ..CreateMultipartUploadOutput::default()
    };
    server
        .store
        .write(move |db| uploads::begin(db, &upload))
        .await?;
    Ok(S3Response::new(output))
}

pub(super) async fn upload_part(
    server: &Server,
    mut request: S3Request<UploadPartInput>,
) -> S3Result<S3Response<UploadPartOutput>> {
    let trailer = request::trailer(&mut request);
    let (md5, length) = (
        request.input.content_md5.take(),
        request.input.content_length.take(),
    );
    let mut expected = request::expected(&request, md5, length);
    let input = request.input;
    request::refuse_encryption(input.sse_customer_algorithm.as_ref(), None)?;
    let number = part_number(input.part_number)?;
    let (id, bucket, key) = (
        input.upload_id.clone(),
        input.bucket.clone(),
        input.key.clone(),
    );
    let upload = server
        .store
        .read(move |db| uploads::get(db, &id, &bucket, &key))
        .await?;
    expected.wanted = checksums::wanted(&upload.metadata);
    let received = receive(server, input.body, &expected, trailer).await?;
    let etag = received.blob.md5.clone();
    add_part(
        server,
        (input.upload_id, input.bucket, input.key),
        number,
        received.blob,
        &received.checksums,
    )
    .await?;
    let mut output = UploadPartOutput {
        e_tag: Some(request::etag(&etag)),
        ..UploadPartOutput::default()
    };
    for (name, value) in received.checksums {
        match name {
            "x-amz-checksum-crc32" => output.checksum_crc32 = Some(value),
            "x-amz-checksum-crc32c" => output.checksum_crc32c = Some(value),
            "x-amz-checksum-crc64nvme" => output.checksum_crc64nvme = Some(value),
            "x-amz-checksum-sha1" => output.checksum_sha1 = Some(value),
            _ => output.checksum_sha256 = Some(value),
        }
    }
    Ok(S3Response::new(output))
}

pub(super) async fn upload_part_copy(
    server: &Server,
    request: S3Request<UploadPartCopyInput>,
) -> S3Result<S3Response<UploadPartCopyOutput>> {
    let mut input = request.input;
    let number = part_number(input.part_number)?;
    let (from_bucket, from_key) = source(&input.copy_source)?;
    let conditions = source_conditions!(input);
    let (id, bucket, key) = (
        input.upload_id.clone(),
        input.bucket.clone(),
        input.key.clone(),
    );
    let (size, content, upload) = server
        .store
        .read(move |db| {
            let upload = uploads::get(db, &id, &bucket, &key)?;
            let from = rows::get(db, &from_bucket, &from_key)?;
            judge(&conditions, &from)?;
            let content =
                Content::find(db, from.blob)?.ok_or(ObjectError::NoSuchBlob(from.blob))?;
            Ok::<_, ObjectError>((from.size, content, upload))
        })
        .await?;
    let range = match &input.copy_source_range {
        None => 0..size,
        Some(text) => match Range::parse(text) {
            Ok(Range::Int {
                first,
                last: Some(last),
            }) if last < size => first..last + 1,
            Ok(Range::Int { last: Some(_), .. }) => {
                let text = format!(
                    "x-amz-copy-source-range is {text:?}, but the source has only {size} bytes"
                );
                return Err(S3Error::with_message(S3ErrorCode::InvalidRange, text));
            }
            _ => {
                let text = format!(
                    "x-amz-copy-source-range is {text:?}; it must look like bytes=0-1048575"
                );
                return Err(request::invalid(text));
            }
        },
    };
    // Bytes are copied: a part has its own MD5, which only reading tells.
    let expected = Expected {
        length: Some(range.end - range.start),
        wanted: checksums::wanted(&upload.metadata),
        ..Expected::default()
    };
    let bytes = server.blobs.stream(content, range).await?.boxed();
    let limit = server.settings.max_object;
    let received = server
        .blobs
        .receive_expecting(bytes, limit, &expected, no_trailer())
        .await?;
    let etag = received.blob.md5.clone();
    add_part(
        server,
        (input.upload_id, input.bucket, input.key),
        number,
        received.blob,
        &received.checksums,
    )
    .await?;
    let result = CopyPartResult {
        e_tag: Some(request::etag(&etag)),
        last_modified: Some(timestamp(Timestamp::now())),
        ..CopyPartResult::default()
    };
    Ok(S3Response::new(UploadPartCopyOutput {
        copy_part_result: Some(result),
        ..UploadPartCopyOutput::default()
    }))
}

async fn add_part(
    server: &Server,
    (id, bucket, key): (String, String, String),
    number: i64,
    blob: NewBlob,
    checksums: &[(&'static str, String)],
) -> Result<(), ObjectError> {
    let part = Part {
        number,
        blob: blob.id,
        size: blob.size,
        etag: blob.md5.clone(),
        modified: Timestamp::now(),
        checksums: checksums
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect(),
    };
    server
        .publish(move |db, _| {
            let blob = blob;
            uploads::get(db, &id, &bucket, &key)?;
            quotas::check_part(db, &bucket, blob.size)?;
            blob.insert(db)?;
            uploads::put_part(db, &id, &part)?;
            Ok(((), Some(blob), Effects::default()))
        })
        .await
}

pub(super) fn part_number(number: i32) -> S3Result<i64> {
    let number = i64::from(number);
    if (1..=MAX_PARTS).contains(&number) {
        return Ok(number);
    }
    Err(request::invalid(format!(
        "the part number is {number}; it must be 1 to {MAX_PARTS}"
    )))
}

pub(super) async fn abort(
    server: &Server,
    request: S3Request<AbortMultipartUploadInput>,
) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
    let AbortMultipartUploadInput {
        bucket,
        key,
        upload_id,
        ..
    } = request.input;
    server
        .store
        .write(move |db| uploads::abort(db, &upload_id, &bucket, &key))
        .await?;
    Ok(S3Response::new(AbortMultipartUploadOutput::default()))
}
