//! `/spillway/v1/registries`, for the administrator.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Json, body::Bytes};
use serde::Deserialize;
use spillway_model::registry::{RegistryLogin, RegistryReport, is_name, server};
use tracing::error;

use super::{Registries, RegistryError};
use crate::routes::routes;

/// Longest member of a login, in bytes: cloud providers hand out tokens of a few kilobytes as passwords.
const LONGEST: usize = 16 * 1024;

routes! {
    /// All under [`spillway_model::registry::PATH`].
    registries for Registries {
        get "/spillway/v1/registries" => list;
        put "/spillway/v1/registries/{name}" => put;
        delete "/spillway/v1/registries/{name}" => delete;
    }
}

/// A login to keep.
#[derive(Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = RegistryInput))]
struct Input {
    /// Host of the registry, with its port if it has one.
    server: String,
    /// Name of the registry's user.
    username: String,
    /// Password or token.
    password: String,
}

/// A login, without its password.
#[cfg(test)]
#[allow(dead_code)] // Only its shape is of use.
#[derive(utoipa::ToSchema)]
#[schema(as = RegistryReport)]
struct Shown {
    /// What services call it in `image_pull_secrets`.
    name: String,
    /// Host, with its port if it has one.
    server: String,
    /// Name of the registry's user.
    username: String,
    /// Services that name it.
    services: Vec<String>,
}

/// What an answer that says no holds.
#[derive(serde::Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = RegistryProblem))]
struct Said {
    error: String,
}

/// Logins of image registries, without passwords.
#[cfg_attr(test, utoipa::path(get, path = "/spillway/v1/registries",
    responses(
        (status = 200, description = "All logins by name.", body = Vec<Shown>),
    ),
))]
async fn list(State(registries): State<Registries>) -> Result<Json<Vec<RegistryReport>>, Problem> {
    Ok(Json(registries.list().await?))
}

/// Keeps a login of an image registry, or replaces it.
///
/// Services use it when they name it in `image_pull_secrets`. The password is kept sealed and is never shown.
#[cfg_attr(test, utoipa::path(put, path = "/spillway/v1/registries/{name}",
    params(("name" = String, Path, description = "What services will call it: letters, digits, `-` and `.`.")),
    request_body = Input,
    responses(
        (status = 204, description = "It is kept."),
        (status = 400, description = "A member is missing or not what it should be.", body = Said),
        (status = 409, description = "There are too many.", body = Said),
    ),
))]
async fn put(
    State(registries): State<Registries>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<StatusCode, Problem> {
    registries.put(login(name, &body)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Forgets a login of an image registry.
#[cfg_attr(test, utoipa::path(delete, path = "/spillway/v1/registries/{name}",
    params(("name" = String, Path, description = "Name of the login.")),
    responses(
        (status = 204, description = "It is gone."),
        (status = 404, description = "There is no such login.", body = Said),
        (status = 409, description = "Services still name it.", body = Said),
    ),
))]
async fn delete(
    State(registries): State<Registries>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    registries.delete(name).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn login(name: String, body: &[u8]) -> Result<RegistryLogin, Problem> {
    if !is_name(&name) {
        return Err(Problem::Bad(format!(
            "the name {name:?} cannot be used; expected 1 to 63 lower-case letters, digits, - and ., beginning and \
             ending with a letter or digit"
        )));
    }
    // The parser's words would repeat what was sent, and with it the password.
    let input: Input = serde_json::from_slice(body).map_err(|_| {
        let text = r#"expected JSON such as {"server": "registry.example.org", "username": "ci", "password": "…"}"#;
        Problem::Bad(text.to_owned())
    })?;
    let Some(server) = server(&input.server) else {
        return Err(Problem::Bad(format!(
            "server is {:?}; expected a host such as registry.example.org or 10.0.0.5:5000",
            input.server
        )));
    };
    for (member, text) in [("username", &input.username), ("password", &input.password)] {
        if text.is_empty() || text.len() > LONGEST || text.contains(char::is_control) {
            return Err(Problem::Bad(format!(
                "{member} is empty, longer than {LONGEST} bytes, or has control characters"
            )));
        }
    }
    Ok(RegistryLogin {
        name,
        server,
        username: input.username,
        password: input.password,
    })
}

/// Answers that say no, as `{"error": "…"}`.
#[derive(Debug)]
enum Problem {
    Bad(String),
    Refused(RegistryError),
}

impl From<RegistryError> for Problem {
    fn from(error: RegistryError) -> Self {
        Self::Refused(error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, error) = match self {
            Self::Bad(text) => (StatusCode::BAD_REQUEST, text),
            Self::Refused(error) => match &error {
                RegistryError::Unknown(_) => (StatusCode::NOT_FOUND, error.to_string()),
                RegistryError::Used { .. } | RegistryError::TooMany => {
                    (StatusCode::CONFLICT, error.to_string())
                }
                RegistryError::Store(cause) => {
                    error!(%cause, "a login of a registry could not be read or kept");
                    (
                        StatusCode::INTERNAL_SERVER_ERROR,
                        "the gateway could not do it; its log says why".to_owned(),
                    )
                }
            },
        };
        (status, Json(Said { error })).into_response()
    }
}
