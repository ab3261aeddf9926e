//! `POST /system/buckets/{bucket}/presign`: a URL that lets whoever has it put or get one object for a while.
//!
//! It is signed (AWS signature version 4, in the query) with the caller's own keys, so the object store decides at its
//! use whether the caller may, as with any other request.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::answer::json;
use super::body::{self, MAX_JSON};
use super::buckets::not_authorised;
use super::problem::Problem;
use super::{App, Here};
use crate::auth::Caller;
use crate::auth::access::{may_read_bucket, may_write_bucket};
use crate::objects::{Bucket, Signing, buckets, check_key};

/// Seconds that a URL works unless the caller says otherwise.
const USUAL: i64 = 900;

/// Seconds at most: a week, as S3 has it.
const LONGEST: i64 = 604_800;

/// Headers that a caller may add at most, and bytes of all of them.
const MOST_HEADERS: usize = 32;
const HEADER_BYTES: usize = 8 * 1024;

/// Headers that the signature or the transport decides on.
const OURS: [&str; 6] = [
    "host",
    "authorization",
    "content-length",
    "transfer-encoding",
    "connection",
    "x-amz-date",
];

#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = PresignInput))]
#[serde(default)]
struct Wanted {
    /// Name of the object; it need not exist. Slashes at its ends do not count.
    #[cfg_attr(test, schema(required, min_length = 1, example = "in/photo.png"))]
    object_key: String,
    /// `upload` or `download`, in any case.
    #[cfg_attr(
        test,
        schema(required, pattern = "^(upload|download)$", example = "upload")
    )]
    operation: String,
    /// Seconds that the URL works; 0 for 900.
    #[cfg_attr(test, schema(minimum = 0, maximum = 604_800))]
    expires_in: i64,
    /// The same, from clients of the 2.x line.
    #[cfg_attr(test, schema(minimum = 0, maximum = 604_800))]
    expires: i64,
    /// Type of what is uploaded, or what the download shall be called.
    content_type: String,
    /// More headers to be signed.
    extra_headers: BTreeMap<String, String>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = Presigned))]
struct Presigned {
    object_key: String,
    operation: &'static str,
    method: &'static str,
    url: String,
    expires_at: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
}

/// Makes the URL.
#[cfg_attr(test, utoipa::path(post, path = "/system/buckets/{bucket}/presign",
    request_body = Wanted,
    responses(
        (status = 200, description = "The URL, and the headers to send with it.", body = Presigned),
        (status = 400, description = "The request is not valid.", body = String),
        (status = 403, description = "The caller may not.", body = String),
        (status = 404, description = "There is no such bucket.", body = String),
    ),
))]
pub(super) async fn presign(
    State(app): Here,
    caller: Caller,
    Path(bucket): Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    let wanted: Wanted = body::lenient(&body::read(body, MAX_JSON).await?)
        .map_err(|reason| Problem::bad(format!("the request is not valid: {reason}")))?;
    let key = wanted.object_key.trim().trim_matches('/').trim().to_owned();
    if key.is_empty() {
        return Err(Problem::bad("object_key: it is missing; name the object"));
    }
    check_key(&key).map_err(|reason| Problem::bad(format!("object_key: {reason}")))?;
    let is_upload = match wanted.operation.trim().to_ascii_lowercase().as_str() {
        "upload" => true,
        "download" => false,
        _ => {
            return Err(Problem::bad(format!(
                "operation: {:?} is not supported; expected upload or download",
                wanted.operation
            )));
        }
    };
    let asked = if wanted.expires_in == 0 {
        wanted.expires
    } else {
        wanted.expires_in
    };
    let expires_s = match asked {
        0 => USUAL,
        seconds if (1..=LONGEST).contains(&seconds) => seconds,
        seconds => {
            return Err(Problem::bad(format!(
                "expires_in: {seconds} is out of range; expected 1 to {LONGEST} seconds"
            )));
        }
    };
    let headers = headers(&wanted, is_upload)?;
    authorise(&app, &caller, &bucket, is_upload).await?;
    let (access_key, secret_key) = keys(&app, &caller).await?;
    let mut query = BTreeMap::new();
    if !is_upload && !wanted.content_type.is_empty() {
        query.insert("response-content-type".to_owned(), wanted.content_type);
    }
    let signing = Signing {
        access_key: &access_key,
        secret_key: &secret_key,
        region: &app.settings.region,
        base: &app.s3_url,
        now: Timestamp::now(),
        expires_s,
    };
    let (operation, method) = if is_upload {
        ("upload", "PUT")
    } else {
        ("download", "GET")
    };
    let url = signing.url(method, &format!("/{bucket}/{key}"), query, &headers);
    let ends = signing.now + SignedDuration::from_secs(expires_s);
    let ends = Timestamp::from_second(ends.as_second()).unwrap_or(ends);
    json(&Presigned {
        object_key: key,
        operation,
        method,
        url,
        expires_at: ends.to_string(),
        headers,
    })
}

/// Headers to be signed, by their names in lower case.
fn headers(wanted: &Wanted, is_upload: bool) -> Result<BTreeMap<String, String>, Problem> {
    let mut headers = BTreeMap::new();
    let mut bytes = 0;
    let content_type = (is_upload && !wanted.content_type.is_empty())
        .then(|| ("content-type".to_owned(), wanted.content_type.clone()));
    let extra = wanted
        .extra_headers
        .iter()
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.clone()));
    for (name, value) in extra.chain(content_type) {
        let valid = HeaderName::try_from(&name).is_ok()
            && HeaderValue::try_from(&value).is_ok()
            && value.is_ascii()
            && !OURS.contains(&name.as_str());
        if !valid {
            return Err(Problem::bad(format!(
                "extra_headers: {name:?} cannot be signed; expected a header other than {}",
                OURS.join(", ")
            )));
        }
        bytes += name.len() + value.len();
        headers.insert(name, value.trim().to_owned());
    }
    if headers.len() > MOST_HEADERS || bytes > HEADER_BYTES {
        return Err(Problem::bad(format!(
            "extra_headers: there are too many; at most {MOST_HEADERS} of together {HEADER_BYTES} bytes are allowed"
        )));
    }
    Ok(headers)
}

async fn authorise(app: &App, caller: &Caller, name: &str, is_upload: bool) -> Result<(), Problem> {
    let wanted = name.to_owned();
    let found: Option<Bucket> = app
        .store
        .read(move |db| buckets::get(db, &wanted).map_err(Problem::from))
        .await?;
    let Some(bucket) = found else {
        let text = format!("Bucket '{name}' not found");
        return Err(Problem::Text(StatusCode::NOT_FOUND, text));
    };
    let may = if is_upload {
        may_write_bucket
    } else {
        may_read_bucket
    };
    if may(caller, &bucket) {
        Ok(())
    } else {
        Err(not_authorised(caller))
    }
}

/// The caller's key pair.
async fn keys(app: &App, caller: &Caller) -> Result<(String, String), Problem> {
    let Some(uid) = caller.uid() else {
        let keys = &app.settings.credentials;
        return Ok((
            keys.access_key.reveal().to_owned(),
            keys.secret_key.reveal().to_owned(),
        ));
    };
    let secret_key = app
        .users
        .secret_key(uid)
        .await
        .map_err(Problem::internal("reading your object-store account"))?
        .ok_or_else(|| not_authorised(caller))?;
    Ok((uid.to_owned(), secret_key))
}
