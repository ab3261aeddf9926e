//! Plain answers for what this version does not have, so that clients show a sentence or hide a page.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

use super::Here;
use super::answer::json_text;
use super::problem::{Problem, page_not_found};
use super::services::find;

/// `POST /system/services/{name}/stop`, `/start`, `/restart`.
pub(super) async fn lifecycle(
    State(app): Here,
    Path((name, action)): Path<(String, String)>,
) -> Result<Response, Problem> {
    if !matches!(action.as_str(), "stop" | "start" | "restart") {
        return Ok(page_not_found().await);
    }
    let service = find(&app, &name).await?;
    Err(Problem::bad(format!(
        "service \"{}\" is not exposed",
        service.name
    )))
}

/// `GET /system/logs`.
pub(super) async fn system_logs() -> Response {
    json_text(r#"{"logs":[]}"#.to_owned())
}

/// `GET /system/volumes`.
pub(super) async fn volumes() -> Response {
    json_text("[]".to_owned())
}

/// `GET /system/federation/{name}`.
pub(super) async fn federation(
    State(app): Here,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    find(&app, &name).await?;
    Ok(json_text(
        r#"{"topology":"none","members":null}"#.to_owned(),
    ))
}

/// `POST`, `PUT`, `DELETE /system/federation/{name}`.
pub(super) async fn federation_change() -> Response {
    not_built("changing a federation")
}

/// `POST /system/buckets/{bucket}/presign`.
pub(super) async fn presign() -> Response {
    not_built("presigning by the API; sign the URL with the keys of /system/config instead: it")
}

fn not_built(what: &str) -> Response {
    (
        StatusCode::NOT_IMPLEMENTED,
        format!("{what} is not available in this version"),
    )
        .into_response()
}
