//! No request takes for ever, and not everybody is served at once.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::App;

/// Waits for room, serves the request, and gives up after the configured time.
pub(super) async fn bounded(State(app): State<App>, request: Request, next: Next) -> Response {
    let limit = app.settings.limits.request_timeout;
    let served = async {
        let Ok(_permit) = Arc::clone(&app.room).acquire_owned().await else {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        };
        next.run(request).await
    };
    tokio::time::timeout(limit, served)
        .await
        .unwrap_or_else(|_| {
            let text = format!(
                "the request took longer than {} s, which is the limit",
                limit.as_secs()
            );
            (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
        })
}
