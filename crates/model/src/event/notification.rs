//! The notification of the built-in store, field for field as `MinIO` writes it: scripts in the wild read it.

use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::Serialize;

use std::collections::BTreeMap;

/// What stays as it is in an encoded key, besides letters and digits.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Encodes a key as in `s3.object.key`: slashes too, blanks as `+`.
pub fn encode_key(key: &str) -> String {
    utf8_percent_encode(key, ENCODED)
        .to_string()
        .replace("%20", "+")
}

/// Undoes [`encode_key`]. What is no UTF-8 becomes the replacement character.
pub fn decode_key(encoded: &str) -> String {
    let blanks = encoded.replace('+', " ");
    percent_decode_str(&blanks).decode_utf8_lossy().into_owned()
}

/// An object was created.
#[derive(Debug, Clone, Copy)]
pub struct Created<'a> {
    /// `s3:ObjectCreated:Put`, `…:Post`, `…:Copy` or `…:CompleteMultipartUpload`.
    pub event: &'a str,
    pub bucket: &'a str,
    /// Not encoded.
    pub key: &'a str,
    /// Bytes.
    pub size: u64,
    /// MD5 in hexadecimal, without quotes.
    pub etag: &'a str,
    pub content_type: &'a str,
    /// Who wrote it.
    pub principal: &'a str,
    pub region: &'a str,
    /// Address the request came from.
    pub source_ip: &'a str,
    pub user_agent: &'a str,
    /// URL of the store.
    pub endpoint: &'a str,
    pub time: Timestamp,
}

impl Created<'_> {
    /// The notification, as compact JSON.
    pub fn to_json(&self) -> String {
        // Strings and numbers in maps with string keys cannot fail to become JSON.
        serde_json::to_string(&self.notification()).unwrap_or_default()
    }

    fn notification(&self) -> Notification<'_> {
        let sequencer = format!("{:016X}", self.time.as_nanosecond());
        let path = self
            .key
            .split('/')
            .map(encode_key)
            .collect::<Vec<_>>()
            .join("/");
        let principal = Principal {
            principal_id: self.principal,
        };
        let record = Record {
            event_version: "2.0",
            event_source: "minio:s3",
            aws_region: self.region,
            event_time: format!("{:.3}", self.time),
            event_name: self.event,
            user_identity: principal,
            request_parameters: RequestParameters {
                principal_id: self.principal,
                region: self.region,
                source_ip_address: self.source_ip,
            },
            response_elements: ResponseElements {
                request_id: sequencer.clone(),
                endpoint: self.endpoint,
            },
            s3: S3 {
                schema_version: "1.0",
                configuration_id: "Config",
                bucket: Bucket {
                    name: self.bucket,
                    owner_identity: principal,
                    arn: format!("arn:aws:s3:::{}", self.bucket),
                },
                object: Object {
                    key: encode_key(self.key),
                    size: self.size,
                    etag: self.etag,
                    content_type: self.content_type,
                    user_metadata: BTreeMap::from([("content-type", self.content_type)]),
                    sequencer,
                },
            },
            source: Source {
                host: self.source_ip,
                port: "",
                user_agent: self.user_agent,
            },
        };
        Notification {
            event_name: self.event,
            key: format!("{}/{path}", self.bucket),
            records: [record],
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Notification<'a> {
    event_name: &'a str,
    key: String,
    records: [Record<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    event_version: &'a str,
    event_source: &'a str,
    aws_region: &'a str,
    event_time: String,
    event_name: &'a str,
    user_identity: Principal<'a>,
    request_parameters: RequestParameters<'a>,
    response_elements: ResponseElements<'a>,
    s3: S3<'a>,
    source: Source<'a>,
}

#[derive(Clone, Copy, Serialize)]
struct Principal<'a> {
    #[serde(rename = "principalId")]
    principal_id: &'a str,
}

#[derive(Serialize)]
struct RequestParameters<'a> {
    #[serde(rename = "principalId")]
    principal_id: &'a str,
    region: &'a str,
    #[serde(rename = "sourceIPAddress")]
    source_ip_address: &'a str,
}

#[derive(Serialize)]
struct ResponseElements<'a> {
    #[serde(rename = "x-amz-request-id")]
    request_id: String,
    #[serde(rename = "x-minio-origin-endpoint")]
    endpoint: &'a str,
}

#[derive(Serialize)]
struct S3<'a> {
    #[serde(rename = "s3SchemaVersion")]
    schema_version: &'a str,
    #[serde(rename = "configurationId")]
    configuration_id: &'a str,
    bucket: Bucket<'a>,
    object: Object<'a>,
}

#[derive(Serialize)]
struct Bucket<'a> {
    name: &'a str,
    #[serde(rename = "ownerIdentity")]
    owner_identity: Principal<'a>,
    arn: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Object<'a> {
    key: String,
    size: u64,
    #[serde(rename = "eTag")]
    etag: &'a str,
    content_type: &'a str,
    user_metadata: BTreeMap<&'a str, &'a str>,
    sequencer: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Source<'a> {
    host: &'a str,
    port: &'a str,
    user_agent: &'a str,
}
