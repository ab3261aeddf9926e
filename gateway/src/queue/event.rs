//! From a job's cause to what its script sees.

use std::collections::BTreeMap;

use jiff::Timestamp;
use spillway_model::event::Created;

use super::cause::ObjectCause;

/// The provider that is the built-in store.
pub(crate) const OWN_PROVIDER: &str = "minio.default";

/// The notification that `MinIO` would send of this object.
pub(crate) fn notification(object: &ObjectCause) -> String {
    let created = Created {
        event: &object.event,
        bucket: &object.bucket,
        key: &object.key,
        size: object.size,
        etag: &object.etag,
        content_type: &object.content_type,
        principal: &object.principal,
        region: "us-east-1",
        source_ip: &object.source_ip,
        user_agent: &object.user_agent,
        endpoint: "",
        time: object.time,
    };
    created.to_json()
}

/// Variables of a storage event; empty ones are not set.
pub(crate) fn storage_variables(key: &str, time: Timestamp) -> BTreeMap<String, String> {
    let time = time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
    let all = [("STORAGE_OBJECT_KEY", key.to_owned()), ("EVENT_TIME", time)];
    all.into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
