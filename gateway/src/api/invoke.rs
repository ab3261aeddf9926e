//! `POST /job/{name}` and `POST /run/{name}`: calls of a service.

mod invoker;

use std::collections::HashMap;
use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};

use super::executions::CalledBy;
use super::problem::Problem;
use super::{App, Here, body};
use crate::queue::DirectCall;
use invoker::{Call, Invoker};

/// Header that names the job that was accepted; the reference tells nothing.
const JOB_HEADER: &str = "x-spillway-job";

/// Header with the name a delegating cluster wants the job to have.
const DELEGATED_NAME: &str = "x-delegated-job-id";

/// A call with the token of the service, in the log of executions.
pub(super) const NOBODY: &str = "nil";

/// Accepts an asynchronous call: when 201 is sent, the job is on disk and listed.
#[cfg_attr(test, utoipa::path(post, path = "/job/{name}",
    params(("x-delegated-job-id" = Option<String>, Header, description = "Name that the job shall have: a delegating cluster sends it.")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream", description = "An event, or any bytes: the input of the script. It may be empty."),
    responses(
        (status = 201, description = "The job is on disk and listed.", headers(("x-spillway-job" = String, description = "Name of the job."))),
        (status = 401, description = "Neither the token of the service nor credentials of somebody who may call it.", body = String),
        (status = 404, description = "There is no such service.", body = String),
    ),
))]
pub(super) async fn job(
    State(app): Here,
    Path(name): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let call = Call {
        service: &name,
        owner: query.get("owner").map(String::as_str),
        from: from.ip(),
        not_authorised: StatusCode::UNAUTHORIZED,
    };
    let invoker = match call.invoker(&app, &headers).await {
        Ok(invoker) => invoker,
        Err(refused) => return refused.into_response(),
    };
    let logged = CalledBy(invoker.logged.clone());
    let accepted = accept(&app, name, invoker, &headers, body).await;
    let mut answer = accepted.unwrap_or_else(axum::response::IntoResponse::into_response);
    answer.extensions_mut().insert(logged);
    answer
}

/// Synchronous calls are not there yet.
#[cfg_attr(test, utoipa::path(post, path = "/run/{name}",
    request_body(content = Vec<u8>, content_type = "application/octet-stream", description = "The input of the script."),
    responses(
        (status = 401, description = "Neither the token of the service nor credentials of somebody who may call it.", body = String),
        (status = 404, description = "There is no such service.", body = String),
        (status = 501, description = "Synchronous calls are not built yet.", body = String),
    ),
))]
pub(super) async fn run(
    State(app): Here,
    Path(name): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Response {
    let call = Call {
        service: &name,
        owner: query.get("owner").map(String::as_str),
        from: from.ip(),
        not_authorised: StatusCode::NOT_FOUND,
    };
    let invoker = match call.invoker(&app, &headers).await {
        Ok(invoker) => invoker,
        Err(refused) => return refused.into_response(),
    };
    let text =
        format!("synchronous calls are not available in this version; call /job/{name} instead");
    let mut answer = (StatusCode::NOT_IMPLEMENTED, text).into_response();
    answer.extensions_mut().insert(CalledBy(invoker.logged));
    answer
}

async fn accept(
    app: &App,
    name: String,
    invoker: Invoker,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let body = body::read(body, app.settings.limits.job_body).await?;
    let delegated = headers
        .get(DELEGATED_NAME)
        .and_then(|name| name.to_str().ok());
    let call = DirectCall {
        service: name,
        name: delegated
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .map(str::to_owned),
        body: body.into(),
        caller: invoker.user.unwrap_or_default(),
    };
    let job = app.queue.call(call).await?;
    Ok((StatusCode::CREATED, [(JOB_HEADER, job.name)]).into_response())
}
