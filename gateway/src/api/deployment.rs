//! Visibility of deployments. All services of this version run jobs only, for which the reference has one answer.

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Serialize;

use super::Here;
use super::answer::json;
use super::problem::Problem;
use super::services::find;

/// The state of a deployment, without the service it belongs to.
#[derive(Serialize)]
pub(super) struct Deployment {
    state: &'static str,
    reason: &'static str,
    active_instances: u32,
    affected_instances: u32,
    resource_kind: &'static str,
}

impl Deployment {
    /// Of a service that only runs jobs.
    pub(super) fn batch_only() -> Self {
        Self {
            state: "unavailable",
            reason: "Current deployment visibility is unavailable for this service runtime.",
            active_instances: 0,
            affected_instances: 0,
            resource_kind: "unavailable",
        }
    }
}

#[derive(Serialize)]
struct Named {
    service_name: String,
    namespace: String,
    #[serde(flatten)]
    deployment: Deployment,
}

#[derive(Serialize)]
struct Logs {
    service_name: String,
    available: bool,
    message: &'static str,
    entries: [(); 0],
}

/// The deployment of a service.
pub(super) async fn show(State(app): Here, Path(name): Path<String>) -> Result<Response, Problem> {
    let service = find(&app, &name).await?;
    json(&Named {
        service_name: service.name,
        namespace: service.namespace,
        deployment: Deployment::batch_only(),
    })
}

/// What its instances printed.
pub(super) async fn logs(State(app): Here, Path(name): Path<String>) -> Result<Response, Problem> {
    let service = find(&app, &name).await?;
    json(&Logs {
        service_name: service.name,
        available: false,
        message: "Deployment logs are unavailable for this service.",
        entries: [],
    })
}
