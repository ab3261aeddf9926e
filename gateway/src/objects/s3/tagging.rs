//! Tags of objects and of buckets.
//!
//! An object's tags are kept with its metadata, in the form of the header `x-amz-tagging`. A bucket's are the
//! `metadata` that the API shows; some of them say who owns it and what made it, which only the administrator changes.

use std::collections::BTreeMap;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use rusqlite::Connection;
use s3s::dto::{
    DeleteBucketTaggingInput, DeleteBucketTaggingOutput, DeleteObjectTaggingInput,
    DeleteObjectTaggingOutput, GetBucketTaggingInput, GetBucketTaggingOutput,
    GetObjectTaggingInput, GetObjectTaggingOutput, PutBucketTaggingInput, PutBucketTaggingOutput,
    PutObjectTaggingInput, PutObjectTaggingOutput, Tag, TagSet,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

use super::get::refuse_versions;
use super::{Server, access};
use crate::objects::buckets::{self, OWNER, OWNER_NAME};
use crate::objects::rows;
use crate::objects::{Bucket, ObjectError};

/// Where tags are among an object's metadata.
pub(super) const TAGGING: &str = "x-amz-tagging";

/// Tags of one object and of one bucket at most, as in S3.
const OF_OBJECT: usize = 10;
const OF_BUCKET: usize = 50;

/// Characters of names and values at most.
const NAME: usize = 128;
const VALUE: usize = 256;

/// Tags of buckets that the administrator alone changes: owner, maker, what the reference marks services with.
const RESERVED: [&str; 4] = [OWNER, OWNER_NAME, "from_service", "service"];

type Tags = BTreeMap<String, String>;

/// The tags that the header `x-amz-tagging` names, checked and written in our way; nothing for none.
pub(super) fn of_header(header: Option<String>) -> S3Result<Option<String>> {
    let Some(header) = header else {
        return Ok(None);
    };
    let pairs = header.split('&').filter(|pair| !pair.is_empty());
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        let decoded = percent_decode_str(&text).decode_utf8();
        decoded
            .map(std::borrow::Cow::into_owned)
            .map_err(|_| invalid("x-amz-tagging is no UTF-8"))
    };
    let pairs = pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Ok((decode(name)?, decode(value)?))
    });
    let tags = checked(pairs.collect::<S3Result<Vec<_>>>()?, OF_OBJECT)?;
    Ok((!tags.is_empty()).then(|| written(&tags)))
}

/// How many tags an object's metadata holds; nothing for none.
pub(super) fn count(metadata: &BTreeMap<String, String>) -> Option<i32> {
    let tags = metadata.get(TAGGING)?;
    i32::try_from(tags.split('&').count()).ok()
}

fn written(tags: &Tags) -> String {
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let pairs = tags
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn shown(tags: &Tags) -> TagSet {
    let tag = |(name, value): (&String, &String)| Tag {
        key: Some(name.clone()),
        value: Some(value.clone()),
    };
    tags.iter().map(tag).collect()
}

fn sent(tags: TagSet, most: usize) -> S3Result<Tags> {
    let pairs = tags
        .into_iter()
        .map(|tag| (tag.key.unwrap_or_default(), tag.value.unwrap_or_default()));
    checked(pairs.collect(), most)
}

fn checked(pairs: Vec<(String, String)>, most: usize) -> S3Result<Tags> {
    if pairs.len() > most {
        return Err(invalid(format!(
            "{} tags are named; at most {most} may be",
            pairs.len()
        )));
    }
    let mut tags = Tags::new();
    for (name, value) in pairs {
        if !(1..=NAME).contains(&name.chars().count()) || value.chars().count() > VALUE {
            return Err(invalid(format!(
                "the tag {name:?} is not valid: its name must have 1 to {NAME} characters and its value at most {VALUE}"
            )));
        }
        if tags.insert(name.clone(), value).is_some() {
            return Err(invalid(format!("the tag {name:?} is named twice")));
        }
    }
    Ok(tags)
}

fn invalid(text: impl Into<std::borrow::Cow<'static, str>>) -> S3Error {
    S3Error::with_message(S3ErrorCode::InvalidTag, text)
}

pub(super) async fn get_object(
    server: &Server,
    request: S3Request<GetObjectTaggingInput>,
) -> S3Result<S3Response<GetObjectTaggingOutput>> {
    let input = request.input;
    refuse_versions(input.version_id.as_deref())?;
    let object = server
        .store
        .read(move |db| rows::get(db, &input.bucket, &input.key))
        .await?;
    let tags = object.metadata.get(TAGGING).map(String::as_str);
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let tag = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Tag {
            key: Some(decode(name)),
            value: Some(decode(value)),
        }
    };
    Ok(S3Response::new(GetObjectTaggingOutput {
        tag_set: tags.map_or_else(Vec::new, |tags| tags.split('&').map(tag).collect()),
        version_id: None,
    }))
}

pub(super) async fn put_object(
    server: &Server,
    request: S3Request<PutObjectTaggingInput>,
) -> S3Result<S3Response<PutObjectTaggingOutput>> {
    let input = request.input;
    refuse_versions(input.version_id.as_deref())?;
    let tags = sent(input.tagging.tag_set, OF_OBJECT)?;
    set_object(server, input.bucket, input.key, tags).await?;
    Ok(S3Response::new(PutObjectTaggingOutput::default()))
}

pub(super) async fn delete_object(
    server: &Server,
    request: S3Request<DeleteObjectTaggingInput>,
) -> S3Result<S3Response<DeleteObjectTaggingOutput>> {
    let input = request.input;
    refuse_versions(input.version_id.as_deref())?;
    set_object(server, input.bucket, input.key, Tags::new()).await?;
    Ok(S3Response::new(DeleteObjectTaggingOutput::default()))
}

async fn set_object(
    server: &Server,
    bucket: String,
    key: String,
    tags: Tags,
) -> Result<(), ObjectError> {
    let change = move |db: &Connection| {
        let mut metadata = rows::get(db, &bucket, &key)?.metadata;
        metadata.remove(TAGGING);
        if !tags.is_empty() {
            metadata.insert(TAGGING.to_owned(), written(&tags));
        }
        rows::set_metadata(db, &bucket, &key, &metadata)
    };
    server.store.write(change).await
}

pub(super) async fn get_bucket(
    server: &Server,
    request: S3Request<GetBucketTaggingInput>,
) -> S3Result<S3Response<GetBucketTaggingOutput>> {
    let name = request.input.bucket;
    let tags = server
        .store
        .read(move |db| buckets::require(db, &name))
        .await?
        .tags;
    if tags.is_empty() {
        let text = "the bucket has no tags";
        return Err(S3Error::with_message(S3ErrorCode::NoSuchTagSet, text));
    }
    Ok(S3Response::new(GetBucketTaggingOutput {
        tag_set: shown(&tags),
    }))
}

pub(super) async fn put_bucket(
    server: &Server,
    request: S3Request<PutBucketTaggingInput>,
) -> S3Result<S3Response<PutBucketTaggingOutput>> {
    let caller = access::caller(&request)?;
    let tags = sent(request.input.tagging.tag_set, OF_BUCKET)?;
    let may_all = caller.is_administrator();
    set_bucket(server, request.input.bucket, tags, may_all).await?;
    Ok(S3Response::new(PutBucketTaggingOutput::default()))
}

pub(super) async fn delete_bucket(
    server: &Server,
    request: S3Request<DeleteBucketTaggingInput>,
) -> S3Result<S3Response<DeleteBucketTaggingOutput>> {
    set_bucket(server, request.input.bucket, Tags::new(), false).await?;
    Ok(S3Response::new(DeleteBucketTaggingOutput::default()))
}

/// Replaces all tags but the reserved ones, which stay unless `may_all`.
async fn set_bucket(server: &Server, name: String, tags: Tags, may_all: bool) -> S3Result<()> {
    let change = move |db: &Connection| {
        let bucket = buckets::require(db, &name)?;
        let kept: Tags = bucket
            .tags
            .clone()
            .into_iter()
            .filter(|(name, _)| RESERVED.contains(&name.as_str()))
            .collect();
        let differs = |name: &&str| tags.contains_key(*name) && tags.get(*name) != kept.get(*name);
        if let Some(name) = RESERVED.iter().find(|name| differs(name))
            && !may_all
        {
            return Ok::<_, ObjectError>(Some(*name));
        }
        let tags = kept.into_iter().chain(tags).collect();
        buckets::update(db, &Bucket { tags, ..bucket })?;
        Ok(None)
    };
    match server.store.write(change).await? {
        None => Ok(()),
        Some(name) => {
            let text = format!("the tag {name:?} is set by the server; leave it as it is");
            Err(S3Error::with_message(S3ErrorCode::AccessDenied, text))
        }
    }
}
