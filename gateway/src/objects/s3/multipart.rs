//! Multipart uploads.

use futures::StreamExt;
use jiff::Timestamp;
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CopyPartResult, CreateMultipartUploadInput,
    CreateMultipartUploadOutput, Range, UploadPartCopyInput, UploadPartCopyOutput, UploadPartInput,
    UploadPartOutput,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};
use uuid::Uuid;

use super::Server;
use super::copy::{judge, source, source_conditions};
use super::put::{receive, refuse_encryption};
use super::request::{self, Kept, kept, timestamp};
use crate::objects::blobs::{Content, Expected, no_trailer};
use crate::objects::conditions::Conditions;
use crate::objects::rows::{self, NewObject};
use crate::objects::uploads::{self, MAX_PARTS, Part, Upload};
use crate::objects::{Effects, NewBlob, ObjectError, quotas};

pub(super) async fn create(
    server: &Server,
    request: S3Request<CreateMultipartUploadInput>,
) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
    let mut input = request.input;
    refuse_encryption(input.sse_customer_algorithm.as_ref())?;
    let kept: Kept = kept!(input);
    let (content_type, metadata) = kept.into_stored()?;
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
        // Echoed, or clients take it for ignored and refuse to go on. Parts are verified as they arrive.
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
    let expected = request::expected(&request, md5, length);
    let input = request.input;
    refuse_encryption(input.sse_customer_algorithm.as_ref())?;
    let number = part_number(input.part_number)?;
    let (id, bucket, key) = (
        input.upload_id.clone(),
        input.bucket.clone(),
        input.key.clone(),
    );
    server
        .store
        .read(move |db| uploads::get(db, &id, &bucket, &key))
        .await?;
    let received = receive(server, input.body, &expected, trailer).await?;
    let etag = received.blob.md5.clone();
    add_part(
        server,
        (input.upload_id, input.bucket, input.key),
        number,
        received.blob,
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
    let (size, content) = server
        .store
        .read(move |db| {
            uploads::get(db, &id, &bucket, &key)?;
            let from = rows::get(db, &from_bucket, &from_key)?;
            judge(&conditions, &from)?;
            let content =
                Content::find(db, from.blob)?.ok_or(ObjectError::NoSuchBlob(from.blob))?;
            Ok::<_, ObjectError>((from.size, content))
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
) -> Result<(), ObjectError> {
    let part = Part {
        number,
        blob: blob.id,
        size: blob.size,
        etag: blob.md5.clone(),
        modified: Timestamp::now(),
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

fn part_number(number: i32) -> S3Result<i64> {
    let number = i64::from(number);
    if (1..=MAX_PARTS).contains(&number) {
        return Ok(number);
    }
    Err(request::invalid(format!(
        "the part number is {number}; it must be 1 to {MAX_PARTS}"
    )))
}

pub(super) async fn complete(
    server: &Server,
    request: S3Request<CompleteMultipartUploadInput>,
) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
    let actor = request::actor(&request);
    let input = request.input;
    let conditions = Conditions {
        if_match: request::tag(input.if_match),
        if_none_match: request::tag(input.if_none_match),
        ..Conditions::default()
    };
    let mut wanted = Vec::new();
    for part in input
        .multipart_upload
        .and_then(|upload| upload.parts)
        .unwrap_or_default()
    {
        let (Some(number), Some(etag)) = (part.part_number, part.e_tag) else {
            return Err(S3Error::with_message(
                S3ErrorCode::MalformedXML,
                "each part needs PartNumber and ETag",
            ));
        };
        wanted.push((part_number(number)?, etag.into_value()));
    }
    let (bucket, key) = (input.bucket.clone(), input.key.clone());
    let new_blob = server.blobs.next_id();
    let size_said = input.mpu_object_size;
    let etag = server
        .publish(move |db, queue| {
            let upload = uploads::get(db, &input.upload_id, &input.bucket, &input.key)?;
            let done = uploads::complete(db, upload, &wanted, &conditions, new_blob)?;
            if let Some(said) = size_said
                && said != crate::objects::blobs::signed(done.size)
            {
                let expected = crate::objects::blobs::unsigned(said);
                return Err(ObjectError::Length {
                    expected,
                    found: done.size,
                });
            }
            let target = &done.upload;
            quotas::check_object(db, &target.bucket, &target.key, done.size)?;
            let object = NewObject {
                bucket: done.upload.bucket,
                key: done.upload.key,
                etag: done.etag,
                content_type: done.upload.content_type,
                metadata: done.upload.metadata,
                event: "s3:ObjectCreated:CompleteMultipartUpload",
                principal: actor.principal,
                source_ip: actor.source_ip,
                user_agent: actor.user_agent,
            };
            let effects = rows::put_object(db, queue, &object, done.blob)?;
            Ok((object.etag, None, effects))
        })
        .await?;
    Ok(S3Response::new(CompleteMultipartUploadOutput {
        location: Some(format!("/{bucket}/{key}")),
        bucket: Some(bucket),
        key: Some(key),
        e_tag: Some(request::etag(&etag)),
        ..CompleteMultipartUploadOutput::default()
    }))
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
