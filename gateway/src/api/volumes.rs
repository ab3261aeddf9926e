//! `/system/volumes`: managed volumes of the caller.

use std::collections::HashMap;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use spillway_model::quantity::Memory;

use super::Here;
use super::answer::json;
use super::body::{self, MAX_JSON};
use super::jobs::flag;
use super::problem::Problem;
use crate::auth::Caller;
use crate::volumes::{self, Volume, VolumeError, Volumes};

/// A volume as it is shown.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = Volume))]
struct Shown {
    name: String,
    namespace: &'static str,
    /// What the container engine calls it.
    pvc_name: String,
    size: String,
    owner_user: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    created_by_service: String,
    creation_mode: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    lifecycle_policy: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<Attachment>,
    status: Status,
    /// Where it is; absent before a service first mounts it.
    #[serde(skip_serializing_if = "String::is_empty")]
    node: String,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = VolumeAttachment))]
struct Attachment {
    service_name: String,
    mount_path: String,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = VolumeState))]
struct Status {
    phase: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    message: String,
    #[serde(skip_serializing_if = "is_zero")]
    attachment_count: usize,
    /// Bytes that it held when its node last looked.
    #[serde(skip_serializing_if = "Option::is_none")]
    used_bytes: Option<u64>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // The signature serde asks for.
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// What a client sends.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = VolumeInput))]
#[serde(default)]
struct Wanted {
    #[cfg_attr(test, schema(example = "models"))]
    name: String,
    /// A quantity.
    #[cfg_attr(test, schema(example = "1Gi"))]
    size: String,
}

/// Lists the caller's volumes.
#[cfg_attr(test, utoipa::path(get, path = "/system/volumes",
    responses(
        (status = 200, description = "The volumes, by name.", body = Vec<Shown>),
    ),
))]
pub(super) async fn list(State(app): Here, caller: Caller) -> Result<Response, Problem> {
    let owner = owner(&caller);
    let volumes = app.store.read(move |db| volumes::list(db, &owner)).await?;
    let shown: Vec<_> = volumes
        .into_iter()
        .map(|volume| shown(&app.volumes, volume))
        .collect();
    json(&shown)
}

/// Makes a volume, for services to mount.
///
/// Its node is chosen when a service first mounts it.
#[cfg_attr(test, utoipa::path(post, path = "/system/volumes", request_body = Wanted,
    responses(
        (status = 201, description = "The volume.", body = Shown),
        (status = 400, description = "The volume is not valid, or exceeds a quota.", body = String),
        (status = 409, description = "There is one of that name.", body = String),
    ),
))]
pub(super) async fn create(
    State(app): Here,
    caller: Caller,
    body: Body,
) -> Result<Response, Problem> {
    let wanted: Wanted = body::lenient(&body::read(body, MAX_JSON).await?).map_err(Problem::bad)?;
    let (name, size) = (wanted.name.trim(), wanted.size.trim());
    let made = app.volumes.create(&owner(&caller), name, size).await?;
    let answer = json(&shown(&app.volumes, made))?;
    Ok((StatusCode::CREATED, answer).into_response())
}

/// Shows a volume.
#[cfg_attr(test, utoipa::path(get, path = "/system/volumes/{name}",
    responses(
        (status = 200, description = "The volume.", body = Shown),
        (status = 404, description = "The caller has no such volume."),
    ),
))]
pub(super) async fn show(
    State(app): Here,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let owner = owner(&caller);
    let volumes = app.store.read(move |db| volumes::list(db, &owner)).await?;
    let mut named: Vec<_> = volumes
        .into_iter()
        .filter(|volume| volume.name == name)
        .collect();
    named.sort_by_key(Volume::is_going);
    let volume = named.into_iter().next().ok_or(Problem::NOT_FOUND)?;
    json(&shown(&app.volumes, volume))
}

/// Deletes a volume with all it holds.
///
/// It stays visible as `deleting` until its node has confirmed it. With `force=true` the node is not waited for.
#[cfg_attr(test, utoipa::path(delete, path = "/system/volumes/{name}",
    params(("force" = Option<bool>, Query, description = "Its node is gone for good.")),
    responses(
        (status = 204, description = "It is gone, or will be."),
        (status = 400, description = "A service mounts it.", body = String),
    ),
))]
pub(super) async fn delete(
    State(app): Here,
    caller: Caller,
    Path(name): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<StatusCode, Problem> {
    let forget = flag(&query, "force");
    app.volumes.delete(&owner(&caller), &name, forget).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Everybody has a set of their own; all administrators share one.
fn owner(caller: &Caller) -> String {
    caller.uid().unwrap_or_default().to_owned()
}

fn shown(volumes: &Volumes, volume: Volume) -> Shown {
    let used_bytes = volumes.bytes_in(&volume.id);
    let mut message = volume.message.clone();
    if message.is_empty() && used_bytes.is_some_and(|used| used > volume.bytes) {
        message = format!(
            "it holds {}, more than its size; the container engine does not enforce sizes",
            Memory::from_bytes(used_bytes.unwrap_or(0))
        );
    }
    let by_service = !volume.service.is_empty();
    Shown {
        status: Status {
            phase: volume.phase().to_owned(),
            message,
            attachment_count: volume.attachments.len(),
            used_bytes,
        },
        name: volume.name,
        namespace: "oscar-svc",
        pvc_name: volume.id,
        size: volume.size,
        owner_user: if volume.owner.is_empty() {
            crate::auth::ADMINISTRATOR.to_owned()
        } else {
            volume.owner
        },
        created_by_service: volume.service,
        creation_mode: if by_service { "service" } else { "api" },
        lifecycle_policy: volume.policy,
        attachments: volume
            .attachments
            .into_iter()
            .map(|attachment| Attachment {
                service_name: attachment.service,
                mount_path: attachment.mount_path,
            })
            .collect(),
        node: volume.node,
    }
}

impl From<VolumeError> for Problem {
    fn from(error: VolumeError) -> Self {
        let status = match error {
            VolumeError::Exists => StatusCode::CONFLICT,
            VolumeError::Name(_) => StatusCode::INTERNAL_SERVER_ERROR,
            VolumeError::Store(cause) => return cause.into(),
            VolumeError::Missing
            | VolumeError::Attached
            | VolumeError::Changed
            | VolumeError::Invalid(_)
            | VolumeError::Quota(_) => StatusCode::BAD_REQUEST,
        };
        Self::Text(status, error.to_string())
    }
}
