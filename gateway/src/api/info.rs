//! `GET /system/info`: what the cluster is; also the dashboard's login check.

use axum::response::Response;
use serde::Serialize;

use super::answer::json;
use super::problem::Problem;

/// The version of OSCAR's manager whose behaviour we show; clients decide by it what they offer.
const OSCAR_VERSION: &str = "v4.2.0";

/// What the cluster is.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
struct Info {
    version: &'static str,
    /// Not a commit: the one free text that clients show, so it tells which server this really is.
    git_commit: &'static str,
    architecture: &'static str,
    kubernetes_version: &'static str,
}

/// Whether the gateway lives; it looks at nothing else.
#[cfg_attr(test, utoipa::path(get, path = "/health", responses((status = 200, description = "`Ok`", body = String))))]
pub(super) async fn health() -> &'static str {
    "Ok"
}

/// Shows version and architecture.
#[cfg_attr(test, utoipa::path(get, path = "/system/info",
    responses(
        (status = 200, description = "Version and architecture; also how clients check a login.", body = Info),
    ),
))]
pub(super) async fn show() -> Result<Response, Problem> {
    json(&Info {
        version: OSCAR_VERSION,
        git_commit: concat!("spillway-", env!("CARGO_PKG_VERSION")),
        architecture: architecture(),
        kubernetes_version: "",
    })
}

/// The processor as Go programs call it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    }
}
