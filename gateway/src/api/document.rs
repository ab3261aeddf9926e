//! The document of this API, for programs and for people. Both are texts inside the program, so that serving them
//! costs no memory before somebody asks, and nobody needs a network of his own to read them.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};

/// Made by a test from the handlers.
const DOCUMENT: &str = include_str!("../../../docs/openapi.json");

/// The page that shows it.
const PAGE: &str = include_str!("document/page.html");

/// This document.
#[cfg_attr(test, utoipa::path(get, path = "/system/openapi.json",
    responses((status = 200, description = "OpenAPI 3.1.", body = serde_json::Value)),
))]
pub(super) async fn json() -> Response {
    constant("application/json; charset=utf-8", DOCUMENT)
}

/// This document as a page to read.
#[cfg_attr(test, utoipa::path(get, path = "/system/openapi",
    responses((status = 200, description = "The page.", body = String, content_type = "text/html")),
))]
pub(super) async fn page() -> Response {
    constant("text/html; charset=utf-8", PAGE)
}

fn constant(content_type: &'static str, text: &'static str) -> Response {
    // Another version of the gateway may answer next time.
    let headers = [(CONTENT_TYPE, content_type), (CACHE_CONTROL, "no-cache")];
    (headers, text).into_response()
}
