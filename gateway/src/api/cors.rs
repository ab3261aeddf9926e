//! Pages of other origins, such as a dashboard that is hosted elsewhere: allowed when the settings name them.

use std::time::Duration;

use axum::Router;
use axum::http::header::{ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderValue, Method, Request, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use tower_http::cors::{AllowOrigin, CorsLayer};

/// How long a browser may remember what is allowed.
const AGE: Duration = Duration::from_hours(1);

/// Lets pages of these origins (`*`: of all) call the API; without any, nothing is added.
pub(super) fn allow(router: Router, origins: &[String]) -> Router {
    if origins.is_empty() {
        return router;
    }
    let allowed = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(
            origins
                .iter()
                .filter_map(|origin| HeaderValue::try_from(origin).ok()),
        )
    };
    let cors = CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([
            Method::GET,
            Method::PUT,
            Method::POST,
            Method::DELETE,
            Method::PATCH,
            Method::HEAD,
        ])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE])
        .max_age(AGE);
    router.layer(cors).layer(from_fn(preflight))
}

/// The reference's ingress answers the browser's question with 204.
async fn preflight(request: Request<axum::body::Body>, next: Next) -> Response {
    let asks = request.method() == Method::OPTIONS
        && request
            .headers()
            .contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let mut answer = next.run(request).await;
    if asks && answer.status() == StatusCode::OK {
        *answer.status_mut() = StatusCode::NO_CONTENT;
    }
    answer
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;
    use tower::ServiceExt as _;

    use super::*;

    async fn ask(origins: &[&str], method: Method, origin: &str) -> (StatusCode, Option<String>) {
        let router = Router::new().route("/system/info", get(|| async { "info" }));
        let origins: Vec<String> = origins.iter().map(|&origin| origin.to_owned()).collect();
        let request = Request::builder()
            .method(method)
            .uri("/system/info")
            .header("origin", origin)
            .header("access-control-request-method", "GET")
            .body(Body::empty())
            .unwrap();
        let answer = allow(router, &origins).oneshot(request).await.unwrap();
        let allowed = answer.headers().get("access-control-allow-origin");
        (
            answer.status(),
            allowed.map(|origin| origin.to_str().unwrap().to_owned()),
        )
    }

    #[tokio::test]
    async fn only_pages_of_the_named_origins_may_call() {
        let here = "https://dashboard.example";
        let named = Some(here.to_owned());
        assert_eq!(
            ask(&[here], Method::OPTIONS, here).await,
            (StatusCode::NO_CONTENT, named.clone())
        );
        assert_eq!(
            ask(&[here], Method::GET, here).await,
            (StatusCode::OK, named)
        );
        let elsewhere = ask(&[here], Method::GET, "https://elsewhere.example").await;
        assert_eq!(elsewhere.1, None);
        assert_eq!(ask(&["*"], Method::GET, here).await.1, Some("*".to_owned()));
        assert_eq!(
            ask(&[], Method::OPTIONS, here).await,
            (StatusCode::METHOD_NOT_ALLOWED, None)
        );
    }
}
