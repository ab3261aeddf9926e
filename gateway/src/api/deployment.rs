//! Visibility of deployments. All services of this version run jobs only, for which the reference has one answer.

mod logs;

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Serialize;

use super::Here;
use super::answer::json;
use super::jobs::visible;
use super::problem::Problem;
use super::services::check_name;
use crate::auth::Caller;

#[cfg(test)]
pub(super) use logs::__path_logs;
pub(super) use logs::logs;

/// The state of a deployment, without the service it belongs to.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
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
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = DeploymentStatus))]
struct Named {
    service_name: String,
    namespace: String,
    #[serde(flatten)]
    deployment: Deployment,
}

/// The deployment of a service.
#[cfg_attr(test, utoipa::path(get, path = "/system/services/{name}/deployment",
    responses(
        (status = 200, description = "State of what runs.", body = Named),
        (status = 400, description = "invalid serviceName", body = String),
        (status = 403, description = "The caller may not see the service.", body = String),
        (status = 404, description = "There is no such service.", body = String),
    ),
))]
pub(super) async fn show(
    State(app): Here,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    check_name(&name)?;
    let service = visible(&app, &caller, &name).await?;
    json(&Named {
        service_name: service.name,
        namespace: service.namespace,
        deployment: Deployment::batch_only(),
    })
}
