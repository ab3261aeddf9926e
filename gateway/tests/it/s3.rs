//! Just enough of an S3 client: requests signed in their headers (signature version 4).

use jiff::Timestamp;
use reqwest::{Method, RequestBuilder};
use ring::digest::{SHA256, digest};
use ring::hmac;

use crate::harness::TestGateway;

/// A signed request for `/bucket/key` or `/bucket?name=value`; neither must need escaping or sorting.
pub(crate) fn signed(gateway: &TestGateway, method: &Method, path: &str) -> RequestBuilder {
    let credentials = &gateway.gateway().settings().credentials;
    let (access_key, secret_key) = (&credentials.access_key, &credentials.secret_key);
    let keys = (access_key.reveal(), secret_key.reveal());
    signed_with(gateway, keys, method, path)
}

/// The same with an access key and a secret key.
pub(crate) fn signed_with(
    gateway: &TestGateway,
    (access_key, secret_key): (&str, &str),
    method: &Method,
    path: &str,
) -> RequestBuilder {
    let host = gateway.gateway().s3_address().to_string();
    let now = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let day = &now[..8];
    let scope = format!("{day}/us-east-1/s3/aws4_request");
    let headers = "host;x-amz-content-sha256;x-amz-date";
    let (place, query) = path.split_once('?').unwrap_or((path, ""));
    let canonical = format!(
        "{method}\n{place}\n{query}\nhost:{host}\nx-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:{now}\n\n{headers}\nUNSIGNED-PAYLOAD"
    );
    let hashed = hex::encode(digest(&SHA256, canonical.as_bytes()));
    let text = format!("AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashed}");
    let mut key = format!("AWS4{secret_key}").into_bytes();
    for part in [day, "us-east-1", "s3", "aws4_request"] {
        key = mac(&key, part);
    }
    let signature = hex::encode(mac(&key, &text));
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={access_key}/{scope},SignedHeaders={headers},Signature={signature}"
    );
    reqwest::Client::new()
        .request(method.clone(), format!("http://{host}{path}"))
        .header("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
        .header("x-amz-date", now)
        .header("authorization", authorization)
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
        .as_ref()
        .to_vec()
}
