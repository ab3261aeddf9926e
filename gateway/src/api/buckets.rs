//! Buckets: list, read with their objects, create, update, delete.

use std::collections::{BTreeMap, HashMap};

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::Here;
use super::answer::json;
use super::body::{self, MAX_JSON};
use super::problem::Problem;
use crate::objects::{Bucket, ObjectError, buckets, list_page};
use crate::services::Place;

/// Tag with the bucket's owner; the listing leaves it out, as the reference does.
const OWNER: &str = "owner";

/// A bucket as it is shown.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = Bucket))]
struct Shown {
    bucket_name: String,
    visibility: String,
    allowed_users: Vec<String>,
    owner: String,
    metadata: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    objects: Option<Vec<Entry>>,
    storage_quota: Quota,
    storage_usage: Usage,
    attribution: &'static str,
    #[serde(flatten)]
    paging: Option<Paging>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = BucketObject))]
struct Entry {
    object_name: String,
    size_bytes: u64,
    last_modified: String,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = StorageQuota))]
struct Quota {
    source: &'static str,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = StorageUsage))]
struct Usage {
    used: String,
    used_bytes: u64,
    objects: u64,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = BucketPaging))]
struct Paging {
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page: Option<String>,
    is_truncated: bool,
    returned_items: usize,
}

/// What a client sends.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = BucketInput))]
#[serde(default)]
struct Wanted {
    bucket_name: String,
    /// Absent: private for a new bucket, unchanged for an old one.
    visibility: Option<String>,
    allowed_users: Option<Vec<String>>,
}

/// All buckets.
#[cfg_attr(test, utoipa::path(get, path = "/system/buckets",
    responses(
        (status = 200, description = "All buckets that the caller may see.", body = Vec<Shown>),
    ),
))]
pub(super) async fn list(State(app): Here) -> Result<Response, Problem> {
    let shown = app.store.read(|db| {
        let all = buckets::list(db)?;
        all.into_iter()
            .map(|bucket| shown(db, bucket))
            .collect::<Result<Vec<_>, ObjectError>>()
    });
    let mut shown = shown.await?;
    for bucket in &mut shown {
        bucket.metadata.remove(OWNER);
    }
    json(&shown)
}

/// One bucket with a page of its objects.
#[cfg_attr(test, utoipa::path(get, path = "/system/buckets/{bucket}",
    params(("page" = Option<String>, Query, description = "`next_page` of the page before; empty is the first.")),
    responses(
        (status = 200, description = "The bucket with a page of its objects.", body = Shown),
        (status = 400, description = "The page is not one that a listing named.", body = String),
        (status = 404, description = "There is no such bucket.", body = String),
    ),
))]
pub(super) async fn show(
    State(app): Here,
    Path(name): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Response, Problem> {
    let after = match query.get("page").filter(|page| !page.is_empty()) {
        None => String::new(),
        Some(page) => key_of_token(page)
            .ok_or_else(|| Problem::bad("the page is not one that a listing named"))?,
    };
    let limit = app.settings.limits.listing;
    let bucket = app.store.read(move |db| {
        let Some(bucket) = buckets::get(db, &name)? else {
            return Err(missing(&name));
        };
        let page = list_page(db, &name, "", &after, limit)?;
        let objects: Vec<_> = page.objects.into_iter().map(Entry::from).collect();
        let paging = Paging {
            is_truncated: page.next.is_some(),
            next_page: page.next.map(|key| BASE64_URL_SAFE_NO_PAD.encode(key)),
            returned_items: objects.len(),
        };
        Ok(Shown {
            objects: Some(objects),
            paging: Some(paging),
            ..shown(db, bucket)?
        })
    });
    json(&bucket.await?)
}

/// Adds a bucket, and a folder in it when the name is `bucket/folder`.
#[cfg_attr(test, utoipa::path(post, path = "/system/buckets",
    request_body = Wanted,
    responses(
        (status = 201, description = "The bucket is there."),
        (status = 400, description = "The specification is not valid.", body = String),
        (status = 409, description = "The name is taken.", body = String),
    ),
))]
pub(super) async fn create(State(app): Here, body: Body) -> Result<StatusCode, Problem> {
    let wanted = read(body).await?;
    let place = Place::of_path(&wanted.bucket_name);
    let owner = &app.settings.name;
    let tags = [(OWNER, owner.as_str()), ("owner_name", "oscar")];
    let bucket = Bucket {
        name: place.bucket.clone(),
        visibility: wanted.visibility.unwrap_or_else(|| "private".to_owned()),
        allowed_users: wanted.allowed_users.unwrap_or_default(),
        tags: tags
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
        ..Bucket::default()
    };
    let added = app.store.write(move |db| {
        buckets::create(db, &bucket)?;
        if place.folder.is_empty() {
            Ok(())
        } else {
            buckets::ensure_folder(db, &bucket.name, &place.folder)
        }
    });
    added
        .await
        .map_err(|cause| refused(&wanted.bucket_name, cause))?;
    Ok(StatusCode::CREATED)
}

/// Changes who may see a bucket.
#[cfg_attr(test, utoipa::path(put, path = "/system/buckets",
    request_body = Wanted,
    responses(
        (status = 204, description = "Changed."),
        (status = 400, description = "The specification is not valid.", body = String),
        (status = 404, description = "There is no such bucket.", body = String),
    ),
))]
pub(super) async fn update(State(app): Here, body: Body) -> Result<StatusCode, Problem> {
    let wanted = read(body).await?;
    let changed = app.store.write(move |db| {
        let name = Place::of_path(&wanted.bucket_name).bucket;
        let Some(mut bucket) = buckets::get(db, &name)? else {
            return Err(missing(&name));
        };
        bucket.visibility = wanted.visibility.unwrap_or(bucket.visibility);
        bucket.allowed_users = wanted.allowed_users.unwrap_or(bucket.allowed_users);
        Ok(buckets::update(db, &bucket)?)
    });
    changed.await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Deletes a bucket with its content.
#[cfg_attr(test, utoipa::path(delete, path = "/system/buckets/{bucket}",
    responses(
        (status = 204, description = "Gone, with its content."),
        (status = 404, description = "There is no such bucket.", body = String),
    ),
))]
pub(super) async fn delete(
    State(app): Here,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    let deleted = app.store.write(move |db| {
        if buckets::get(db, &name)?.is_none() {
            return Err(missing(&name));
        }
        Ok(buckets::delete(db, &name)?)
    });
    deleted.await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn read(body: Body) -> Result<Wanted, Problem> {
    let invalid =
        |reason: String| Problem::bad(format!("The Bucket specification is not valid: {reason}"));
    let mut wanted: Wanted = body::lenient(&body::read(body, MAX_JSON).await?).map_err(invalid)?;
    if wanted.bucket_name.trim_matches(['/', ' ']).is_empty() {
        return Err(invalid(
            "bucket_name: it is missing; name the bucket".to_owned(),
        ));
    }
    wanted.visibility = wanted
        .visibility
        .filter(|visibility| !visibility.is_empty());
    if let Some(visibility) = &wanted.visibility
        && !matches!(visibility.as_str(), "private" | "restricted" | "public")
    {
        return Err(invalid(format!(
            "visibility: {visibility:?} is not known; expected private, restricted or public"
        )));
    }
    if let Some(users) = &mut wanted.allowed_users {
        for user in users.iter_mut() {
            *user = user.trim().to_owned();
        }
        users.retain(|user| !user.is_empty());
    }
    Ok(wanted)
}

fn shown(db: &Connection, bucket: Bucket) -> Result<Shown, ObjectError> {
    let usage = buckets::usage(db, &bucket.name)?;
    let restricted = bucket.visibility == "restricted";
    let tagged = bucket.tags.get(OWNER).cloned().unwrap_or_default();
    Ok(Shown {
        owner: if bucket.owner.is_empty() {
            tagged
        } else {
            bucket.owner
        },
        bucket_name: bucket.name,
        visibility: bucket.visibility,
        allowed_users: if restricted {
            bucket.allowed_users
        } else {
            Vec::new()
        },
        metadata: bucket.tags,
        objects: None,
        storage_quota: Quota { source: "unset" },
        storage_usage: Usage {
            used: quantity(usage.bytes),
            used_bytes: usage.bytes,
            objects: usage.objects,
        },
        attribution: "complete",
        paging: None,
    })
}

impl From<crate::objects::Object> for Entry {
    fn from(object: crate::objects::Object) -> Self {
        let seconds = jiff::Timestamp::from_second(object.modified.as_second()).unwrap_or_default();
        Self {
            object_name: object.key,
            size_bytes: object.size,
            last_modified: seconds.to_string(),
        }
    }
}

/// Bytes as Kubernetes writes them: the largest binary unit that loses nothing.
fn quantity(bytes: u64) -> String {
    let units = ["", "Ki", "Mi", "Gi", "Ti", "Pi"];
    let mut number = bytes;
    let mut unit = 0;
    while number != 0 && number.is_multiple_of(1024) && unit + 1 < units.len() {
        number /= 1024;
        unit += 1;
    }
    format!("{number}{}", units[unit])
}

fn key_of_token(token: &str) -> Option<String> {
    String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(token).ok()?).ok()
}

fn missing(bucket: &str) -> Problem {
    Problem::Text(
        StatusCode::NOT_FOUND,
        format!("The bucket '{bucket}' does not exist"),
    )
}

fn refused(name: &str, cause: ObjectError) -> Problem {
    let text = format!("Error creating bucket with name '{name}': {cause}");
    match cause {
        ObjectError::BucketExists(_) => Problem::Text(StatusCode::CONFLICT, text),
        ObjectError::BucketName { .. } | ObjectError::Key { .. } => Problem::bad(text),
        other => other.into(),
    }
}

#[cfg(test)]
#[allow(clippy::items_after_statements)] // The check of a table stands below it.
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_as_kubernetes_does() {
        check(0, "0");
        check(1000, "1000");
        check(1024, "1Ki");
        check(1536, "1536");
        check(5 << 30, "5Gi");

        #[track_caller]
        fn check(bytes: u64, expected: &str) {
            assert_eq!(quantity(bytes), expected);
        }
    }
}
