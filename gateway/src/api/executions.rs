//! One line in the log for each call of a service, in the reference's form, which log parsers know.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::Instant;
use tracing::info;

use super::App;
use crate::executions::Execution;
use crate::metrics::Kind;

/// Who called, as far as the handler found out; put into the answer's extensions.
#[derive(Debug, Clone)]
pub(super) struct CalledBy(pub(super) String);

/// What stands for a caller who was refused before he was known.
const UNKNOWN: &str = "oscar";

/// Logs the call once it is answered. Synchronous ones are counted here, asynchronous ones with their jobs.
pub(super) async fn logged(
    State(app): State<App>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let began = Instant::now();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let answer = next.run(request).await;
    let caller = answer.extensions().get::<CalledBy>();
    let user = caller.map_or(UNKNOWN, |caller| &caller.0);
    let line = Execution::line(
        answer.status().as_u16(),
        began.elapsed(),
        from.ip().to_canonical(),
        method.as_str(),
        &path,
        user,
    );
    info!(target: "executions", "{line}");
    app.executions.record(line);
    if let Some(service) = path.strip_prefix("/run/")
        && answer.status().is_success()
    {
        let user = if user == super::invoke::NOBODY {
            ""
        } else {
            user
        };
        app.metrics.request(Kind::Sync, service, user);
    }
    answer
}
