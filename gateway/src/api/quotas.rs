//! `/system/quotas/user`: what users may use and what they use.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde_json::{Map, Value};
use spillway_model::quantity::Memory;

use super::answer::json;
use super::body::{self, MAX_JSON};
use super::problem::Problem;
use super::{App, Here};
use crate::auth::Caller;
use crate::quotas::{self, Change, Quotas, Refused, Used};

/// Longest user id in a path.
const LONGEST_UID: usize = 255;

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = Quota))]
struct Shown<'a> {
    user_id: &'a str,
    volumes: Volumes,
    /// Absent when nothing of it is limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    minio: Option<Minio>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = VolumeQuota))]
#[allow(clippy::struct_field_names)] // The reference's members.
struct Volumes {
    disk: Texts,
    volumes: Texts,
    max_disk_per_volume: String,
    min_disk_per_volume: String,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = QuotaTexts))]
struct Texts {
    max: String,
    used: String,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = StoreQuota))]
struct Minio {
    buckets: Numbers,
    storage_per_bucket: Max,
    storage_total: Total,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = QuotaNumbers))]
struct Numbers {
    max: u64,
    used: u64,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = QuotaMax))]
struct Max {
    max: String,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = QuotaTotal))]
struct Total {
    used: String,
}

/// What `quotas::Change` reads, for the document; at least one of the two.
#[cfg(test)]
#[derive(utoipa::ToSchema)]
#[allow(dead_code)] // Read member by member.
struct QuotaInput {
    volumes: Option<VolumeQuotaInput>,
    minio: Option<StoreQuotaInput>,
}

/// Quantities and numbers, all as strings.
#[cfg(test)]
#[derive(utoipa::ToSchema)]
#[allow(dead_code)]
struct VolumeQuotaInput {
    /// All volumes together.
    #[schema(example = "7Gi")]
    disk: Option<String>,
    /// How many.
    #[schema(example = "5")]
    volumes: Option<String>,
    #[schema(example = "5Gi")]
    max_disk_per_volume: Option<String>,
    #[schema(example = "200Mi")]
    min_disk_per_volume: Option<String>,
}

/// Quantities and numbers, all as strings.
#[cfg(test)]
#[derive(utoipa::ToSchema)]
#[allow(dead_code)]
struct StoreQuotaInput {
    /// How many.
    #[schema(example = "5")]
    buckets: Option<String>,
    #[schema(example = "5Gi")]
    storage_per_bucket: Option<String>,
}

/// The caller's own.
#[cfg_attr(test, utoipa::path(get, path = "/system/quotas/user",
    responses(
        (status = 200, description = "What the caller may use and uses.", body = Shown<'_>),
    ),
))]
pub(super) async fn own(State(app): Here, caller: Caller) -> Result<Response, Problem> {
    match caller.uid() {
        Some(uid) => shown(&app, uid).await,
        None => Err(Problem::Text(
            StatusCode::UNAUTHORIZED,
            "missing user identificator: the administrator has no quotas; name a user, as in /system/quotas/user/<id>"
                .to_owned(),
        )),
    }
}

/// Somebody's.
#[cfg_attr(test, utoipa::path(get, path = "/system/quotas/user/{id}",
    responses(
        (status = 200, description = "What the user may use and uses.", body = Shown<'_>),
        (status = 400, description = "The id is too long.", body = String),
        (status = 403, description = "Only the administrator may do this.", body = String),
    ),
))]
pub(super) async fn show(
    State(app): Here,
    caller: Caller,
    Path(uid): Path<String>,
) -> Result<Response, Problem> {
    permit(&caller, &uid)?;
    shown(&app, &uid).await
}

/// Sets somebody's.
#[cfg_attr(test, utoipa::path(put, path = "/system/quotas/user/{id}", request_body = QuotaInput,
    responses(
        (status = 200, description = "What the user may use and uses from now on.", body = Shown<'_>),
        (status = 400, description = "Nothing to change, or a value that is not valid.", body = String),
        (status = 403, description = "Only the administrator may do this.", body = String),
    ),
))]
pub(super) async fn replace(
    State(app): Here,
    caller: Caller,
    Path(uid): Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    permit(&caller, &uid)?;
    let body: Map<String, Value> =
        body::lenient(&body::read(body, MAX_JSON).await?).map_err(Problem::bad)?;
    let change = Change::read(body)?;
    let owner = uid.clone();
    app.store
        .write(move |db| quotas::change(db, &owner, change))
        .await?;
    shown(&app, &uid).await
}

fn permit(caller: &Caller, uid: &str) -> Result<(), Problem> {
    if !caller.is_administrator() {
        return Err(Problem::Text(StatusCode::FORBIDDEN, "forbidden".to_owned()));
    }
    if uid.trim().is_empty() || uid.len() > LONGEST_UID {
        return Err(Problem::bad(format!(
            "the user id must have 1 to {LONGEST_UID} characters"
        )));
    }
    Ok(())
}

async fn shown(app: &App, uid: &str) -> Result<Response, Problem> {
    let owner = uid.to_owned();
    let (quotas, used) = app
        .store
        .read(move |db| {
            Ok::<_, crate::store::StoreError>((quotas::of(db, &owner)?, quotas::used(db, &owner)?))
        })
        .await?;
    json(&view(uid, &quotas, &used))
}

fn view<'a>(user_id: &'a str, quotas: &Quotas, used: &Used) -> Shown<'a> {
    let size = |bytes: u64| Memory::from_bytes(bytes).to_string();
    let limited = quotas.buckets > 0 || quotas.bucket_bytes > 0;
    Shown {
        user_id,
        volumes: Volumes {
            disk: Texts {
                max: size(quotas.volumes_disk),
                used: size(used.volumes_disk),
            },
            volumes: Texts {
                max: quotas.volumes.to_string(),
                used: used.volumes.to_string(),
            },
            max_disk_per_volume: size(quotas.volume_max),
            min_disk_per_volume: size(quotas.volume_min),
        },
        minio: limited.then(|| Minio {
            buckets: Numbers {
                max: quotas.buckets,
                used: used.buckets,
            },
            storage_per_bucket: Max {
                max: size(quotas.bucket_bytes),
            },
            storage_total: Total {
                used: size(used.bucket_bytes),
            },
        }),
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let status = match refused {
            Refused::NeedsKueue => StatusCode::SERVICE_UNAVAILABLE,
            Refused::Nothing | Refused::Value { .. } => StatusCode::BAD_REQUEST,
        };
        Self::Text(status, refused.to_string())
    }
}
