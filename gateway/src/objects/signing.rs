//! URLs that carry their signature (AWS signature version 4, in the query).

use std::collections::BTreeMap;

use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::digest::{SHA256, digest};
use ring::hmac;

/// What stays as it is in a canonical request.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// The same in a path.
const PATH: &AsciiSet = &PLAIN.remove(b'/');

/// A URL in the making.
pub(crate) struct Signing<'a> {
    pub(crate) access_key: &'a str,
    pub(crate) secret_key: &'a str,
    pub(crate) region: &'a str,
    /// Where the store is: scheme, host and port.
    pub(crate) base: &'a str,
    pub(crate) now: Timestamp,
    /// Seconds that the URL works.
    pub(crate) expires_s: i64,
}

impl Signing<'_> {
    /// The URL for `path`, not encoded, with these parameters (besides those of the signature) and signed headers.
    pub(crate) fn url(
        &self,
        method: &str,
        path: &str,
        mut query: BTreeMap<String, String>,
        headers: &BTreeMap<String, String>,
    ) -> String {
        let time = self.now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let day = time.get(..8).unwrap_or_default();
        let scope = format!("{day}/{}/s3/aws4_request", self.region);
        let host = host(self.base);
        let mut signed = headers.clone();
        signed.insert("host".to_owned(), host);
        let names = signed.keys().cloned().collect::<Vec<_>>().join(";");
        let parameters = [
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256".to_owned()),
            ("X-Amz-Credential", format!("{}/{scope}", self.access_key)),
            ("X-Amz-Date", time.clone()),
            ("X-Amz-Expires", self.expires_s.to_string()),
            ("X-Amz-SignedHeaders", names.clone()),
        ];
        query.extend(
            parameters
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value)),
        );
        let query = query
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
            .collect::<Vec<_>>()
            .join("&");
        let path = utf8_percent_encode(path, PATH).to_string();
        let mut lines = String::new();
        for (name, value) in &signed {
            lines.extend([name, ":", value, "\n"]);
        }
        let canonical = format!("{method}\n{path}\n{query}\n{lines}\n{names}\nUNSIGNED-PAYLOAD");
        let hashed = hex::encode(digest(&SHA256, canonical.as_bytes()));
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{hashed}");
        let mut key = format!("AWS4{}", self.secret_key).into_bytes();
        for part in [day, self.region, "s3", "aws4_request"] {
            key = mac(&key, part);
        }
        let signature = hex::encode(mac(&key, &text));
        format!("{}{path}?{query}&X-Amz-Signature={signature}", self.base)
    }
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

/// The `Host` that clients will send: without the port that goes without saying.
fn host(base: &str) -> String {
    let (scheme, rest) = base.split_once("://").unwrap_or(("http", base));
    let host = rest.split('/').next().unwrap_or_default();
    let usual = if scheme == "https" { ":443" } else { ":80" };
    host.strip_suffix(usual)
        .unwrap_or(host)
        .to_ascii_lowercase()
}

#[cfg(test)]
#[allow(clippy::items_after_statements)] // The check of a table stands below it.
mod tests {
    use super::*;

    /// The example of AWS' documentation ("Authenticating Requests: Using Query Parameters").
    #[test]
    fn the_example_of_aws_is_signed_as_aws_does() {
        let signing = Signing {
            access_key: "AKIAIOSFODNN7EXAMPLE",
            secret_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            region: "us-east-1",
            base: "https://examplebucket.s3.amazonaws.com",
            now: "2013-05-24T00:00:00Z".parse().unwrap(),
            expires_s: 86_400,
        };
        let url = signing.url("GET", "/test.txt", BTreeMap::new(), &BTreeMap::new());
        assert!(
            url.ends_with(
                "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
            ),
            "{url}"
        );
    }

    #[test]
    fn the_host_is_what_clients_send() {
        check("http://store:9000", "store:9000");
        check("https://Store.example:443", "store.example");
        check("http://store.example:80", "store.example");
        check("https://store.example:80", "store.example:80");

        #[track_caller]
        fn check(base: &str, expected: &str) {
            assert_eq!(host(base), expected);
        }
    }
}
