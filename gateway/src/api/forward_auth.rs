//! `GET /system/services/{name}/auth`: what a proxy in front of an exposed service asks before it lets a request pass.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use percent_encoding::percent_decode_str;

use super::problem::Problem;
use super::{App, Here};
use crate::auth::{BearerRefusal, Caller, Presented, Refusal, TOKEN_DIGITS, TokenError, access};

/// Header in which proxies repeat what was asked of them.
const FORWARDED_URI: &str = "x-forwarded-uri";

/// Header in which proxies say how they were asked.
const FORWARDED_PROTO: &str = "x-forwarded-proto";

/// Whether a proxy may let a request pass to the exposed service.
///
/// It brings the administrator's password, the token of the service (as bearer, as `token` in the query, there or in
/// `X-Forwarded-Uri`, or in the cookie that this answer sets) or the OIDC token of a user who may see the service.
#[cfg_attr(test, utoipa::path(get, path = "/system/services/{name}/auth",
    params(("token" = Option<String>, Query, description = "Token of the service.")),
    responses(
        (status = 200, description = "Let it pass. With the token of the service a cookie is set, so that pages need not repeat it."),
        (status = 401, description = "No credentials, or wrong ones."),
        (status = 403, description = "A user who may not see the service."),
        (status = 404, description = "There is no such service."),
    ),
))]
pub(super) async fn check(
    State(app): Here,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let status = |status| Err(Problem::Empty(status));
    let presented = Presented::read(&headers);
    if let Presented::Basic { username, password } = &presented {
        return match app.gatekeeper.check(from.ip(), username, password) {
            Ok(()) if app.services.exists(&name).await? => Ok(StatusCode::OK.into_response()),
            Ok(()) => status(StatusCode::NOT_FOUND),
            Err(refusal) => status(status_of(refusal)),
        };
    }
    if let Some(token) = service_token(&presented, query.as_deref(), &headers, &name) {
        return with_token(&app, &name, &token, from.ip(), &headers).await;
    }
    let Presented::Bearer(token) = presented else {
        return status(StatusCode::UNAUTHORIZED);
    };
    let caller = match app.gatekeeper.bearer(from.ip(), &token).await {
        Ok(user) => Caller::User(user),
        Err(BearerRefusal::TooMany) => return status(StatusCode::TOO_MANY_REQUESTS),
        Err(BearerRefusal::Token(TokenError::NoGroup(_))) => return status(StatusCode::FORBIDDEN),
        Err(BearerRefusal::Token(TokenError::Away { .. })) => {
            return status(StatusCode::SERVICE_UNAVAILABLE);
        }
        Err(_) => return status(StatusCode::UNAUTHORIZED),
    };
    match app.services.get(&name).await? {
        None => status(StatusCode::NOT_FOUND),
        Some(service) if access::may_see(&caller, &service) => Ok(StatusCode::OK.into_response()),
        Some(_) => status(StatusCode::FORBIDDEN),
    }
}

/// Checks the token of the service. An unknown service compares, too: the time must not tell which names exist.
async fn with_token(
    app: &App,
    name: &str,
    token: &str,
    from: IpAddr,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let expected = app.services.get(name).await?.map(|service| service.token);
    app.gatekeeper
        .check_token(from, token, &expected.unwrap_or_default())
        .map_err(|refusal| Problem::Empty(status_of(refusal)))?;
    let is_secure = app.s3_url.starts_with("https://")
        || headers
            .get(FORWARDED_PROTO)
            .is_some_and(|proto| proto.as_bytes().eq_ignore_ascii_case(b"https"));
    let cookie = format!(
        "{}={token}; Path=/system/services/{name}/exposed; HttpOnly; SameSite=Lax{}",
        cookie_name(name),
        if is_secure { "; Secure" } else { "" }
    );
    Ok((StatusCode::OK, [(header::SET_COOKIE, cookie)]).into_response())
}

fn status_of(refusal: Refusal) -> StatusCode {
    match refusal {
        Refusal::Wrong => StatusCode::UNAUTHORIZED,
        Refusal::TooMany => StatusCode::TOO_MANY_REQUESTS,
    }
}

/// The first thing that could be the token of a service, in the reference's order.
fn service_token(
    presented: &Presented,
    query: Option<&str>,
    headers: &HeaderMap,
    service: &str,
) -> Option<String> {
    let could_be = |token: &String| {
        token.len() == TOKEN_DIGITS && token.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let bearer = match presented {
        Presented::Bearer(token) => Some(token.clone()),
        _ => None,
    };
    let forwarded = headers
        .get(FORWARDED_URI)
        .and_then(|uri| uri.to_str().ok())
        .and_then(|uri| uri.split_once('?'));
    bearer
        .filter(could_be)
        .or_else(|| in_query(query?).filter(could_be))
        .or_else(|| in_query(forwarded?.1).filter(could_be))
        .or_else(|| in_cookies(headers, &cookie_name(service)).filter(could_be))
}

fn in_query(query: &str) -> Option<String> {
    let mut pairs = query.split('#').next()?.split('&');
    let value = pairs.find_map(|pair| pair.strip_prefix("token="))?;
    Some(percent_decode_str(value).decode_utf8_lossy().into_owned())
}

fn in_cookies(headers: &HeaderMap, name: &str) -> Option<String> {
    let texts = headers.get_all(header::COOKIE).into_iter();
    texts
        .filter_map(|text| text.to_str().ok())
        .flat_map(|text| text.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find(|(found, _)| *found == name)
        .map(|(_, value)| value.to_owned())
}

fn cookie_name(service: &str) -> String {
    format!("oscar_service_{}_auth", service.replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_token_is_looked_for_in_the_order_of_the_reference() {
        let token = |digit: &str| digit.repeat(TOKEN_DIGITS);
        let mut headers = HeaderMap::new();
        let cookies = format!("a=b; oscar_service_my_app_auth={}; c", token("d"));
        let found = |presented: &Presented, query: Option<&str>, headers: &HeaderMap| {
            service_token(presented, query, headers, "my-app")
        };
        assert_eq!(found(&Presented::Nothing, None, &headers), None);
        headers.insert(header::COOKIE, HeaderValue::try_from(cookies).unwrap());
        assert_eq!(found(&Presented::Nothing, None, &headers), Some(token("d")));
        let uri = format!("/x?a=b&token={}#top", token("c"));
        headers.insert(FORWARDED_URI, HeaderValue::try_from(uri).unwrap());
        assert_eq!(found(&Presented::Nothing, None, &headers), Some(token("c")));
        let query = format!("token={}", token("b"));
        assert_eq!(
            found(&Presented::Nothing, Some(&query), &headers),
            Some(token("b"))
        );
        let bearer = Presented::Bearer(token("a"));
        assert_eq!(found(&bearer, Some(&query), &headers), Some(token("a")));
        // What cannot be a service's token is passed over.
        let oidc = Presented::Bearer("a.b.c".to_owned());
        assert_eq!(
            found(&oidc, Some("token=short"), &headers),
            Some(token("c"))
        );
        assert_eq!(
            service_token(&oidc, None, &HeaderMap::new(), "my-app"),
            None
        );
    }
}
