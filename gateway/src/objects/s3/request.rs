//! What our operations need of a request, out of `s3s`' types and back into them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::SystemTime;

use axum::extract::ConnectInfo;
use axum::http::header::USER_AGENT;
use jiff::Timestamp;
use s3s::dto::{ETag, ETagCondition, Metadata, TimestampFormat};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Result, dto};

use crate::objects::Actor;
use crate::objects::blobs::{CHECKSUMS, Expected, Trailer, no_trailer};
use crate::objects::conditions::Tag;
use crate::objects::rows::KEPT_HEADERS;

/// Prefix of the headers that carry the user's metadata.
const USER: &str = "x-amz-meta-";

/// Where the kind of an object's checksums is kept among its metadata.
pub(super) const CHECKSUM_TYPE: &str = "x-amz-checksum-type";

/// What S3 says of an object whose uploader said nothing.
pub(super) const DEFAULT_CONTENT_TYPE: &str = "binary/octet-stream";

/// User metadata of one object at most, in bytes of names and values.
const MAX_USER_METADATA: usize = 2 * 1024;

/// Who sent a request, and from where.
pub(super) fn actor<T>(request: &S3Request<T>) -> Actor {
    let address = request.extensions.get::<ConnectInfo<SocketAddr>>();
    let agent = request
        .headers
        .get(USER_AGENT)
        .and_then(|agent| agent.to_str().ok());
    Actor {
        principal: request
            .credentials
            .as_ref()
            .map(|caller| caller.access_key.clone())
            .unwrap_or_default(),
        source_ip: address
            .map(|address| address.0.ip().to_canonical().to_string())
            .unwrap_or_default(),
        user_agent: agent.unwrap_or_default().to_owned(),
    }
}

/// The headers that are kept with an object, as its uploader gave them.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) content_type: Option<String>,
    pub(super) cache_control: Option<String>,
    pub(super) content_disposition: Option<String>,
    pub(super) content_encoding: Option<String>,
    pub(super) content_language: Option<String>,
    pub(super) expires: Option<dto::Timestamp>,
    pub(super) user: Option<Metadata>,
}

/// Takes the kept headers out of an input; its fields have the same names in several types.
macro_rules! kept {
    ($input:expr) => {
        crate::objects::s3::request::Kept {
            content_type: $input.content_type.take(),
            cache_control: $input.cache_control.take(),
            content_disposition: $input.content_disposition.take(),
            content_encoding: $input.content_encoding.take(),
            content_language: $input.content_language.take(),
            expires: $input.expires.take(),
            user: $input.metadata.take(),
        }
    };
}
pub(super) use kept;

/// Refuses what an upload asks for that is not here: to ignore it silently would be a lie. The fields have the same
/// names in several types.
macro_rules! refuse {
    ($input:expr) => {
        crate::objects::s3::acl::refuse(
            $input.acl.as_ref().map(|acl| acl.as_str()),
            [
                $input.grant_full_control.as_ref(),
                $input.grant_read.as_ref(),
                $input.grant_read_acp.as_ref(),
                $input.grant_write_acp.as_ref(),
            ],
        )?;
        crate::objects::s3::request::refuse_encryption(
            $input.sse_customer_algorithm.as_ref(),
            $input
                .server_side_encryption
                .as_ref()
                .map(|kind| kind.as_str()),
        )?;
        crate::objects::s3::request::refuse_lock(
            $input.object_lock_mode.is_some()
                || $input.object_lock_retain_until_date.is_some()
                || $input
                    .object_lock_legal_hold_status
                    .as_ref()
                    .is_some_and(|hold| hold.as_str() != "OFF"),
        )?;
        crate::objects::s3::request::check_class(
            $input.storage_class.as_ref().map(|class| class.as_str()),
        )?;
    };
}
pub(super) use refuse;

/// Nothing is encrypted here.
pub(super) fn refuse_encryption(customer: Option<&String>, kind: Option<&str>) -> S3Result<()> {
    let what = match (customer, kind) {
        (Some(_), _) => "encryption with keys of the client (SSE-C)",
        (_, Some(_)) => "encryption at rest (x-amz-server-side-encryption)",
        (None, None) => return Ok(()),
    };
    let text = format!("{what} is not implemented");
    Err(S3Error::with_message(S3ErrorCode::NotImplemented, text))
}

/// As buckets answer that have no lock configuration.
pub(super) fn refuse_lock(asks: bool) -> S3Result<()> {
    if asks {
        let text = "Bucket is missing Object Lock Configuration: objects cannot be locked here";
        return Err(S3Error::with_message(S3ErrorCode::InvalidRequest, text));
    }
    Ok(())
}

/// There is one class; the old name of a second one is taken for it, as `MinIO` does.
pub(super) fn check_class(class: Option<&str>) -> S3Result<()> {
    match class {
        None | Some("STANDARD" | "REDUCED_REDUNDANCY") => Ok(()),
        Some(other) => {
            let text = format!("the storage class {other:?} is not known; expected STANDARD");
            Err(S3Error::with_message(
                S3ErrorCode::InvalidStorageClass,
                text,
            ))
        }
    }
}

impl Kept {
    /// Content type and metadata as they are stored.
    pub(super) fn into_stored(self) -> S3Result<(String, BTreeMap<String, String>)> {
        // "aws-chunked" describes the transfer, not the content.
        let encoding = self.content_encoding.map(|encoding| {
            let kept = encoding
                .split(',')
                .map(str::trim)
                .filter(|one| !one.eq_ignore_ascii_case("aws-chunked"));
            kept.collect::<Vec<_>>().join(", ")
        });
        let values = [
            self.cache_control,
            self.content_disposition,
            encoding,
            self.content_language,
            self.expires
                .as_ref()
                .map(|time| formatted(time, TimestampFormat::HttpDate)),
        ];
        let mut stored: BTreeMap<String, String> = KEPT_HEADERS
            .into_iter()
            .zip(values)
            .filter_map(|(name, value)| {
                Some((name.to_owned(), value.filter(|value| !value.is_empty())?))
            })
            .collect();
        let mut size = 0;
        for (name, value) in self.user.unwrap_or_default() {
            size += name.len() + value.len();
            stored.insert(format!("{USER}{}", name.to_lowercase()), value);
        }
        if size > MAX_USER_METADATA {
            let text = format!(
                "the user metadata has {size} bytes; at most {MAX_USER_METADATA} are allowed"
            );
            return Err(S3Error::with_message(S3ErrorCode::MetadataTooLarge, text));
        }
        let content_type = self
            .content_type
            .filter(|content_type| !content_type.is_empty());
        Ok((
            content_type.unwrap_or_else(|| DEFAULT_CONTENT_TYPE.to_owned()),
            stored,
        ))
    }
}

/// The user's part of stored metadata.
pub(super) fn user_metadata(stored: &BTreeMap<String, String>) -> Option<Metadata> {
    let user: Metadata = stored
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix(USER)?.to_owned(), value.clone())))
        .collect();
    (!user.is_empty()).then_some(user)
}

/// What a request announces of its content.
pub(super) fn expected<T>(
    request: &S3Request<T>,
    md5: Option<String>,
    length: Option<i64>,
) -> Expected {
    let header = |name: &str| {
        request
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let trailers: Vec<String> = request
        .headers
        .get_all("x-amz-trailer")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let announced = |name: &'static str| match header(name) {
        Some(value) => Some((name, Some(value.to_owned()))),
        None => trailers
            .iter()
            .any(|trailer| trailer == name)
            .then_some((name, None)),
    };
    Expected {
        md5,
        length: length.and_then(|length| u64::try_from(length).ok()),
        checksums: CHECKSUMS.into_iter().filter_map(announced).collect(),
        wanted: None,
    }
}

/// Looks up trailers of a request, once its content is in.
pub(super) fn trailer<T>(request: &mut S3Request<T>) -> Trailer {
    let Some(trailers) = request.trailing_headers.take() else {
        return no_trailer();
    };
    Box::new(move |name| {
        trailers
            .read(|all| Some(all.get(name)?.to_str().ok()?.to_owned()))
            .flatten()
    })
}

/// A condition's `ETag`, without its quotes.
pub(super) fn tag(condition: Option<ETagCondition>) -> Option<Tag> {
    Some(match condition? {
        ETagCondition::Any => Tag::Any,
        ETagCondition::ETag(etag) => Tag::Is(etag.into_value()),
    })
}

/// Whole seconds since the Unix epoch.
pub(super) fn seconds(time: Option<dto::Timestamp>) -> Option<i64> {
    let text = formatted(&time?, TimestampFormat::EpochSeconds);
    text.split('.').next()?.parse().ok()
}

pub(super) fn formatted(time: &dto::Timestamp, format: TimestampFormat) -> String {
    let mut text = Vec::new();
    // Writing to memory cannot fail, and a year that has no format is as good as no date.
    drop(time.format(format, &mut text));
    String::from_utf8(text).unwrap_or_default()
}

pub(super) fn timestamp(time: Timestamp) -> dto::Timestamp {
    dto::Timestamp::from(SystemTime::from(time))
}

/// Quoted on the wire.
pub(super) fn etag(etag: &str) -> ETag {
    ETag::Strong(etag.to_owned())
}

pub(super) fn invalid(text: impl Into<std::borrow::Cow<'static, str>>) -> S3Error {
    S3Error::with_message(S3ErrorCode::InvalidArgument, text)
}
