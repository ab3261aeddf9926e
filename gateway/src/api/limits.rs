//! No request takes for ever, not everybody is served at once, and who is refused is heard out.

use std::sync::Arc;

use axum::body::{Body, HttpBody as _};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::App;
use crate::objects::unread;

/// Waits for room, serves the request, and gives up after the configured time.
pub(super) async fn bounded(State(app): State<App>, request: Request, next: Next) -> Response {
    let limit = app.settings.limits.request_timeout;
    let served = async {
        let Ok(_permit) = Arc::clone(&app.room).acquire_owned().await else {
            return (StatusCode::SERVICE_UNAVAILABLE, "").into_response();
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

/// Reads what the handler left of the body, up to a limit: a connection that is closed with unread bytes in it makes the
/// client's next request fail, and most clients use a connection again.
pub(super) async fn heard_out(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let (request, lender) = unread::lend(request);
    let answer = next.run(request.map(Body::new)).await;
    match lender {
        Some(lender) => lender.finish(answer).await,
        None => answer,
    }
}
