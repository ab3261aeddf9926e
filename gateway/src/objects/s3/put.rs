//! `PutObject` and `PostObject`.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::Method;
use s3s::dto::{PutObjectInput, PutObjectOutput, StreamingBlob};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

use super::Server;
use super::request::{self, Kept, kept, refuse};
use super::tagging::{self, TAGGING};
use crate::objects::blobs::{Expected, INLINE, Received, Trailer};
use crate::objects::conditions::Conditions;
use crate::objects::rows::{self, NewObject};
use crate::objects::{ObjectError, keys, quotas};

/// How long a client may send nothing before its upload is given up.
const STALLED: Duration = Duration::from_mins(1);

pub(super) async fn put(
    server: &Server,
    mut request: S3Request<PutObjectInput>,
) -> S3Result<S3Response<PutObjectOutput>> {
    // A form upload comes here by way of `post_object`, whose default this is.
    let event = if request.method == Method::POST {
        "s3:ObjectCreated:Post"
    } else {
        "s3:ObjectCreated:Put"
    };
    let actor = request::actor(&request);
    let trailer = request::trailer(&mut request);
    let (md5, length) = (
        request.input.content_md5.take(),
        request.input.content_length.take(),
    );
    let expected = request::expected(&request, md5, length);
    let mut input = request.input;
    refuse!(input);
    if input.write_offset_bytes.is_some() {
        return Err(S3Error::with_message(
            S3ErrorCode::NotImplemented,
            "appending to objects is not implemented",
        ));
    }
    let tags = tagging::of_header(input.tagging.take())?;
    let kept: Kept = kept!(input);
    let (content_type, mut metadata) = kept.into_stored()?;
    metadata.extend(tags.map(|tags| (TAGGING.to_owned(), tags)));
    let conditions = Conditions {
        if_match: request::tag(input.if_match),
        if_none_match: request::tag(input.if_none_match),
        ..Conditions::default()
    };
    let (bucket, key) = (input.bucket, input.key);
    early_refusals(server, &bucket, &key, &conditions, &expected).await?;
    let Received { blob, checksums } = receive(server, input.body, &expected, trailer).await?;
    let mut object = NewObject {
        bucket,
        key,
        etag: blob.md5.clone(),
        content_type,
        metadata,
        event,
        principal: actor.principal,
        source_ip: actor.source_ip,
        user_agent: actor.user_agent,
    };
    remember(&mut object.metadata, &checksums);
    let etag = object.etag.clone();
    server
        .publish(move |db, queue| {
            // A row that crosses over to the writer with its blob: when it fails, the file goes.
            let blob = blob;
            if !conditions.is_empty() {
                let there = rows::find(db, &object.bucket, &object.key)?;
                conditions.check(there.as_ref(), &object.bucket, &object.key)?;
            }
            quotas::check_object(db, &object.bucket, &object.key, blob.size)?;
            blob.insert(db)?;
            let effects = rows::put_object(db, queue, &object, blob.id)?;
            Ok(((), Some(blob), effects))
        })
        .await?;
    let mut output = PutObjectOutput {
        e_tag: Some(request::etag(&etag)),
        ..PutObjectOutput::default()
    };
    for (name, value) in checksums {
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

/// Keeps verified checksums with the object, so that they can be given out with it.
fn remember(metadata: &mut BTreeMap<String, String>, checksums: &[(&'static str, String)]) {
    metadata.extend(
        checksums
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone())),
    );
}

/// Takes in a body; the client may be slow, but must not stop.
pub(super) async fn receive(
    server: &Server,
    body: Option<StreamingBlob>,
    expected: &Expected,
    trailer: Trailer,
) -> Result<Received, ObjectError> {
    let limit = server.settings.max_object;
    if let Some(length) = expected.length
        && length > limit
    {
        return Err(ObjectError::TooLarge(limit));
    }
    let Some(body) = body else {
        let nothing = futures::stream::empty::<Result<bytes::Bytes, std::convert::Infallible>>();
        return server
            .blobs
            .receive_expecting(nothing, limit, expected, trailer)
            .await;
    };
    let body = tokio_stream::StreamExt::timeout(body, STALLED);
    let body = futures::StreamExt::map(body, |chunk| match chunk {
        Ok(chunk) => chunk,
        Err(_) => Err("nothing came for a minute".into()),
    });
    server
        .blobs
        .receive_expecting(body, limit, expected, trailer)
        .await
}

/// Refuses what can be refused before a large content is received. All of it is checked again in the transaction.
async fn early_refusals(
    server: &Server,
    bucket: &str,
    key: &str,
    conditions: &Conditions,
    expected: &Expected,
) -> Result<(), ObjectError> {
    keys::check_key(key)?;
    let small = expected
        .length
        .is_some_and(|length| length <= INLINE as u64);
    if small && conditions.is_empty() {
        return Ok(());
    }
    let (bucket, key, conditions) = (bucket.to_owned(), key.to_owned(), conditions.clone());
    let length = expected.length.unwrap_or(0);
    let check = move |db: &rusqlite::Connection| {
        rows::require_bucket(db, &bucket)?;
        quotas::check_object(db, &bucket, &key, length)?;
        if conditions.is_empty() {
            Ok(())
        } else {
            conditions.check(rows::find(db, &bucket, &key)?.as_ref(), &bucket, &key)
        }
    };
    server.store.read(check).await
}
