//! Plain answers for what this version does not have, so that clients show a sentence or hide a page.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

use super::Here;
use super::answer::json_text;
use super::jobs::visible;
use super::problem::{Problem, page_not_found};
use super::services::{check_name, find};
use crate::auth::{Caller, access};

/// Stops, starts or restarts what a service exposes.
#[cfg_attr(test, utoipa::path(post, path = "/system/services/{name}/{action}",
    params(("action" = String, Path, description = "`stop`, `start` or `restart`.", pattern = "^(stop|start|restart)$", example = "stop")),
    responses(
        (status = 400, description = "The service is not exposed.", body = String),
        (status = 403, description = "It belongs to somebody else.", body = String),
        (status = 404, description = "There is no such service.", body = String),
    ),
))]
pub(super) async fn lifecycle(
    State(app): Here,
    caller: Caller,
    Path((name, action)): Path<(String, String)>,
) -> Result<Response, Problem> {
    if !matches!(action.as_str(), "stop" | "start" | "restart") {
        return Ok(page_not_found().await);
    }
    let service = find(&app, &name).await?;
    if !access::may_change(&caller, &service) {
        let text = format!(
            "User {} doesn't have permission to manage this service",
            caller.owner()
        );
        return Err(Problem::Text(StatusCode::FORBIDDEN, text));
    }
    Err(Problem::bad(format!(
        "service \"{}\" is not exposed",
        service.name
    )))
}

/// Calls of services, from the log of the gateway.
#[cfg_attr(test, utoipa::path(get, path = "/system/logs",
    responses(
        (status = 200, description = "Calls of services.", body = serde_json::Value),
    ),
))]
pub(super) async fn system_logs() -> Response {
    json_text(r#"{"logs":[]}"#.to_owned())
}

/// Volumes of the caller.
#[cfg_attr(test, utoipa::path(get, path = "/system/volumes",
    responses(
        (status = 200, description = "The volumes.", body = Vec<String>),
    ),
))]
pub(super) async fn volumes() -> Response {
    json_text("[]".to_owned())
}

/// Where else jobs of a service may go.
#[cfg_attr(test, utoipa::path(get, path = "/system/federation/{name}",
    responses(
        (status = 200, description = "Where else jobs may go.", body = serde_json::Value),
        (status = 400, description = "invalid serviceName", body = String),
        (status = 403, description = "The caller may not see the service.", body = String),
        (status = 404, description = "There is no such service.", body = String),
    ),
))]
pub(super) async fn federation(
    State(app): Here,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    check_name(&name)?;
    visible(&app, &caller, &name).await?;
    Ok(json_text(
        r#"{"topology":"none","members":null}"#.to_owned(),
    ))
}

/// Adds members to a federation.
#[cfg_attr(test, utoipa::path(post, path = "/system/federation/{name}", responses(
    (status = 501, description = "Not built yet.", body = String),
)))]
pub(super) async fn federation_add() -> Response {
    not_built("changing a federation")
}

/// Replaces members of a federation.
#[cfg_attr(test, utoipa::path(put, path = "/system/federation/{name}", responses(
    (status = 501, description = "Not built yet.", body = String),
)))]
pub(super) async fn federation_replace() -> Response {
    not_built("changing a federation")
}

/// Removes members from a federation.
#[cfg_attr(test, utoipa::path(delete, path = "/system/federation/{name}", responses(
    (status = 501, description = "Not built yet.", body = String),
)))]
pub(super) async fn federation_remove() -> Response {
    not_built("changing a federation")
}

fn not_built(what: &str) -> Response {
    (
        StatusCode::NOT_IMPLEMENTED,
        format!("{what} is not available in this version"),
    )
        .into_response()
}
