//! Signing requests as S3 asks for (AWS Signature Version 4, header form).

use jiff::Timestamp;
use jiff::tz::TimeZone;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Method, Url};
use ring::digest::{SHA256, digest};
use ring::hmac;

/// What stays as it is, besides letters and digits (RFC 3986, "unreserved").
const VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// The same in a path, whose slashes stay, too.
const PATH: &AsciiSet = &VALUE.remove(b'/');

/// Who signs.
#[derive(Clone)]
pub(crate) struct Signer {
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
    pub(crate) region: String,
}

/// A part of a query, encoded.
pub(crate) fn value(text: &str) -> String {
    utf8_percent_encode(text, VALUE).to_string()
}

/// A path, encoded.
pub(crate) fn path(text: &str) -> String {
    utf8_percent_encode(text, PATH).to_string()
}

/// SHA-256 in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest(&SHA256, bytes))
}

impl Signer {
    /// The headers that authorise the request. `query` is sorted by name, its values not yet encoded; the URL's path
    /// is encoded already and carries no query.
    pub(crate) fn headers(
        &self,
        method: &Method,
        url: &Url,
        query: &[(&str, &str)],
        content_sha256: &str,
        now: Timestamp,
    ) -> HeaderMap {
        let time = now
            .to_zoned(TimeZone::UTC)
            .strftime("%Y%m%dT%H%M%SZ")
            .to_string();
        let day = &time[..8];
        let scope = format!("{day}/{}/s3/aws4_request", self.region);
        let query = query
            .iter()
            .map(|(name, text)| format!("{}={}", value(name), value(text)))
            .collect::<Vec<_>>()
            .join("&");
        let canonical = format!(
            "{method}\n{}\n{query}\nhost:{}\nx-amz-content-sha256:{content_sha256}\nx-amz-date:{time}\n\nhost;x-amz-content-sha256;x-amz-date\n{content_sha256}",
            url.path(),
            host(url),
        );
        let to_sign = format!(
            "AWS4-HMAC-SHA256\n{time}\n{scope}\n{}",
            sha256(canonical.as_bytes())
        );
        let first = format!("AWS4{}", self.secret_key);
        let key = [day, &self.region, "s3", "aws4_request"]
            .into_iter()
            .fold(first.into_bytes(), |key, text| hmac_of(&key, text));
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={}",
            self.access_key,
            hex::encode(hmac_of(&key, &to_sign))
        );
        let mut headers = HeaderMap::new();
        let all = [
            ("authorization", authorization.as_str()),
            ("x-amz-content-sha256", content_sha256),
            ("x-amz-date", &time),
        ];
        for (name, text) in all {
            // A key that is no header value is refused when the client is made.
            if let Ok(mut text) = HeaderValue::from_str(text) {
                text.set_sensitive(name == "authorization");
                headers.insert(name, text);
            }
        }
        headers
    }
}

/// As the `Host` header will have it.
fn host(url: &Url) -> String {
    let name = url.host_str().unwrap_or_default();
    url.port()
        .map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"))
}

fn hmac_of(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
        .as_ref()
        .to_vec()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The example "GET Bucket (List Objects)" of AWS' documentation of the signature.
    #[test]
    fn the_published_example_has_the_published_signature() {
        let signer = Signer {
            access_key: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
            region: "us-east-1".to_owned(),
        };
        let headers = signer.headers(
            &Method::GET,
            &Url::parse("https://examplebucket.s3.amazonaws.com/").unwrap(),
            &[("max-keys", "2"), ("prefix", "J")],
            &sha256(b""),
            "2013-05-24T00:00:00Z".parse().unwrap(),
        );
        let authorization = headers["authorization"].to_str().unwrap();
        assert!(
            authorization.ends_with(
                "Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
            ),
            "{authorization}"
        );
    }

    #[test]
    fn a_path_keeps_every_byte_of_its_key() {
        assert_eq!(path("a b//c+d/ü%.png "), "a%20b//c%2Bd/%C3%BC%25.png%20");
        assert_eq!(value("a/b=&"), "a%2Fb%3D%26");
    }
}
