//! What an agent does with an attempt of its own.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use spillway_model::wire::link::{Attempt, Completed, Completion, StagedBlob};

use super::Link;
use super::auth::NodeName;
use super::problem::Problem;

/// Where a piece of the live log belongs.
#[derive(Debug, Deserialize)]
pub(super) struct At {
    /// Bytes before it.
    #[serde(default)]
    offset: u64,
}

/// The bytes of the input.
pub(super) async fn input(
    State(link): State<Link>,
    NodeName(node): NodeName,
    Path((job, attempt)): Path<(String, u32)>,
) -> Result<Response, Problem> {
    let attempt = held(&link, &node, job, attempt).await?;
    let content = link
        .0
        .queue
        .input(&attempt.job)
        .await
        .map_err(|error| Problem::NotFound(error.to_string()))?;
    let (size, bytes) = content.ok_or(Problem::Gone)?;
    let headers = [
        (CONTENT_LENGTH, size.to_string()),
        (CONTENT_TYPE, "application/octet-stream".to_owned()),
    ];
    Ok((headers, Body::from_stream(bytes)).into_response())
}

/// A piece of the log, while the script runs.
pub(super) async fn log(
    State(link): State<Link>,
    NodeName(node): NodeName,
    Path((job, attempt)): Path<(String, u32)>,
    Query(At { offset }): Query<At>,
    piece: Bytes,
) -> Result<StatusCode, Problem> {
    let attempt = held(&link, &node, job, attempt).await?;
    let written = link.0.queue.live().append(&attempt, offset, &piece).await;
    written.map_err(|error| Problem::Internal(format!("writing a live log: {error}")))?;
    Ok(StatusCode::NO_CONTENT)
}

/// An output, ahead of the completion that publishes it.
pub(super) async fn blob(
    State(link): State<Link>,
    NodeName(node): NodeName,
    Path((job, attempt)): Path<(String, u32)>,
    body: Body,
) -> Result<Json<StagedBlob>, Problem> {
    let attempt = held(&link, &node, job, attempt).await?;
    let queue = &link.0.queue;
    let blob = queue
        .blobs()
        .receive(body.into_data_stream(), queue.settings().output_limit)
        .await?;
    Ok(Json(queue.stage(&attempt, blob)?))
}

/// The end.
pub(super) async fn complete(
    State(link): State<Link>,
    NodeName(node): NodeName,
    Path((job, attempt)): Path<(String, u32)>,
    Json(completion): Json<Completion>,
) -> Result<Json<Completed>, Problem> {
    link.0
        .queue
        .complete(&node, Attempt { job, attempt }, completion)
        .await?;
    Ok(Json(Completed {}))
}

async fn held(link: &Link, node: &str, job: String, attempt: u32) -> Result<Attempt, Problem> {
    let attempt = Attempt { job, attempt };
    if link.0.queue.holds(node, &attempt).await {
        Ok(attempt)
    } else {
        Err(Problem::Gone)
    }
}
