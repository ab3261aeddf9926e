//! Jobs that were given up: listed, tried again, purged.

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use spillway_model::report::{JobPage, JobState, Touched};

use super::Problem;
use super::jobs::Params;
use crate::queue::{JobFilter, Queue};

/// Of which service; all when absent.
#[derive(Debug, Deserialize)]
pub(super) struct Of {
    pub(super) service: Option<String>,
}

/// Jobs that were given up.
#[cfg_attr(test, utoipa::path(get, path = "/spillway/v1/dead-letters",
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
    let filter = JobFilter {
        state: Some(JobState::Dead),
        ..params.into()
    };
    Ok(Json(queue.list(filter).await?))
}

/// Tries all of them again.
#[cfg_attr(test, utoipa::path(post, path = "/spillway/v1/dead-letters/retry",
    params(("service" = Option<String>, Query, description = "Only those of this service.")),
    responses(
        (status = 200, description = "How many wait again.", body = crate::document::types::Touched),
        (status = 400, description = "A parameter is not what it should be.", body = String),
    ),
))]
pub(super) async fn retry(
    State(queue): State<Queue>,
    Query(of): Query<Of>,
) -> Result<Json<Touched>, Problem> {
    Ok(Json(Touched {
        touched: queue.retry_dead(of.service, None).await?,
    }))
}

/// Tries one again.
#[cfg_attr(test, utoipa::path(post, path = "/spillway/v1/dead-letters/{name}/retry",
    responses(
        (status = 200, description = "It waits again.", body = crate::document::types::Touched),
        (status = 404, description = "There is no such dead letter.", body = super::ErrorReport),
    ),
))]
pub(super) async fn retry_one(
    State(queue): State<Queue>,
    Path(name): Path<String>,
) -> Result<Json<Touched>, Problem> {
    one(queue.retry_dead(None, Some(name.clone())).await?, name)
}

/// Deletes all of them.
#[cfg_attr(test, utoipa::path(delete, path = "/spillway/v1/dead-letters",
    params(("service" = Option<String>, Query, description = "Only those of this service.")),
    responses(
        (status = 200, description = "How many are gone.", body = crate::document::types::Touched),
        (status = 400, description = "A parameter is not what it should be.", body = String),
    ),
))]
pub(super) async fn purge(
    State(queue): State<Queue>,
    Query(of): Query<Of>,
) -> Result<Json<Touched>, Problem> {
    Ok(Json(Touched {
        touched: queue.purge_dead(of.service, None).await?,
    }))
}

/// Deletes one.
#[cfg_attr(test, utoipa::path(delete, path = "/spillway/v1/dead-letters/{name}",
    responses(
        (status = 200, description = "It is gone.", body = crate::document::types::Touched),
        (status = 404, description = "There is no such dead letter.", body = super::ErrorReport),
    ),
))]
pub(super) async fn purge_one(
    State(queue): State<Queue>,
    Path(name): Path<String>,
) -> Result<Json<Touched>, Problem> {
    one(queue.purge_dead(None, Some(name.clone())).await?, name)
}

fn one(touched: u64, name: String) -> Result<Json<Touched>, Problem> {
    if touched == 0 {
        Err(Problem::NotDead(name))
    } else {
        Ok(Json(Touched { touched }))
    }
}
