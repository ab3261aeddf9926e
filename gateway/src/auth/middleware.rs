//! The layer in front of everything that only the administrator may do.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::{Gatekeeper, Presented, Refusal};

/// What a bearer of an OIDC token learns.
pub(crate) const NO_OIDC: &str = "OIDC is not enabled on this cluster";

/// What somebody learns who has guessed too often.
pub(crate) const TOO_MANY: &str =
    "too many wrong passwords came from this address; wait a few seconds and try again";

/// Lets the administrator pass and answers everybody else.
pub(crate) async fn administrators_only(
    State(gatekeeper): State<Arc<Gatekeeper>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    match Presented::read(request.headers()) {
        Presented::Basic { username, password } => {
            match gatekeeper.check(from.ip(), &username, &password) {
                Ok(()) => next.run(request).await,
                Err(Refusal::Wrong) => challenge(),
                Err(Refusal::TooMany) => (StatusCode::TOO_MANY_REQUESTS, TOO_MANY).into_response(),
            }
        }
        Presented::Bearer(_) => (StatusCode::UNAUTHORIZED, NO_OIDC).into_response(),
        Presented::Nothing => challenge(),
    }
}

fn challenge() -> Response {
    (
        StatusCode::UNAUTHORIZED,
        [(
            header::WWW_AUTHENTICATE,
            "Basic realm=\"Authorization Required\"",
        )],
    )
        .into_response()
}
