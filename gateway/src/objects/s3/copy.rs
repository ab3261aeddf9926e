//! `CopyObject`: another row for the same bytes.

use jiff::Timestamp;
use s3s::dto::{
    CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopySource, MetadataDirective,
    TaggingDirective,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

use super::Server;
use super::get::refuse_versions;
use super::request::{self, Kept, kept, refuse, timestamp};
use super::tagging::{self, TAGGING};
use crate::objects::conditions::{Conditions, Verdict};
use crate::objects::rows::{self, NewObject};
use crate::objects::{ObjectError, quotas};

/// The conditions on a copy's source, out of an input.
macro_rules! source_conditions {
    ($input:ident) => {
        crate::objects::conditions::Conditions {
            if_match: crate::objects::s3::request::tag($input.copy_source_if_match.take()),
            if_none_match: crate::objects::s3::request::tag(
                $input.copy_source_if_none_match.take(),
            ),
            if_modified_since: crate::objects::s3::request::seconds(
                $input.copy_source_if_modified_since.take(),
            ),
            if_unmodified_since: crate::objects::s3::request::seconds(
                $input.copy_source_if_unmodified_since.take(),
            ),
        }
    };
}
pub(super) use source_conditions;

pub(super) async fn copy(
    server: &Server,
    request: S3Request<CopyObjectInput>,
) -> S3Result<S3Response<CopyObjectOutput>> {
    let actor = request::actor(&request);
    let mut input = request.input;
    let (from_bucket, from_key) = source(&input.copy_source)?;
    let conditions = source_conditions!(input);
    let replaces = match input
        .metadata_directive
        .as_ref()
        .map(MetadataDirective::as_str)
    {
        None | Some("COPY") => false,
        Some("REPLACE") => true,
        Some(other) => {
            let text = format!("x-amz-metadata-directive is {other:?}; it must be COPY or REPLACE");
            return Err(request::invalid(text));
        }
    };
    refuse!(input);
    let tags = match input
        .tagging_directive
        .as_ref()
        .map(TaggingDirective::as_str)
    {
        None | Some("COPY") => None,
        Some("REPLACE") => Some(tagging::of_header(input.tagging.take())?),
        Some(other) => {
            let text = format!("x-amz-tagging-directive is {other:?}; it must be COPY or REPLACE");
            return Err(request::invalid(text));
        }
    };
    let kept: Kept = kept!(input);
    let replacement = if replaces {
        Some(kept.into_stored()?)
    } else {
        None
    };
    let (bucket, key) = (input.bucket, input.key);
    if !replaces && tags.is_none() && bucket == from_bucket && key == from_key {
        let text = "This copy request is illegal because it is trying to copy an object to itself without changing \
                    the object's metadata: send x-amz-metadata-directive: REPLACE";
        return Err(S3Error::with_message(S3ErrorCode::InvalidRequest, text));
    }
    let etag = server
        .publish(move |db, queue| {
            let from = rows::get(db, &from_bucket, &from_key)?;
            judge(&conditions, &from)?;
            quotas::check_object(db, &bucket, &key, from.size)?;
            let (content_type, mut metadata) = match replacement {
                Some((content_type, mut metadata)) => {
                    // The bytes are the same, and so are their checksums; tags have a directive of their own.
                    let stays = from.metadata.iter().filter(|(name, _)| {
                        name.starts_with("x-amz-checksum-") || *name == TAGGING
                    });
                    metadata.extend(stays.map(|(name, value)| (name.clone(), value.clone())));
                    (content_type, metadata)
                }
                None => (from.content_type, from.metadata),
            };
            if let Some(tags) = tags {
                metadata.remove(TAGGING);
                metadata.extend(tags.map(|tags| (TAGGING.to_owned(), tags)));
            }
            let object = NewObject {
                bucket,
                key,
                etag: from.etag,
                content_type,
                metadata,
                event: "s3:ObjectCreated:Copy",
                principal: actor.principal,
                source_ip: actor.source_ip,
                user_agent: actor.user_agent,
            };
            let effects = rows::put_object(db, queue, &object, from.blob)?;
            Ok((object.etag, None, effects))
        })
        .await?;
    let result = CopyObjectResult {
        e_tag: Some(request::etag(&etag)),
        last_modified: Some(timestamp(Timestamp::now())),
        ..CopyObjectResult::default()
    };
    Ok(S3Response::new(CopyObjectOutput {
        copy_object_result: Some(result),
        ..CopyObjectOutput::default()
    }))
}

/// Bucket and key to copy from.
pub(super) fn source(source: &CopySource) -> S3Result<(String, String)> {
    let CopySource::Bucket {
        bucket,
        key,
        version_id,
    } = source
    else {
        return Err(S3Error::with_message(
            S3ErrorCode::NotImplemented,
            "there are no access points here",
        ));
    };
    refuse_versions(version_id.as_deref())?;
    Ok((bucket.to_string(), key.to_string()))
}

/// For copies every condition that does not hold is a failure: there is no "not modified".
pub(super) fn judge(
    conditions: &Conditions,
    from: &crate::objects::Object,
) -> Result<(), ObjectError> {
    match conditions.judge(from) {
        Verdict::Serve => Ok(()),
        Verdict::NotModified => Err(ObjectError::Precondition(
            "x-amz-copy-source-if-none-match or -modified-since",
        )),
        Verdict::Failed(_) => Err(ObjectError::Precondition(
            "x-amz-copy-source-if-match or -unmodified-since",
        )),
    }
}
