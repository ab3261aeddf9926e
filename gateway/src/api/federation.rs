//! `/system/federation/{name}`: on which other clusters a service is.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use spillway_model::service::{Replica, Service};

use super::answer::json;
use super::body::{self, MAX_JSON};
use super::problem::Problem;
use super::services::{find, forbidden, forget_own_password};
use super::{App, Here};
use crate::auth::{Caller, Presented, access};
use crate::federation::{self, Credentials, Edit, How, Told};
use crate::services::ServiceError;

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = FederationMembers))]
struct Shown<'a> {
    topology: &'a str,
    /// Null when there are none: clients tell the two apart.
    #[cfg_attr(test, schema(value_type = Option<Vec<Member>>))]
    members: Option<&'a [Replica]>,
}

/// As a client writes it; a few members may be left out.
#[cfg(test)]
#[derive(utoipa::ToSchema)]
#[schema(as = FederationMember)]
#[allow(dead_code)] // For the document.
struct Member {
    /// `oscar` or `endpoint`.
    r#type: String,
    cluster_id: String,
    service_name: String,
    url: String,
    ssl_verify: bool,
    /// 0 is tried first.
    priority: u32,
    headers: std::collections::BTreeMap<String, String>,
}

/// What changes a federation.
#[cfg(test)]
#[derive(utoipa::ToSchema)]
#[schema(as = FederationChange)]
#[allow(dead_code)] // For the document.
struct FederationInput {
    members: Option<Vec<Member>>,
    /// The first replaces each that `members` selects; of a replacement only.
    update: Option<Vec<Member>>,
    /// Clusters by id, merged into those of the service.
    clusters: Option<Value>,
    /// Replace those of the service.
    storage_providers: Option<Value>,
    /// Delete the copies of removed members, too; of a removal only.
    delete: Option<bool>,
}

/// Shows where else a service is.
#[cfg_attr(test, utoipa::path(get, path = "/system/federation/{name}",
    responses(
        (status = 200, description = "Topology and members.", body = Shown<'_>),
        (status = 400, description = "invalid serviceName", body = String),
        (status = 403, description = "The caller may not see the service.", body = String),
        (status = 404, description = "There is no such service."),
    ),
))]
pub(super) async fn show(
    State(app): Here,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let mut service = find(&app, &name).await?;
    if !access::may_see(&caller, &service) {
        return Err(forbidden(&caller, "get"));
    }
    if !access::may_change(&caller, &service) {
        service.mask_credentials();
    }
    shown(&service)
}

/// Adds members.
#[cfg_attr(test, utoipa::path(post, path = "/system/federation/{name}", request_body = FederationInput,
    responses(
        (status = 200, description = "How it is now; as text where not all members could be told.", content((Shown<'_> = "application/json"), (String = "text/plain"))),
        (status = 400, description = "The body makes no sense, or the service has no refresh token.", body = String),
        (status = 403, description = "The service belongs to somebody else.", body = String),
        (status = 404, description = "There is no such service."),
    ),
))]
pub(super) async fn add(
    state: Here,
    caller: Caller,
    name: Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    change(state, caller, name, &headers, body, How::Add).await
}

/// Replaces members.
#[cfg_attr(test, utoipa::path(put, path = "/system/federation/{name}", request_body = FederationInput,
    responses(
        (status = 200, description = "How it is now; as text where not all members could be told.", content((Shown<'_> = "application/json"), (String = "text/plain"))),
        (status = 400, description = "The body makes no sense, or the service has no refresh token.", body = String),
        (status = 403, description = "The service belongs to somebody else.", body = String),
        (status = 404, description = "There is no such service."),
    ),
))]
pub(super) async fn replace(
    state: Here,
    caller: Caller,
    name: Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    change(state, caller, name, &headers, body, How::Replace).await
}

/// Removes members.
#[cfg_attr(test, utoipa::path(delete, path = "/system/federation/{name}", request_body = FederationInput,
    responses(
        (status = 200, description = "How it is now; as text where not all members could be told.", content((Shown<'_> = "application/json"), (String = "text/plain"))),
        (status = 400, description = "The body makes no sense.", body = String),
        (status = 403, description = "The service belongs to somebody else.", body = String),
        (status = 404, description = "There is no such service."),
    ),
))]
pub(super) async fn remove(
    state: Here,
    caller: Caller,
    name: Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    change(state, caller, name, &headers, body, How::Remove).await
}

async fn change(
    State(app): Here,
    caller: Caller,
    Path(name): Path<String>,
    headers: &HeaderMap,
    body: Body,
    how: How,
) -> Result<Response, Problem> {
    let invalid = |reason: String| Problem::bad(format!("Invalid payload: {reason}"));
    let bytes = body::read(body, MAX_JSON).await?;
    let body: Map<String, Value> = body::lenient(&bytes).map_err(invalid)?;
    let mut edit = Edit::read(how, body).map_err(invalid)?;
    forget_own_password(&app, &mut edit.clusters);
    let delete = edit.delete && how == How::Remove;
    let changed = app.services.federate(caller.clone(), &name, edit).await;
    let (service, gone) = changed.map_err(|cause| match cause {
        ServiceError::NotYours => forbidden(&caller, "modify"),
        cause => Problem::of_service("Error updating the service", cause),
    })?;
    let credentials = credentials(headers);
    let mut warnings = spread(&app, &service, &credentials).await?.all();
    if delete {
        let mut former = service.clone();
        if let Some(federation) = &mut former.federation {
            federation.members = gone;
        }
        warnings.extend(federation::withdraw(&former, &credentials).await.all());
    }
    match with_warnings(&warnings) {
        None => shown(&service),
        Some(text) => Ok((StatusCode::OK, text).into_response()),
    }
}

/// Brings the copies of a service up to date.
async fn spread(app: &App, service: &Service, credentials: &Credentials) -> Result<Told, Problem> {
    if !federation::coordinates(service) {
        return Ok(Told::default());
    }
    let token = app.services.refresh_token(&service.name).await?;
    Ok(federation::spread(service, token.as_deref(), credentials).await)
}

/// A service that is about to be created here and on its members.
pub(super) struct Expansion {
    name: String,
    credentials: Credentials,
}

impl Expansion {
    /// Asks the members first whether they take the caller's credentials. Nothing when there are no copies to make.
    pub(super) async fn begin(
        service: &Service,
        headers: &HeaderMap,
    ) -> Result<Option<Self>, Problem> {
        if let Some(problem) = federation::problem(service) {
            return Err(Problem::bad(problem));
        }
        if !federation::coordinates(service) {
            return Ok(None);
        }
        let credentials = credentials(headers);
        let refused = federation::refused(service, &credentials).await;
        if !refused.is_empty() {
            let text = format!("federation auth failed: [{}]", refused.join(", "));
            return Err(Problem::Text(StatusCode::UNAUTHORIZED, text));
        }
        Ok(Some(Self {
            name: service.name.clone(),
            credentials,
        }))
    }

    /// Makes the copies; when one cannot be made, nothing stays, here or there.
    pub(super) async fn finish(self, app: &App, caller: Caller) -> Result<(), Problem> {
        let Some(service) = app.services.get(&self.name).await? else {
            return Ok(()); // Deleted meanwhile.
        };
        let told = spread(app, &service, &self.credentials).await?;
        if told.failed.is_empty() {
            return Ok(());
        }
        let text = format!("Error creating the service: [{}]", told.failed.join(", "));
        let left = federation::withdraw(&service, &self.credentials).await;
        if !left.failed.is_empty() {
            tracing::warn!(service.name = %self.name, left = ?left.failed, "copies of a service may stay behind");
        }
        app.services.delete(caller, &self.name).await?;
        Err(Problem::Text(StatusCode::INTERNAL_SERVER_ERROR, text))
    }
}

/// After an update: brings the copies up to date; the text on those that could not be.
pub(super) async fn tell(
    app: &App,
    name: &str,
    headers: &HeaderMap,
) -> Result<Option<String>, Problem> {
    let Some(service) = app.services.get(name).await? else {
        return Ok(None);
    };
    let told = spread(app, &service, &credentials(headers)).await?;
    Ok(with_warnings(&told.all()))
}

/// What may be shown to other clusters of what the caller showed to this one.
fn credentials(headers: &HeaderMap) -> Credentials {
    match Presented::read(headers) {
        Presented::Bearer(token) => Credentials {
            bearer: Some(token),
        },
        _ => Credentials::default(),
    }
}

/// The reference's text on what was stored but not told to everybody.
fn with_warnings(warnings: &[String]) -> Option<String> {
    (!warnings.is_empty()).then(|| {
        format!(
            "Updated with federation warnings: [{}]",
            warnings.join(", ")
        )
    })
}

fn shown(service: &Service) -> Result<Response, Problem> {
    let federation = service.federation.as_ref();
    let members = federation.map_or(&[][..], |it| &it.members);
    json(&Shown {
        topology: federation.map_or("none", |it| &it.topology),
        members: (!members.is_empty()).then_some(members),
    })
}
