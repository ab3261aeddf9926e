//! Volumes on a node.

use axum::Json;
use axum::extract::State;
use spillway_model::wire::link::{VolumesAnswer, VolumesReport};

use super::Link;
use super::auth::NodeName;
use super::problem::Problem;

/// Takes what the node says of its volumes; answers what shall be there.
pub(super) async fn report(
    State(link): State<Link>,
    NodeName(node): NodeName,
    Json(report): Json<VolumesReport>,
) -> Result<Json<VolumesAnswer>, Problem> {
    let answer = link.0.volumes.report(&node, report.volumes).await?;
    Ok(Json(answer))
}
