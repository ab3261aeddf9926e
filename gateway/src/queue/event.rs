//! From a job's cause to what its script sees.

use std::collections::BTreeMap;

use jiff::Timestamp;
use spillway_model::event::Created;
use spillway_model::service::split_provider;

use super::cause::ObjectCause;

/// The notification that `MinIO` would send of this object, or dCache of this file.
pub(crate) fn notification(object: &ObjectCause) -> String {
    let (kind, _) = split_provider(&object.provider);
    if kind == "webdav" {
        return file_notification(object);
    }
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

/// A new file, as dCache tells of it.
fn file_notification(file: &ObjectCause) -> String {
    let below = file.key.strip_prefix(&file.folder).unwrap_or(&file.key);
    let event = serde_json::json!({
        "event": { "name": below.trim_start_matches('/'), "mask": ["IN_CREATE"] },
        "subscription": file.provider,
    });
    event.to_string()
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
