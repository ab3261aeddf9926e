//! Reading JSON.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{Key, Place, What, Written};

/// Reads one JSON text. The error is serde's, with line and column.
pub(crate) fn read(body: &[u8]) -> Result<Written, serde_json::Error> {
    serde_json::from_slice::<Json>(body).map(|json| json.0)
}

struct Json(Written);

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

fn plain(what: What) -> Json {
    Json(Written {
        what,
        place: Place::default(),
    })
}

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(plain(What::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(plain(What::Bool(value, value.to_string())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(plain(What::Number(value.to_string())))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(plain(What::Number(value.to_string())))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(plain(What::Number(value.to_string())))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(plain(What::Text(value.to_owned())))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(plain(What::Text(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(Json(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(plain(What::List(list)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let mut map = Vec::new();
        while let Some((name, Json(value))) = members.next_entry::<String, Json>()? {
            map.push((
                Key {
                    name,
                    place: Place::default(),
                },
                value,
            ));
        }
        Ok(plain(What::Map(map)))
    }
}
