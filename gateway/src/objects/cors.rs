//! What pages of other origins may do in a browser: the rules of the bucket where its owner has set some, else
//! those of the gateway's settings.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri, header};
use axum::response::IntoResponse as _;
use percent_encoding::percent_decode_str;
use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};

use super::ObjectError;
use crate::store::Store;

/// Methods that a rule may allow.
pub(super) const METHODS: [&str; 5] = ["GET", "PUT", "POST", "DELETE", "HEAD"];

/// Name of the document in the table.
const KIND: &str = "cors";

/// A rule of a bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rule {
    pub(super) id: Option<String>,
    /// One `*` in each stands for anything.
    pub(super) origins: Vec<String>,
    pub(super) methods: Vec<String>,
    /// Headers of requests; one `*` in each stands for anything.
    pub(super) headers: Vec<String>,
    /// Headers that scripts may read.
    pub(super) exposed: Vec<String>,
    /// Seconds.
    pub(super) max_age: Option<i32>,
}

/// The rules of a bucket, if it has any.
pub(super) fn rules(db: &Connection, bucket: &str) -> Result<Option<Vec<Rule>>, ObjectError> {
    let document: Option<String> = db
        .prepare_cached("SELECT document FROM bucket_documents WHERE bucket = ?1 AND kind = ?2")?
        .query_row([bucket, KIND], |row| row.get(0))
        .optional()?;
    Ok(document.and_then(|document| serde_json::from_str(&document).ok()))
}

/// Inside a write: sets or deletes them.
pub(super) fn set(
    db: &Connection,
    bucket: &str,
    document: Option<&str>,
) -> Result<(), ObjectError> {
    match document {
        Some(document) => db.execute(
            "INSERT OR REPLACE INTO bucket_documents (bucket, kind, document) VALUES (?1, ?2, ?3)",
            [bucket, KIND, document],
        )?,
        None => db.execute(
            "DELETE FROM bucket_documents WHERE bucket = ?1 AND kind = ?2",
            [bucket, KIND],
        )?,
    };
    Ok(())
}

/// The rules for a request of a page, if its bucket has some.
pub(super) async fn of_request(
    store: &Store,
    domain: Option<&str>,
    uri: &Uri,
    headers: &HeaderMap,
) -> Option<Vec<Rule>> {
    headers.get(header::ORIGIN)?;
    let bucket = bucket(domain, uri, headers)?;
    let found = store.read(move |db| rules(db, &bucket)).await;
    found.ok().flatten()
}

/// The bucket that a request names, by its host or the first segment of its path.
fn bucket(domain: Option<&str>, uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let host = headers.get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
    if let Some(bucket) = domain.and_then(|domain| bucket_of_host(host, domain)) {
        return Some(bucket);
    }
    let path = uri.path().trim_start_matches('/');
    let first = path.split('/').next().filter(|first| !first.is_empty())?;
    let decoded = percent_decode_str(first).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

/// The bucket in front of the domain, as in `bucket.s3.example.org`; ports do not matter.
pub(super) fn bucket_of_host(host: &str, domain: &str) -> Option<String> {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.to_ascii_lowercase();
    let bucket = name.strip_suffix(domain)?.strip_suffix('.')?;
    (!bucket.is_empty()).then(|| bucket.to_owned())
}

/// The answer to a browser that asks before it sends something.
pub(super) fn preflight(rules: &[Rule], headers: &HeaderMap) -> Response<Body> {
    let text = |name: HeaderName| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    };
    let (origin, method) = (
        text(header::ORIGIN),
        text(header::ACCESS_CONTROL_REQUEST_METHOD),
    );
    let wanted: Vec<String> = text(header::ACCESS_CONTROL_REQUEST_HEADERS)
        .split(',')
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| !name.is_empty())
        .collect();
    let allows = |rule: &&Rule| {
        rule.allows(origin, method)
            && wanted.iter().all(|name| {
                let fits = |pattern: &String| matches(&pattern.to_ascii_lowercase(), name);
                rule.headers.iter().any(fits)
            })
    };
    let Some(rule) = rules.iter().find(allows) else {
        return (
            StatusCode::FORBIDDEN,
            [(header::CONTENT_TYPE, "application/xml")],
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>AccessForbidden</Code>\
             <Message>CORSResponse: This CORS request is not allowed by the bucket's configuration.</Message></Error>",
        )
            .into_response();
    };
    let mut answer = StatusCode::OK.into_response();
    let answered = answer.headers_mut();
    rule.mark(origin, answered);
    put(
        answered,
        header::ACCESS_CONTROL_ALLOW_METHODS,
        &rule.methods.join(", "),
    );
    put(
        answered,
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        &wanted.join(", "),
    );
    if let Some(seconds) = rule.max_age {
        put(
            answered,
            header::ACCESS_CONTROL_MAX_AGE,
            &seconds.to_string(),
        );
    }
    answer
}

/// Tells the browser whether the page may read the answer.
pub(super) fn mark(rules: &[Rule], origin: &str, method: &Method, answer: &mut HeaderMap) {
    if let Some(rule) = rules
        .iter()
        .find(|rule| rule.allows(origin, method.as_str()))
    {
        rule.mark(origin, answer);
    }
}

impl Rule {
    fn allows(&self, origin: &str, method: &str) -> bool {
        self.origins.iter().any(|pattern| matches(pattern, origin))
            && self.methods.iter().any(|allowed| allowed == method)
    }

    fn mark(&self, origin: &str, answer: &mut HeaderMap) {
        let any = self.origins.iter().any(|pattern| pattern == "*");
        put(
            answer,
            header::ACCESS_CONTROL_ALLOW_ORIGIN,
            if any { "*" } else { origin },
        );
        put(
            answer,
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            &self.exposed.join(", "),
        );
        put(
            answer,
            header::VARY,
            "Origin, Access-Control-Request-Headers, Access-Control-Request-Method",
        );
    }
}

/// Empty values and those that are no headers are left out.
fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::try_from(value)
        && !value.is_empty()
    {
        headers.insert(name, value);
    }
}

/// Whether the text is what the pattern, with at most one `*`, describes.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, end)) => {
            text.len() >= start.len() + end.len() && text.starts_with(start) && text.ends_with(end)
        }
    }
}

#[cfg(test)]
#[allow(clippy::items_after_statements)] // The check of a table stands below it.
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        check("*", "http://a", true);
        check("http://*.example", "http://a.example", true);
        check("http://*.example", "http://example", false);
        check("http://a", "http://ab", false);
        check("ab*ba", "aba", false);

        #[track_caller]
        fn check(pattern: &str, text: &str, expected: bool) {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_bucket_stands_in_front_of_the_domain() {
        check("b.s3.example:9000", Some("b"));
        check("A.b.S3.example", Some("a.b"));
        check("s3.example", None);
        check("xs3.example", None);
        check("b.other.example", None);

        #[track_caller]
        fn check(host: &str, expected: Option<&str>) {
            assert_eq!(bucket_of_host(host, "s3.example").as_deref(), expected);
        }
    }
}
