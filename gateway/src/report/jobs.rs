//! Jobs.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use spillway_model::report::{JobPage, JobReport, JobState};

use super::Problem;
use crate::queue::{JobFilter, Queue};

/// Which jobs to list.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Params {
    /// Only those of this service.
    pub(super) service: Option<String>,
    /// Only those in this state.
    pub(super) state: Option<JobState>,
    /// At most so many.
    pub(super) limit: Option<u32>,
    /// `next` of the page before.
    pub(super) before: Option<String>,
}

impl From<Params> for JobFilter {
    fn from(params: Params) -> Self {
        let Params {
            service,
            state,
            limit,
            before,
        } = params;
        Self {
            service: service.filter(|service| !service.is_empty()),
            state,
            limit,
            before,
        }
    }
}

/// Jobs, newest first.
#[cfg_attr(test, utoipa::path(get, path = "/spillway/v1/jobs",
    params(
        ("service" = Option<String>, Query, description = "Only jobs of this service."),
        ("state" = Option<String>, Query, description = "Only jobs in this state: `queued`, `leased`, `succeeded` or `dead`.", pattern = "^(queued|leased|succeeded|dead)$"),
        ("limit" = Option<u32>, Query, description = "At most so many."),
        ("before" = Option<String>, Query, description = "`next` of the page before."),
    ),
    responses(
        (status = 200, description = "Newest first.", body = crate::document::types::JobPage),
        (status = 400, description = "A parameter is not what it should be.", body = String),
    ),
))]
pub(super) async fn list(
    State(queue): State<Queue>,
    Query(params): Query<Params>,
) -> Result<Json<JobPage>, Problem> {
    Ok(Json(queue.list(params.into()).await?))
}

/// One job.
#[cfg_attr(test, utoipa::path(get, path = "/spillway/v1/jobs/{name}",
    responses(
        (status = 200, description = "Everything known of it.", body = crate::document::types::JobReport),
        (status = 404, description = "There is no such job.", body = super::ErrorReport),
    ),
))]
pub(super) async fn show(
    State(queue): State<Queue>,
    Path(name): Path<String>,
) -> Result<Json<JobReport>, Problem> {
    queue
        .get(&name)
        .await?
        .map(Json)
        .ok_or(Problem::NoSuchJob(name))
}

/// What a job was given.
#[cfg_attr(test, utoipa::path(get, path = "/spillway/v1/jobs/{name}/input",
    responses(
        (status = 200, description = "The bytes of the input, while the job has not succeeded.", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 404, description = "There is no such job.", body = super::ErrorReport),
    ),
))]
pub(super) async fn input(
    State(queue): State<Queue>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    match queue.input(&name).await {
        Ok(Some((size, bytes))) => {
            let headers = [
                (CONTENT_LENGTH, size.to_string()),
                (CONTENT_TYPE, "application/octet-stream".to_owned()),
            ];
            Ok((headers, Body::from_stream(bytes)).into_response())
        }
        Ok(None) => Err(Problem::NoInput(format!(
            "there is no input of a job '{name}': unknown, or it has succeeded"
        ))),
        Err(error) => Err(Problem::NoInput(error.to_string())),
    }
}
