//! `GetObject` and `HeadObject`.

use std::ops::Range;

use axum::http::{HeaderMap, HeaderValue, StatusCode};
use futures::StreamExt;
use s3s::dto::{
    GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput, StreamingBlob, Timestamp,
    TimestampFormat,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result, dto};

use super::Server;
use super::request::{self, timestamp};
use super::tagging;
use crate::objects::blobs::Content;
use crate::objects::conditions::{Conditions, Verdict};
use crate::objects::rows;
use crate::objects::{Object, ObjectError};

/// How often an object is looked up again because its blob was deleted between looking and opening: each time
/// somebody has replaced it meanwhile.
const LOOKUPS: usize = 4;

/// Fills in what `GetObject` and `HeadObject` both say of an object.
macro_rules! describe {
    ($output:ident, $object:ident) => {
        let stored = |name: &str| $object.metadata.get(name).cloned();
        $output.accept_ranges = Some("bytes".to_owned());
        $output.e_tag = Some(request::etag(&$object.etag));
        $output.last_modified = Some(timestamp($object.modified));
        $output.content_type = Some($object.content_type.clone());
        $output.cache_control = stored("cache-control");
        $output.content_disposition = stored("content-disposition");
        $output.content_encoding = stored("content-encoding");
        $output.content_language = stored("content-language");
        $output.expires = stored("expires")
            .and_then(|time| Timestamp::parse(TimestampFormat::HttpDate, &time).ok());
        $output.metadata = request::user_metadata(&$object.metadata);
    };
}
/// Adds the checksums that came with the upload.
macro_rules! checksums {
    ($output:ident, $object:ident) => {
        let stored = |name: &str| $object.metadata.get(name).cloned();
        $output.checksum_crc32 = stored("x-amz-checksum-crc32");
        $output.checksum_crc32c = stored("x-amz-checksum-crc32c");
        $output.checksum_crc64nvme = stored("x-amz-checksum-crc64nvme");
        $output.checksum_sha1 = stored("x-amz-checksum-sha1");
        $output.checksum_sha256 = stored("x-amz-checksum-sha256");
        if $object
            .metadata
            .keys()
            .any(|name| crate::objects::blobs::CHECKSUMS.contains(&name.as_str()))
        {
            $output.checksum_type = Some(checksum_type(&$object.metadata));
        }
    };
}
pub(super) async fn get(
    server: &Server,
    request: S3Request<GetObjectInput>,
) -> S3Result<S3Response<GetObjectOutput>> {
    let input = request.input;
    refuse_versions(input.version_id.as_deref())?;
    let conditions = Conditions {
        if_match: request::tag(input.if_match),
        if_none_match: request::tag(input.if_none_match),
        if_modified_since: request::seconds(input.if_modified_since),
        if_unmodified_since: request::seconds(input.if_unmodified_since),
    };
    let mut lookups = 0;
    let (object, range, stream) = loop {
        lookups += 1;
        let (bucket, key) = (input.bucket.clone(), input.key.clone());
        let (object, content) = server
            .store
            .read(move |db| {
                let object = rows::get(db, &bucket, &key)?;
                let content =
                    Content::find(db, object.blob)?.ok_or(ObjectError::NoSuchBlob(object.blob))?;
                Ok::<_, ObjectError>((object, content))
            })
            .await?;
        judge(&conditions, &object)?;
        let range = requested(input.range, &object)?;
        match server
            .blobs
            .stream(content, range.clone().unwrap_or(0..object.size))
            .await
        {
            Err(ObjectError::NoSuchBlob(_)) if lookups < LOOKUPS => (),
            stream => break (object, range, stream?),
        }
    };
    let whole = range.is_none();
    let length = range
        .as_ref()
        .map_or(object.size, |range| range.end - range.start);
    let mut output = GetObjectOutput {
        body: Some(StreamingBlob::wrap(stream.map(log_failure))),
        content_length: Some(crate::objects::blobs::signed(length)),
        content_range: range.map(|range| content_range(&range, object.size)),
        ..GetObjectOutput::default()
    };
    describe!(output, object);
    output.tag_count = tagging::count(&object.metadata);
    if whole && input.checksum_mode.is_some() {
        checksums!(output, object);
    }
    Ok(S3Response::new(output))
}

pub(super) async fn head(
    server: &Server,
    request: S3Request<HeadObjectInput>,
) -> S3Result<S3Response<HeadObjectOutput>> {
    let input = request.input;
    refuse_versions(input.version_id.as_deref())?;
    let conditions = Conditions {
        if_match: request::tag(input.if_match),
        if_none_match: request::tag(input.if_none_match),
        if_modified_since: request::seconds(input.if_modified_since),
        if_unmodified_since: request::seconds(input.if_unmodified_since),
    };
    let (bucket, key) = (input.bucket, input.key);
    let object = server
        .store
        .read(move |db| rows::get(db, &bucket, &key))
        .await?;
    judge(&conditions, &object)?;
    let range = requested(input.range, &object)?;
    let length = range
        .as_ref()
        .map_or(object.size, |range| range.end - range.start);
    let whole = range.is_none();
    let mut output = HeadObjectOutput {
        content_length: Some(crate::objects::blobs::signed(length)),
        content_range: range
            .as_ref()
            .map(|range| content_range(range, object.size)),
        ..HeadObjectOutput::default()
    };
    describe!(output, object);
    if whole && input.checksum_mode.is_some() {
        checksums!(output, object);
    }
    let status = if whole {
        StatusCode::OK
    } else {
        StatusCode::PARTIAL_CONTENT
    };
    let mut answer = S3Response::with_status(output, status);
    if let Some(tags) = tagging::count(&object.metadata) {
        answer
            .headers
            .insert("x-amz-tagging-count", HeaderValue::from(tags));
    }
    Ok(answer)
}

/// Of which kind the kept checksums are: of the whole content, unless it came in parts and the client wanted theirs
/// put together.
pub(super) fn checksum_type(
    metadata: &std::collections::BTreeMap<String, String>,
) -> dto::ChecksumType {
    let kind = metadata
        .get(request::CHECKSUM_TYPE)
        .map_or(dto::ChecksumType::FULL_OBJECT, String::as_str);
    dto::ChecksumType::from(kind.to_owned())
}

/// The only version of an object is called "null".
pub(super) fn refuse_versions(version: Option<&str>) -> S3Result<()> {
    match version {
        None | Some("" | "null") => Ok(()),
        Some(_) => Err(S3Error::with_message(
            S3ErrorCode::NoSuchVersion,
            "buckets here keep no old versions",
        )),
    }
}

fn judge(conditions: &Conditions, object: &Object) -> S3Result<()> {
    match conditions.judge(object) {
        Verdict::Serve => Ok(()),
        Verdict::Failed(condition) => Err(ObjectError::Precondition(condition).into()),
        Verdict::NotModified => {
            let mut answer = S3Error::new(S3ErrorCode::NotModified);
            let modified =
                request::formatted(&timestamp(object.modified), TimestampFormat::HttpDate);
            let etag = HeaderValue::try_from(format!("\"{}\"", object.etag));
            let headers = [
                (axum::http::header::ETAG, etag),
                (
                    axum::http::header::LAST_MODIFIED,
                    HeaderValue::try_from(modified),
                ),
            ];
            let headers = headers
                .into_iter()
                .filter_map(|(name, value)| Some((name, value.ok()?)));
            answer.set_headers(headers.collect());
            Err(answer)
        }
    }
}

/// The range that is asked for, within the object; 416 when none of it is.
fn requested(range: Option<dto::Range>, object: &Object) -> S3Result<Option<Range<u64>>> {
    let Some(range) = range else { return Ok(None) };
    // A suffix of a longer object than there is: all of it. Of none: nothing can satisfy it.
    range.check(object.size).map(Some).map_err(|_| {
        let text = format!(
            "the range lies outside the object, which has {} bytes",
            object.size
        );
        let mut answer = S3Error::with_message(S3ErrorCode::InvalidRange, text);
        let mut headers = HeaderMap::new();
        if let Ok(size) = HeaderValue::try_from(format!("bytes */{}", object.size)) {
            headers.insert(axum::http::header::CONTENT_RANGE, size);
        }
        headers.insert(
            axum::http::header::CONTENT_TYPE,
            HeaderValue::from_static("application/xml"),
        );
        answer.set_headers(headers);
        answer
    })
}

fn content_range(range: &Range<u64>, size: u64) -> String {
    format!(
        "bytes {}-{}/{size}",
        range.start,
        range.end.saturating_sub(1)
    )
}

/// The client only sees its connection close; the log says why.
fn log_failure(chunk: std::io::Result<bytes::Bytes>) -> std::io::Result<bytes::Bytes> {
    chunk.inspect_err(|error| tracing::error!(%error, "sending an object broke off"))
}
