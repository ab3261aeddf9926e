//! `/system/config`: the cluster's settings, and the keys of its object store.

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::answer::json;
use super::body::{self, MAX_JSON};
use super::problem::Problem;
use super::{App, Here};
use crate::auth::Caller;
use crate::config::Secret;

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = Config))]
struct Shown<'a> {
    config: ClusterConfig<'a>,
    minio_provider: Provider<'a>,
    allowed_image_repositories: Vec<String>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[allow(clippy::struct_excessive_bools)] // The reference's members.
struct ClusterConfig<'a> {
    name: &'a str,
    namespace: &'static str,
    services_namespace: &'static str,
    controller_service_account: &'static str,
    gpu_available: bool,
    #[serde(rename = "interLink_available")]
    interlink_available: bool,
    yunikorn_enable: bool,
    kueue_enable: bool,
    volume_enable: bool,
    oidc_groups: &'a [String],
    minio_quota_enabled: bool,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = ConfigProvider))]
struct Provider<'a> {
    endpoint: &'a str,
    verify: bool,
    access_key: &'a str,
    secret_key: &'a str,
    region: &'a str,
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = ConfigInput))]
struct Wanted {
    allowed_image_repositories: Option<Vec<String>>,
}

/// Shows the settings that clients ask for.
#[cfg_attr(test, utoipa::path(get, path = "/system/config",
    responses(
        (status = 200, description = "Settings, and the caller's keys of the object store.", body = Shown<'_>),
    ),
))]
pub(super) async fn show(State(app): Here, caller: Caller) -> Result<Response, Problem> {
    let (access_key, secret_key) = keys(&app, &caller).await?;
    json(&Shown {
        config: ClusterConfig {
            name: &app.settings.name,
            namespace: "oscar",
            services_namespace: "oscar-svc",
            controller_service_account: "oscar-sa",
            gpu_available: false,
            interlink_available: false,
            yunikorn_enable: false,
            kueue_enable: false,
            volume_enable: true,
            oidc_groups: &app.settings.oidc.groups,
            minio_quota_enabled: app.settings.quotas.buckets > 0,
        },
        minio_provider: Provider {
            endpoint: &app.s3_url,
            verify: verify(&app),
            access_key: &access_key,
            secret_key: &secret_key,
            region: &app.settings.region,
        },
        allowed_image_repositories: app.services.allowed_images().await?,
    })
}

/// The caller's keys of the object store.
async fn keys(app: &App, caller: &Caller) -> Result<(String, String), Problem> {
    let Some(uid) = caller.uid() else {
        let root = &app.settings.credentials;
        let reveal = |secret: &Secret| secret.reveal().to_owned();
        return Ok((reveal(&root.access_key), reveal(&root.secret_key)));
    };
    let secret_key = app.users.secret_key(uid).await;
    let secret_key = secret_key.map_err(Problem::internal("reading the keys of a user"))?;
    Ok((uid.to_owned(), secret_key.ok_or(Problem::NOT_FOUND)?))
}

/// Sets which images may be used.
#[cfg_attr(test, utoipa::path(put, path = "/system/config",
    request_body(content = Wanted),
    responses(
        (status = 200, description = "What is stored now; null when the member was absent.", body = Option<Vec<String>>),
        (status = 400, description = "The body is no such object.", body = String),
        (status = 401, description = "A user, who may not; an empty JSON string.", body = String),
    ),
))]
pub(super) async fn replace(
    State(app): Here,
    caller: Caller,
    body: Body,
) -> Result<Response, Problem> {
    if !caller.is_administrator() {
        let mut answer = json(&"")?; // The reference's answer.
        *answer.status_mut() = StatusCode::UNAUTHORIZED;
        return Ok(answer);
    }
    let wanted: Wanted = body::lenient(&body::read(body, MAX_JSON).await?).map_err(Problem::bad)?;
    let Some(repositories) = wanted.allowed_image_repositories else {
        return json(&None::<()>); // What the reference echoes when there is nothing to set.
    };
    if let Some(place) = repositories.iter().position(|text| text.trim().is_empty()) {
        return Err(Problem::bad(format!(
            "allowed_image_repositories[{place}] is empty, which every image contains; leave it out"
        )));
    }
    app.services.allow_images(repositories.clone()).await?;
    json(&repositories)
}

/// Whether clients can verify the certificate at the store's address.
fn verify(app: &App) -> bool {
    app.settings.tls.is_verifiable(&app.s3_url)
}
