//! Services: list, read, create, update, delete.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use spillway_model::service::{Cluster, Service};
use tracing::debug;

use super::answer::{json_text, text};
use super::body::{self, MAX_JSON};
use super::deployment::Deployment;
use super::federation;
use super::problem::Problem;
use super::{App, Here};
use crate::auth::{Caller, access, same_secret};
use crate::services::{ServiceError, Trial};

/// Longest value of a label, which the reference takes for the longest name in a path.
const LONGEST_LABEL: usize = 63;

/// A service as it is shown.
#[derive(Serialize)]
struct View<'a> {
    #[serde(flatten)]
    service: Cow<'a, Service>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deployment: Option<Deployment>,
}

/// All services.
#[cfg_attr(test, utoipa::path(get, path = "/system/services",
    params(("include" = Option<String>, Query, description = "`deployment` adds the state of the deployment. A list with commas; other words are ignored.", example = "deployment")),
    responses(
        (status = 200, description = "All services that the caller may see.", body = Vec<crate::document::types::Service>),
    ),
))]
pub(super) async fn list(
    State(app): Here,
    caller: Caller,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let services = app.services.list().await?;
    let views: Vec<_> = services
        .iter()
        .filter(|service| access::may_see(&caller, service))
        .map(|service| view(service, &caller, &query))
        .collect();
    Ok(json_text(for_client(text(&views)?, &app, &headers)))
}

/// One service.
#[cfg_attr(test, utoipa::path(get, path = "/system/services/{name}",
    params(("include" = Option<String>, Query, description = "`deployment` adds the state of the deployment. A list with commas; other words are ignored.", example = "deployment")),
    responses(
        (status = 200, description = "The service.", body = crate::document::types::Service),
        (status = 400, description = "invalid serviceName", body = String),
        (status = 403, description = "The caller may not see it.", body = String),
        (status = 404, description = "There is no such service.", body = String),
    ),
))]
pub(super) async fn show(
    State(app): Here,
    caller: Caller,
    Path(name): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let service = find(&app, &name).await?;
    if !access::may_see(&caller, &service) {
        return Err(forbidden(&caller, "get"));
    }
    Ok(json_text(for_client(
        text(&view(&service, &caller, &query))?,
        &app,
        &headers,
    )))
}

/// Adds a service.
#[cfg_attr(test, utoipa::path(post, path = "/system/services",
    request_body = crate::document::types::ServiceInput,
    responses(
        (status = 201, description = "The service is there."),
        (status = 400, description = "The definition is not valid; the text names member, value and what was expected.", body = String),
        (status = 401, description = "A member of the federation refuses the credentials.", body = String),
        (status = 409, description = "The name, or a bucket that the service would have to make, is taken.", body = String),
    ),
))]
pub(super) async fn create(
    State(app): Here,
    caller: Caller,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Problem> {
    let service = read(&app, body).await?;
    let federated = federation::Expansion::begin(&service, &headers).await?;
    let created = app
        .services
        .create(caller.clone(), service, trial(&query))
        .await;
    created.map_err(|cause| Problem::of_service("Error creating the service", cause))?;
    if let Some(expansion) = federated {
        expansion.finish(&app, caller).await?;
    }
    Ok(StatusCode::CREATED)
}

/// Replaces the service that the body names.
#[cfg_attr(test, utoipa::path(put, path = "/system/services",
    request_body = crate::document::types::ServiceInput,
    responses(
        (status = 200, description = "The service was replaced, but not all members of its federation could be told.", body = String),
        (status = 204, description = "The service was replaced."),
        (status = 400, description = "The definition is not valid; the text names member, value and what was expected.", body = String),
        (status = 403, description = "It belongs to somebody else.", body = String),
        (status = 404, description = "There is no such service.", body = String),
    ),
))]
pub(super) async fn update(
    State(app): Here,
    caller: Caller,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let service = read(&app, body).await?;
    let name = service.name.clone();
    let updated = app
        .services
        .update(caller.clone(), service, trial(&query))
        .await;
    updated.map_err(|cause| match cause {
        ServiceError::NotYours => forbidden(&caller, "modify"),
        cause => Problem::of_service("Error updating the service", cause),
    })?;
    let told = federation::tell(&app, &name, &headers).await?;
    Ok(match told {
        None => StatusCode::NO_CONTENT.into_response(),
        Some(warnings) => (StatusCode::OK, warnings).into_response(),
    })
}

/// Removes a service with its jobs and buckets.
#[cfg_attr(test, utoipa::path(delete, path = "/system/services/{name}",
    responses(
        (status = 204, description = "Gone, with its jobs and the buckets that it made."),
        (status = 403, description = "It belongs to somebody else.", body = String),
        (status = 404, description = "There is no such service.", body = String),
    ),
))]
pub(super) async fn delete(
    State(app): Here,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    let deleted = app.services.delete(caller.clone(), &name).await;
    deleted.map_err(|cause| match cause {
        ServiceError::NotYours => forbidden(&caller, "delete"),
        cause => Problem::of_service("Error deleting the service", cause),
    })?;
    Ok(StatusCode::NO_CONTENT)
}

/// The service of a path, or the answer that there is none.
pub(super) async fn find(app: &App, name: &str) -> Result<Service, Problem> {
    check_name(name)?;
    app.services.get(name).await?.ok_or(Problem::NOT_FOUND)
}

/// 403 in the reference's words, its spelling included: scripts look for them.
pub(super) fn forbidden(caller: &Caller, doing: &str) -> Problem {
    let text = format!(
        "User {} doesn't have permision to {doing} this service",
        caller.owner()
    );
    Problem::Text(StatusCode::FORBIDDEN, text)
}

/// Whether a path may name a service at all.
pub(super) fn check_name(name: &str) -> Result<(), Problem> {
    let ends = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let (first, last) = (name.bytes().next(), name.bytes().next_back());
    if name.len() <= LONGEST_LABEL && ends(first) && ends(last) && name.bytes().all(inner) {
        Ok(())
    } else {
        Err(Problem::bad("invalid serviceName"))
    }
}

async fn read(app: &App, body: Body) -> Result<Service, Problem> {
    let bytes = body::read(body, MAX_JSON).await?;
    let decoded = Service::from_json(&bytes).map_err(|error| Problem::bad(error.answer()))?;
    let mut service = decoded.service;
    for warning in &decoded.warnings {
        debug!(service.name = %service.name, "a definition was sent with something odd: {warning}");
    }
    service
        .normalise()
        .map_err(|error| Problem::bad(error.answer()))?;
    forget_own_password(app, &mut service.clusters);
    Ok(service)
}

/// OSCAR's CLI sends the caller's own password along, as that of the target cluster. It has no business in a
/// definition that others may read.
pub(super) fn forget_own_password(app: &App, clusters: &mut BTreeMap<String, Cluster>) {
    let own = &app.settings.credentials;
    for cluster in clusters.values_mut() {
        if same_secret(&cluster.auth_password, own.password.reveal()) {
            cluster.auth_password.clear();
        }
    }
}

/// `?validate=false` stores a definition whose providers do not answer.
fn trial(query: &HashMap<String, String>) -> Trial {
    match query.get("validate").map(String::as_str) {
        Some("false" | "0") => Trial::NamesOnly,
        _ => Trial::Full,
    }
}

/// Credentials of storage providers and clusters are for those who may change the service.
fn view<'a>(service: &'a Service, caller: &Caller, query: &HashMap<String, String>) -> View<'a> {
    let service = if access::may_change(caller, service) {
        Cow::Borrowed(service)
    } else {
        let mut masked = service.clone();
        masked.mask_credentials();
        Cow::Owned(masked)
    };
    let wanted = query.get("include").is_some_and(|list| {
        list.split(',')
            .any(|item| item.trim().eq_ignore_ascii_case("deployment"))
    });
    View {
        service,
        deployment: wanted.then(Deployment::batch_only),
    }
}

/// OSCAR's CLI up to 1.9 knows the two port members as numbers only, and nothing but its user agent tells it apart.
fn for_client(json: String, app: &App, headers: &HeaderMap) -> String {
    let agent = headers
        .get(header::USER_AGENT)
        .and_then(|agent| agent.to_str().ok())
        .unwrap_or_default();
    if app.settings.scalar_ports && agent.starts_with("Go-http-client") {
        scalar_ports(&json)
    } else {
        json
    }
}

/// Replaces the arrays of ports by their first number. Inside a JSON string the quotes would be escaped, so these
/// texts can only be members.
fn scalar_ports(json: &str) -> String {
    let mut text = json.to_owned();
    for member in ["\"api_port\":[", "\"nodePort\":["] {
        let mut rest = text.as_str();
        let mut changed = String::with_capacity(text.len());
        while let Some((before, after)) = rest.split_once(member) {
            let (ports, behind) = after.split_once(']').unwrap_or((after, ""));
            changed.push_str(before);
            changed.push_str(member.trim_end_matches('['));
            changed.push_str(
                ports
                    .split(',')
                    .next()
                    .filter(|port| !port.is_empty())
                    .unwrap_or("0"),
            );
            rest = behind;
        }
        changed.push_str(rest);
        text = changed;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_port_members_become_numbers() {
        let json = r#"[{"script":"\"api_port\":[1]","expose":{"api_port":[8080,9090],"x":1,"nodePort":[30000]}},{"a":[1]}]"#;
        let expected = r#"[{"script":"\"api_port\":[1]","expose":{"api_port":8080,"x":1,"nodePort":30000}},{"a":[1]}]"#;
        assert_eq!(scalar_ports(json), expected);
        assert_eq!(scalar_ports("{}"), "{}");
    }

    #[test]
    fn a_name_in_a_path_is_a_label() {
        for good in ["a", "grey", "Grey_1.x-y"] {
            assert!(check_name(good).is_ok(), "for {good:?}");
        }
        for bad in ["", "-a", "a-", "a b", "a/b", "é", &"a".repeat(64)] {
            assert!(check_name(bad).is_err(), "for {bad:?}");
        }
    }
}
