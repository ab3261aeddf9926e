//! `GET /system/logs`: the last calls of services.

use std::collections::HashMap;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::Here;
use super::answer::json;
use super::jobs::flag;
use super::problem::Problem;
use crate::auth::Caller;
use crate::executions::Execution;

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = SystemLogs))]
struct Shown {
    logs: Vec<Execution>,
}

/// Calls of services in this process of the gateway, or with `previous=true` in the one before.
#[cfg_attr(test, utoipa::path(get, path = "/system/logs",
    params(
        ("timestamps" = Option<bool>, Query, description = "Accepted; each entry has its time anyway."),
        ("previous" = Option<bool>, Query, description = "The calls that the former process of the gateway served."),
    ),
    responses(
        (status = 200, description = "The calls, oldest first.", body = Shown),
        (status = 400, description = "There was no process before.", body = String),
        (status = 403, description = "The caller is neither the administrator nor in USERS_ADMIN.", body = String),
    ),
))]
pub(super) async fn show(
    State(app): Here,
    caller: Caller,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Response, Problem> {
    let may = match &caller {
        Caller::Administrator => true,
        Caller::User(user) => user.sees_system_logs,
    };
    if !may {
        let text = "OIDC tokens are not allowed for system logs";
        return Err(Problem::Text(StatusCode::FORBIDDEN, text.to_owned()));
    }
    if !flag(&query, "previous") {
        let logs = app.executions.current();
        return json(&Shown { logs });
    }
    let previous = app.executions.previous().await;
    let logs = previous
        .map_err(Problem::internal("reading the previous log"))?
        .ok_or_else(|| Problem::bad("there is no log of a previous process of the gateway"))?;
    json(&Shown { logs })
}
