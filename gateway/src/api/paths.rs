//! One spelling for every path: `/system//config/` is `/system/config`.

use axum::body::Body;
use axum::http::uri::PathAndQuery;
use axum::http::{Request, Uri};

/// Removes doubled slashes and those at the end, so that both spellings are served.
pub(super) fn tidy(mut request: Request<Body>) -> Request<Body> {
    let path = request.uri().path();
    if !(path.len() > 1 && (path.ends_with('/') || path.contains("//"))) {
        return request;
    }
    let mut tidy = String::with_capacity(path.len());
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        tidy.push('/');
        tidy.push_str(segment);
    }
    if tidy.is_empty() {
        tidy.push('/');
    }
    if let Some(query) = request.uri().query() {
        tidy.push('?');
        tidy.push_str(query);
    }
    let mut parts = request.uri().clone().into_parts();
    parts.path_and_query = PathAndQuery::try_from(tidy).ok();
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
    request
}

#[cfg(test)]
#[allow(clippy::items_after_statements)] // The check of a table stands below it.
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_one() {
        check("/system/config/", "/system/config");
        check("//system//info", "/system/info");
        check("/system/logs/x/?page=a%2Fb", "/system/logs/x?page=a%2Fb");
        check("/", "/");
        check("//", "/");
        check("/health", "/health");

        #[track_caller]
        fn check(sent: &str, expected: &str) {
            let request = Request::builder().uri(sent).body(Body::empty()).unwrap();
            assert_eq!(tidy(request).uri().to_string(), expected, "for {sent:?}");
        }
    }
}
