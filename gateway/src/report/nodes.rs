//! Nodes.

use axum::Json;
use axum::extract::State;
use spillway_model::report::NodeReport;

use crate::queue::Queue;

/// All nodes that have joined.
#[cfg_attr(test, utoipa::path(get, path = "/spillway/v1/nodes",
    responses(
        (status = 200, description = "All nodes.", body = Vec<crate::document::types::NodeReport>),
    ),
))]
pub(super) async fn list(State(queue): State<Queue>) -> Json<Vec<NodeReport>> {
    Json(queue.nodes().await)
}
