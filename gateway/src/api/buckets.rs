//! Buckets: list, read with their objects, create, update, delete; each as far as the caller may.

mod shown;
mod wanted;

use std::collections::HashMap;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rusqlite::Connection;

use super::Here;
use super::answer::json;
use super::problem::Problem;
use crate::auth::Caller;
use crate::auth::access::{may_change_bucket, may_read_bucket};
use crate::objects::{Bucket, ObjectError, buckets, list_page, quotas};
use crate::services::Place;
use shown::{Entry, Paging, Shown};
#[cfg(test)]
use wanted::Wanted;

/// All buckets that the caller sees.
#[cfg_attr(test, utoipa::path(get, path = "/system/buckets",
    responses(
        (status = 200, description = "All buckets that the caller may see.", body = Vec<Shown>),
    ),
))]
pub(super) async fn list(State(app): Here, caller: Caller) -> Result<Response, Problem> {
    let shown = app.store.read(move |db| {
        let all = buckets::list(db)?;
        all.into_iter()
            .filter(|bucket| may_read_bucket(&caller, bucket))
            .map(|bucket| Shown::of(db, bucket))
            .collect::<Result<Vec<_>, ObjectError>>()
    });
    let mut shown = shown.await?;
    for bucket in &mut shown {
        bucket.metadata.remove(buckets::OWNER); // The reference leaves it out here.
    }
    json(&shown)
}

/// One bucket with a page of its objects.
#[cfg_attr(test, utoipa::path(get, path = "/system/buckets/{bucket}",
    params(("page" = Option<String>, Query, description = "`next_page` of the page before; empty is the first.")),
    responses(
        (status = 200, description = "The bucket with a page of its objects.", body = Shown),
        (status = 400, description = "The page is not one that a listing named.", body = String),
        (status = 403, description = "The caller may not see it.", body = String),
        (status = 404, description = "There is no such bucket.", body = String),
    ),
))]
pub(super) async fn show(
    State(app): Here,
    caller: Caller,
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
        let bucket = existing(db, &name)?;
        if !may_read_bucket(&caller, &bucket) {
            return Err(not_authorised(&caller));
        }
        let page = list_page(db, &name, "", &after, limit)?;
        let objects: Vec<_> = page.objects.into_iter().map(Entry::from).collect();
        let paging = Paging {
            is_truncated: page.next.is_some(),
            next_page: page.next.map(|key| BASE64_URL_SAFE_NO_PAD.encode(key)),
            returned_items: objects.len(),
        };
        Ok(Shown::of(db, bucket)?.with(objects, paging))
    });
    json(&bucket.await?)
}

/// Adds a bucket of the caller's, and a folder in it when the name is `bucket/folder`.
#[cfg_attr(test, utoipa::path(post, path = "/system/buckets",
    request_body = Wanted,
    responses(
        (status = 201, description = "The bucket is there."),
        (status = 400, description = "The specification is not valid.", body = String),
        (status = 403, description = "The caller has as many buckets as he may have.", body = String),
        (status = 409, description = "The name is taken.", body = String),
        (status = 507, description = "The disk is full.", body = String),
    ),
))]
pub(super) async fn create(
    State(app): Here,
    caller: Caller,
    body: Body,
) -> Result<StatusCode, Problem> {
    let wanted = wanted::read(body).await?;
    let place = Place::of_path(&wanted.bucket_name);
    let new = Bucket::private(place.bucket.clone(), &caller, &app.settings.name);
    let bucket = Bucket {
        visibility: wanted.visibility.unwrap_or(new.visibility),
        allowed_users: wanted.allowed_users.unwrap_or_default(),
        ..new
    };
    let added = app.store.write(move |db| {
        if buckets::get(db, &bucket.name)?.is_none() {
            quotas::check_buckets(db, &bucket.owner)?;
        }
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
        (status = 403, description = "It belongs to somebody else.", body = String),
        (status = 404, description = "There is no such bucket.", body = String),
        (status = 507, description = "The disk is full.", body = String),
    ),
))]
pub(super) async fn update(
    State(app): Here,
    caller: Caller,
    body: Body,
) -> Result<StatusCode, Problem> {
    let wanted = wanted::read(body).await?;
    let changed = app.store.write(move |db| {
        let mut bucket = changeable(db, &caller, &Place::of_path(&wanted.bucket_name).bucket)?;
        bucket.visibility = wanted.visibility.unwrap_or(bucket.visibility);
        bucket.allowed_users = wanted.allowed_users.unwrap_or(bucket.allowed_users);
        Ok::<_, Problem>(buckets::update(db, &bucket)?)
    });
    changed.await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Deletes a bucket with its content.
#[cfg_attr(test, utoipa::path(delete, path = "/system/buckets/{bucket}",
    responses(
        (status = 204, description = "Gone, with its content."),
        (status = 403, description = "It belongs to somebody else.", body = String),
        (status = 404, description = "There is no such bucket.", body = String),
        (status = 507, description = "The disk is full.", body = String),
    ),
))]
pub(super) async fn delete(
    State(app): Here,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    let deleted = app.store.write(move |db| {
        changeable(db, &caller, &name)?;
        Ok::<_, Problem>(buckets::delete(db, &name)?)
    });
    deleted.await?;
    Ok(StatusCode::NO_CONTENT)
}

fn existing(db: &Connection, name: &str) -> Result<Bucket, Problem> {
    let missing = || {
        Problem::Text(
            StatusCode::NOT_FOUND,
            format!("The bucket '{name}' does not exist"),
        )
    };
    buckets::get(db, name)?.ok_or_else(missing)
}

fn changeable(db: &Connection, caller: &Caller, name: &str) -> Result<Bucket, Problem> {
    let bucket = existing(db, name)?;
    if may_change_bucket(caller, &bucket) {
        Ok(bucket)
    } else {
        Err(not_authorised(caller))
    }
}

/// 403, as the reference says it.
pub(super) fn not_authorised(caller: &Caller) -> Problem {
    let uid = caller.uid().unwrap_or_default();
    Problem::Text(
        StatusCode::FORBIDDEN,
        format!("User '{uid}' is not authorised"),
    )
}

fn key_of_token(token: &str) -> Option<String> {
    String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(token).ok()?).ok()
}

fn refused(name: &str, cause: ObjectError) -> Problem {
    let text = format!("Error creating bucket with name '{name}': {cause}");
    match cause {
        ObjectError::BucketExists(_) => Problem::Text(StatusCode::CONFLICT, text),
        ObjectError::BucketName { .. } | ObjectError::Key { .. } => Problem::bad(text),
        other => other.into(),
    }
}
