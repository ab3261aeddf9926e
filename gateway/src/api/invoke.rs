//! `POST /job/{name}` and `POST /run/{name}`: calls of a service.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};

use super::executions::CalledBy;
use super::problem::Problem;
use super::{App, Here, body};
use crate::auth::{NO_OIDC, Presented, Refusal, TOKEN_DIGITS, TOO_MANY, same_secret};
use crate::queue::DirectCall;

/// Header that names the job that was accepted; the reference tells nothing.
const JOB_HEADER: &str = "x-spillway-job";

/// Header with the name a delegating cluster wants the job to have.
const DELEGATED_NAME: &str = "x-delegated-job-id";

/// User of a call with a service token, in the log of executions.
const NOBODY: &str = "nil";

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
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let caller = authorise(&app, &name, from, &headers).await?;
    let accepted = accept(&app, name, &caller, &headers, body).await;
    let mut answer = accepted.unwrap_or_else(axum::response::IntoResponse::into_response);
    answer.extensions_mut().insert(CalledBy(caller));
    Ok(answer)
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
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = authorise(&app, &name, from, &headers).await?;
    let text =
        format!("synchronous calls are not available in this version; call /job/{name} instead");
    let mut answer = (StatusCode::NOT_IMPLEMENTED, text).into_response();
    answer.extensions_mut().insert(CalledBy(caller));
    Ok(answer)
}

async fn accept(
    app: &App,
    name: String,
    caller: &str,
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
        caller: if caller == NOBODY {
            String::new()
        } else {
            caller.to_owned()
        },
    };
    let job = app.queue.call(call).await?;
    Ok((StatusCode::CREATED, [(JOB_HEADER, job.name)]).into_response())
}

/// Finds out who calls: the administrator by password, or whoever holds the service's token.
async fn authorise(
    app: &App,
    name: &str,
    from: SocketAddr,
    headers: &HeaderMap,
) -> Result<String, Problem> {
    let refused = Problem::Empty(StatusCode::UNAUTHORIZED);
    match Presented::read(headers) {
        Presented::Nothing => Err(refused),
        Presented::Basic { username, password } => {
            match app.gatekeeper.check(from.ip(), &username, &password) {
                Ok(()) if app.services.exists(name).await? => Ok(username),
                Ok(()) => Err(Problem::NOT_FOUND),
                Err(Refusal::Wrong) => Err(refused),
                Err(Refusal::TooMany) => Err(Problem::Text(
                    StatusCode::TOO_MANY_REQUESTS,
                    TOO_MANY.to_owned(),
                )),
            }
        }
        Presented::Bearer(token) if token.len() == TOKEN_DIGITS => {
            // An unknown service compares, too: the time must not tell which names exist.
            let expected = app
                .services
                .get(name)
                .await?
                .map(|service| service.token)
                .unwrap_or_default();
            if same_secret(&token, &expected) {
                Ok(NOBODY.to_owned())
            } else {
                Err(refused)
            }
        }
        Presented::Bearer(_) => Err(Problem::Text(StatusCode::UNAUTHORIZED, NO_OIDC.to_owned())),
    }
}
