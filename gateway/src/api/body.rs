//! Request bodies: bounded, read whatever their content type says, and JSON with lenient names.

use axum::body::Body;
use axum::http::StatusCode;
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::problem::Problem;

/// Largest definition of a service, and of everything else that is JSON, in bytes.
pub(super) const MAX_JSON: u64 = 4 * 1024 * 1024;

/// The whole body, if it has at most `limit` bytes.
pub(super) async fn read(body: Body, limit: u64) -> Result<Bytes, Problem> {
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    match Limited::new(body, most).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Problem::Text(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the request body is larger than {limit} bytes, which is the limit"),
        )),
        Err(error) => Err(Problem::bad(format!(
            "the request body ended early: {error}"
        ))),
    }
}

/// Reads a JSON object: member names in any case, unknown members ignored, null the same as absent. The error is a
/// short text to put behind the introduction that belongs to the endpoint.
pub(super) fn lenient<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err("EOF".to_owned());
    }
    let object: Map<String, Value> =
        serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let members = object.into_iter().filter(|(_, value)| !value.is_null());
    let lower = members
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .collect();
    serde_json::from_value(Value::Object(lower)).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, serde::Deserialize)]
    #[serde(default)]
    struct Thing {
        bucket_name: String,
        allowed_users: Vec<String>,
    }

    #[test]
    fn names_in_any_case_nulls_and_strangers_are_fine() {
        let thing: Thing =
            lenient(br#" {"Bucket_Name":"b","allowed_users":null,"x":{"y":1}} "#).unwrap();
        assert_eq!(
            thing,
            Thing {
                bucket_name: "b".into(),
                allowed_users: Vec::new()
            }
        );
        assert_eq!(lenient::<Thing>(b" \n").unwrap_err(), "EOF");
        assert!(lenient::<Thing>(b"[1]").is_err());
        assert!(
            lenient::<Thing>(br#"{"bucket_name":3}"#)
                .unwrap_err()
                .contains("expected a string")
        );
    }
}
