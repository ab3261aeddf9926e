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
    service: Option<String>,
}

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

pub(super) async fn retry(
    State(queue): State<Queue>,
    Query(of): Query<Of>,
) -> Result<Json<Touched>, Problem> {
    Ok(Json(Touched {
        touched: queue.retry_dead(of.service, None).await?,
    }))
}

pub(super) async fn retry_one(
    State(queue): State<Queue>,
    Path(name): Path<String>,
) -> Result<Json<Touched>, Problem> {
    one(queue.retry_dead(None, Some(name.clone())).await?, name)
}

pub(super) async fn purge(
    State(queue): State<Queue>,
    Query(of): Query<Of>,
) -> Result<Json<Touched>, Problem> {
    Ok(Json(Touched {
        touched: queue.purge_dead(of.service, None).await?,
    }))
}

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
