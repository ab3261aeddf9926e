//! The layers in front of the API: who calls, and whether it is the administrator.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tracing::{debug, error, warn};

use super::{BearerRefusal, Caller, Gatekeeper, Presented, Refusal, TokenError, UserError};

/// What a bearer of an OIDC token learns.
pub(crate) const NO_OIDC: &str = "OIDC is not enabled on this cluster";

/// What somebody learns who has guessed too often.
pub(crate) const TOO_MANY: &str =
    "too many wrong passwords or tokens came from this address; wait a few seconds and try again";

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
        Presented::Bearer(token) => match gatekeeper.bearer(from.ip(), &token).await {
            Ok(user) => {
                request.extensions_mut().insert(Caller::User(user));
                next.run(request).await
            }
            Err(refusal) => refused(&refusal),
        },
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

/// What a bearer learns who is nobody. Whoever was refused for what the token says learns nothing more.
fn refused(refusal: &BearerRefusal) -> Response {
    use StatusCode as S;

    let status = match refusal {
        BearerRefusal::Token(
            TokenError::Forged(_) | TokenError::Refused(_) | TokenError::NoGroup(_),
        ) => {
            debug!(reason = %refusal, "a token was refused");
            return S::UNAUTHORIZED.into_response();
        }
        BearerRefusal::Disabled | BearerRefusal::Token(TokenError::Issuer(_)) => S::UNAUTHORIZED,
        BearerRefusal::TooMany => S::TOO_MANY_REQUESTS,
        BearerRefusal::Token(TokenError::NotAJwt) => S::BAD_REQUEST,
        BearerRefusal::Token(TokenError::Away { .. }) => S::SERVICE_UNAVAILABLE,
        BearerRefusal::Token(TokenError::Account(cause)) => return no_account(cause),
    };
    (status, refusal.to_string()).into_response()
}

/// A person who cannot be let in for who he is; or trouble of ours.
fn no_account(cause: &UserError) -> Response {
    if cause.is_refusal() {
        warn!(reason = %cause, "a user was refused");
        return (StatusCode::UNAUTHORIZED, cause.to_string()).into_response();
    }
    error!(error = ?cause, "making the account of a user");
    let text = "the account of the user could not be made; the gateway's log says why";
    (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
}

fn challenge() -> Response {
    (
        StatusCode::UNAUTHORIZED,
        [(
            header::WWW_AUTHENTICATE,
            "Basic realm=\"Authorization Required\"",
        )],
        "",
    )
        .into_response()
}
