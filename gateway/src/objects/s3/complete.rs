//! `CompleteMultipartUpload`.

use s3s::dto::{CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CompletedPart};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

use super::multipart::part_number;
use super::request;
use super::{Server, checksums};
use crate::objects::conditions::Conditions;
use crate::objects::rows::{self, NewObject};
use crate::objects::uploads;
use crate::objects::{ObjectError, quotas};

/// Checksums of an input, by header name.
macro_rules! announced {
    ($input:expr) => {
        [
            ("x-amz-checksum-crc32", $input.checksum_crc32.take()),
            ("x-amz-checksum-crc32c", $input.checksum_crc32c.take()),
            ("x-amz-checksum-crc64nvme", $input.checksum_crc64nvme.take()),
            ("x-amz-checksum-sha1", $input.checksum_sha1.take()),
            ("x-amz-checksum-sha256", $input.checksum_sha256.take()),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect::<Vec<_>>()
    };
}

/// A part as the client names it.
struct Named {
    number: i64,
    etag: String,
    checksums: Vec<(&'static str, String)>,
}

impl Named {
    fn read(mut part: CompletedPart) -> S3Result<Self> {
        let checksums = announced!(part);
        let (Some(number), Some(etag)) = (part.part_number, part.e_tag) else {
            let text = "each part needs PartNumber and ETag";
            return Err(S3Error::with_message(S3ErrorCode::MalformedXML, text));
        };
        Ok(Self {
            number: part_number(number)?,
            etag: etag.into_value(),
            checksums,
        })
    }
}

pub(super) async fn complete(
    server: &Server,
    request: S3Request<CompleteMultipartUploadInput>,
) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
    let actor = request::actor(&request);
    let mut input = request.input;
    let conditions = Conditions {
        if_match: request::tag(input.if_match.take()),
        if_none_match: request::tag(input.if_none_match.take()),
        ..Conditions::default()
    };
    let whole = announced!(input);
    let parts = input.multipart_upload.and_then(|upload| upload.parts);
    let named = parts
        .unwrap_or_default()
        .into_iter()
        .map(Named::read)
        .collect::<S3Result<Vec<_>>>()?;
    let (bucket, key) = (input.bucket.clone(), input.key.clone());
    let new_blob = server.blobs.next_id();
    let size_said = input.mpu_object_size;
    let (etag, metadata) = server
        .publish(move |db, queue| {
            let upload = uploads::get(db, &input.upload_id, &input.bucket, &input.key)?;
            let wanted: Vec<_> = named
                .iter()
                .map(|part| (part.number, part.etag.clone()))
                .collect();
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
            for (part, named) in done.parts.iter().zip(&named) {
                checksums::check_part(part, &named.checksums)?;
            }
            let target = done.upload;
            let metadata = checksums::of_whole(target.metadata, &done.parts, &whole)?;
            quotas::check_object(db, &target.bucket, &target.key, done.size)?;
            let object = NewObject {
                bucket: target.bucket,
                key: target.key,
                etag: done.etag,
                content_type: target.content_type,
                metadata,
                event: "s3:ObjectCreated:CompleteMultipartUpload",
                principal: actor.principal,
                source_ip: actor.source_ip,
                user_agent: actor.user_agent,
            };
            let effects = rows::put_object(db, queue, &object, done.blob)?;
            Ok(((object.etag, object.metadata), None, effects))
        })
        .await?;
    let stored = |name: &str| metadata.get(name).cloned();
    Ok(S3Response::new(CompleteMultipartUploadOutput {
        location: Some(format!("/{bucket}/{key}")),
        bucket: Some(bucket),
        key: Some(key),
        e_tag: Some(request::etag(&etag)),
        checksum_crc32: stored("x-amz-checksum-crc32"),
        checksum_crc32c: stored("x-amz-checksum-crc32c"),
        checksum_crc64nvme: stored("x-amz-checksum-crc64nvme"),
        checksum_sha1: stored("x-amz-checksum-sha1"),
        checksum_sha256: stored("x-amz-checksum-sha256"),
        checksum_type: stored(request::CHECKSUM_TYPE).map(Into::into),
        ..CompleteMultipartUploadOutput::default()
    }))
}
