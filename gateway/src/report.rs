//! Jobs, dead letters and nodes for the CLI and the dashboard: [`spillway_model::report`]. Whoever mounts this
//! lets only the administrator through.

mod dead_letters;
mod jobs;
mod log;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use spillway_model::report::PREFIX;

use crate::queue::Queue;
use crate::store::StoreError;

/// The API under its prefix.
pub(crate) fn router(queue: Queue) -> Router {
    let routes = Router::new()
        .route("/jobs", get(jobs::list))
        .route("/jobs/{name}", get(jobs::show))
        .route("/jobs/{name}/log", get(log::show))
        .route("/jobs/{name}/input", get(jobs::input))
        .route(
            "/dead-letters",
            get(dead_letters::list).delete(dead_letters::purge),
        )
        .route("/dead-letters/retry", post(dead_letters::retry))
        .route("/dead-letters/{name}/retry", post(dead_letters::retry_one))
        .route("/dead-letters/{name}", delete(dead_letters::purge_one))
        .route("/nodes", get(nodes))
        .with_state(queue);
    Router::new().nest(PREFIX, routes)
}

async fn nodes(axum::extract::State(queue): axum::extract::State<Queue>) -> Response {
    Json(queue.nodes().await).into_response()
}

/// Answers that say no, as `{"error": "…"}`.
#[derive(Debug)]
enum Problem {
    NoSuchJob(String),
    NotDead(String),
    NoInput(String),
    Store(StoreError),
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Self::NoSuchJob(name) => (StatusCode::NOT_FOUND, format!("there is no job '{name}'")),
            Self::NotDead(name) => (
                StatusCode::NOT_FOUND,
                format!("there is no dead letter '{name}'; `dead-letters` lists them"),
            ),
            Self::NoInput(text) => (StatusCode::NOT_FOUND, text),
            Self::Store(error) => {
                tracing::error!(%error, "a report failed");
                (
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "the gateway could not do it; its log says why".to_owned(),
                )
            }
        };
        (status, Json(serde_json::json!({ "error": text }))).into_response()
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
