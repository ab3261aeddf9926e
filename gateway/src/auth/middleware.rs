//! The layers in front of the API: who calls, and whether it is the administrator.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::{Caller, Gatekeeper, Presented, Refusal};

/// What a bearer of an OIDC token learns.
pub(crate) const NO_OIDC: &str = "OIDC is not enabled on this cluster";

/// What somebody learns who has guessed too often.
pub(crate) const TOO_MANY: &str =
    "too many wrong passwords came from this address; wait a few seconds and try again";

/// What a user learns where only the administrator may.
const ADMINISTRATORS_ONLY: &str = "only the administrator may do this";

/// Finds out who calls, for the [`Caller`] that handlers take; answers whoever is nobody.
pub(crate) async fn identify(
    State(gatekeeper): State<Arc<Gatekeeper>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    match Presented::read(request.headers()) {
        Presented::Basic { username, password } => {
            match gatekeeper.check(from.ip(), &username, &password) {
                Ok(()) => {
                    request.extensions_mut().insert(Caller::Administrator);
                    next.run(request).await
                }
                Err(Refusal::Wrong) => challenge(),
                Err(Refusal::TooMany) => (StatusCode::TOO_MANY_REQUESTS, TOO_MANY).into_response(),
            }
        }
        Presented::Bearer(_) => (StatusCode::UNAUTHORIZED, NO_OIDC).into_response(),
        Presented::Nothing => challenge(),
    }
}

/// Behind [`identify`]: only the administrator passes.
pub(crate) async fn administrators_only(caller: Caller, request: Request, next: Next) -> Response {
    if caller.is_administrator() {
        next.run(request).await
    } else {
        (StatusCode::FORBIDDEN, ADMINISTRATORS_ONLY).into_response()
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
