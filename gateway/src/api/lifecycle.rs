//! Stopping, starting and restarting what services expose.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::Here;
use super::problem::{Problem, page_not_found};
use super::services::find;
use crate::auth::{Caller, access};

/// Stops, starts or restarts what a service exposes.
#[cfg_attr(test, utoipa::path(post, path = "/system/services/{name}/{action}",
    params(("action" = String, Path, description = "`stop`, `start` or `restart`.", pattern = "^(stop|start|restart)$", example = "stop")),
    responses(
        (status = 400, description = "The service is not exposed.", body = String),
        (status = 403, description = "The service belongs to somebody else.", body = String),
        (status = 404, description = "There is no such service.", body = String),
    ),
))]
pub(super) async fn act(
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
