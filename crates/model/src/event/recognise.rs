//! Telling the forms of events apart. The first test that holds decides, in the documented order.

use serde_json::{Map, Value};

use super::{Event, QUERY_VARIABLE, StorageEvent, decode_key};
use crate::service::{DEFAULT_PROVIDER, PROVIDER_TYPES, split_provider};

/// How many wrappers may lie around an event; what is wrapped deeper is taken as it is.
const MOST_WRAPPERS: u32 = 8;

/// Recognises an event. Whatever is malformed is [`Event::Unknown`], never an error.
pub fn recognise(raw: &[u8]) -> Event {
    read(raw, "", 0)
}

/// `provider` is what the wrapper around the event says.
fn read(raw: &[u8], provider: &str, wrappers: u32) -> Event {
    let unknown = || Event::Unknown { raw: raw.to_vec() };
    if wrappers > MOST_WRAPPERS {
        return unknown();
    }
    let Ok(Value::Object(body)) = serde_json::from_slice(raw) else {
        return unknown();
    };
    if body.contains_key("httpMethod") {
        return api_gateway(&body, provider, wrappers);
    }
    if body.contains_key("event") && body.contains_key("subscription") {
        let name = body["event"].get("name").and_then(Value::as_str);
        return name.map_or_else(unknown, |name| Event::DCache {
            name: name.to_owned(),
        });
    }
    if body.contains_key("event_type")
        && let Some(payload) = body.get("payload")
        && let Some(scope) = payload.get("scope").and_then(Value::as_str)
    {
        let name = payload
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        return Event::Rucio {
            scope: scope.to_owned(),
            name: name.to_owned(),
        };
    }
    if let Some(event) = body.get("event") {
        let text = text_of(event);
        let storage_provider = text_at(&body, "storage_provider");
        let inner = Box::new(read(text.as_bytes(), &storage_provider, wrappers + 1));
        return Event::Delegated {
            storage_provider,
            text,
            inner,
        };
    }
    record(&body, provider).unwrap_or_else(unknown)
}

fn api_gateway(body: &Map<String, Value>, provider: &str, wrappers: u32) -> Event {
    let query = body.get("queryStringParameters").and_then(Value::as_object);
    let variables = query
        .into_iter()
        .flatten()
        .map(|(name, value)| (format!("{QUERY_VARIABLE}{name}"), text_of(value)))
        .collect();
    let text = body.get("body").map(text_of).unwrap_or_default();
    let inner = Box::new(read(text.as_bytes(), provider, wrappers + 1));
    Event::ApiGateway {
        variables,
        text,
        inner,
    }
}

/// The first record of a notification; the others never count.
fn record(body: &Map<String, Value>, provider: &str) -> Option<Event> {
    let record = body.get("Records")?.get(0)?;
    let text = |pointer: &str| record.pointer(pointer).and_then(Value::as_str);
    let time = text("/eventTime").unwrap_or_default().to_owned();
    let kind = match text("/eventSource")? {
        "minio:s3" => "minio",
        "aws:s3" => "s3",
        "rucio" => "rucio",
        "OneTrigger" => {
            let path = text_at(body, "Key");
            let (space, path) = path.trim_start_matches('/').split_once('/')?;
            return Some(Event::OneData {
                space: space.to_owned(),
                path: path.to_owned(),
                time,
            });
        }
        _ => return None,
    };
    Some(Event::Storage(StorageEvent {
        provider: named(kind, provider),
        bucket: text("/s3/bucket/name")?.to_owned(),
        key: decode_key(text("/s3/object/key")?),
        time,
    }))
}

/// Type and id of the provider of a record: the wrapper may say `<id>`, `<type>` or `<type>.<id>`.
fn named(kind: &str, wrapper: &str) -> String {
    let wrapper = wrapper.trim();
    if wrapper.is_empty() {
        return format!("{kind}.{DEFAULT_PROVIDER}");
    }
    let (wrapper_kind, id) = split_provider(wrapper);
    if PROVIDER_TYPES.contains(&wrapper_kind) {
        return format!("{wrapper_kind}.{id}");
    }
    format!("{kind}.{wrapper}")
}

/// A string as it is, null as nothing, everything else as its JSON.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn text_at(body: &Map<String, Value>, name: &str) -> String {
    body.get(name)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}
