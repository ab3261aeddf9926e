//! Jobs, dead letters and nodes for the CLI and the dashboard: [`spillway_model::report`]. Whoever mounts this
//! lets only the administrator through.

mod dead_letters;
mod deliveries;
mod jobs;
mod log;
mod nodes;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};

use crate::queue::Queue;
use crate::routes::routes;
use crate::store::StoreError;

/// The API under its prefix.
pub(crate) fn router(queue: Queue) -> Router {
    reports::router().with_state(queue)
}

routes! {
    /// All under [`spillway_model::report::PREFIX`].
    reports for Queue {
        get "/spillway/v1/jobs" => jobs::list;
        get "/spillway/v1/jobs/{name}" => jobs::show;
        get "/spillway/v1/jobs/{name}/log" => log::show;
        get "/spillway/v1/jobs/{name}/input" => jobs::input;
        get "/spillway/v1/dead-letters" => dead_letters::list;
        delete "/spillway/v1/dead-letters" => dead_letters::purge;
        post "/spillway/v1/dead-letters/retry" => dead_letters::retry;
        post "/spillway/v1/dead-letters/{name}/retry" => dead_letters::retry_one;
        delete "/spillway/v1/dead-letters/{name}" => dead_letters::purge_one;
        get "/spillway/v1/deliveries" => deliveries::list;
        delete "/spillway/v1/deliveries" => deliveries::purge;
        post "/spillway/v1/deliveries/retry" => deliveries::retry;
        get "/spillway/v1/deliveries/{id}" => deliveries::show;
        delete "/spillway/v1/deliveries/{id}" => deliveries::purge_one;
        post "/spillway/v1/deliveries/{id}/retry" => deliveries::retry_one;
        get "/spillway/v1/nodes" => nodes::list;
    }
}

/// What an answer that says no holds.
#[derive(serde::Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
struct ErrorReport {
    error: String,
}

/// Answers that say no, as `{"error": "…"}`.
#[derive(Debug)]
enum Problem {
    NoSuchJob(String),
    NotDead(String),
    NoInput(String),
    NoDelivery(String),
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
            Self::NoDelivery(id) => (
                StatusCode::NOT_FOUND,
                format!(
                    "there is no delivery '{id}': it has arrived, or was purged; `deliveries` lists them"
                ),
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
        (status, Json(ErrorReport { error: text })).into_response()
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
