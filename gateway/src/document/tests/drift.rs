//! The schemas that are written by hand are those of the model: the same members in the same order, with the same
//! types, and required exactly when the model always writes them.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeOwned, Deserializer, Visitor, value::Error};
use serde::{Deserialize, Serialize, forward_to_deserialize_any};
use serde_json::{Value, json};
use spillway_model::report::{
    DeliveryPage, DeliveryReport, InputReport, JobPage, JobReport, NodeReport, Touched,
};
use spillway_model::service::*;
use spillway_model::wire::link;
use utoipa::openapi::{RefOr, Schema};

use crate::document::types::{REPORT, SERVICE};

/// Members that the API adds to what the model writes.
const ADDED: [(&str, &str); 1] = [("Service", "deployment")];

#[test]
fn the_service_object_is_the_one_of_the_model() {
    let schemas = Written::read(SERVICE);
    schemas.check_with_default::<Service>("Service");
    schemas.check_with_default::<Synchronous>("Synchronous");
    schemas.check_with_default::<StorageIo>("StorageIO");
    schemas.check_with_default::<Expose>("Expose");
    schemas.check_with_default::<Environment>("Environment");
    schemas.check_with_default::<StorageProviders>("StorageProviders");
    schemas.check_with_default::<S3Provider>("S3Provider");
    schemas.check_with_default::<MinioProvider>("MinioProvider");
    schemas.check_with_default::<OnedataProvider>("OnedataProvider");
    schemas.check_with_default::<WebdavProvider>("WebdavProvider");
    schemas.check_with_default::<RucioProvider>("RucioProvider");
    schemas.check_with_default::<MqttProvider>("MqttProvider");
    schemas.check_with_default::<FileProvider>("FileProvider");
    schemas.check_with_default::<Cluster>("ServiceCluster");
    schemas.check_with_default::<Federation>("Federation");
    schemas.check_with_default::<Replica>("Replica");
    schemas.check_with_default::<Volume>("ServiceVolume");
    schemas.check_with_default::<VolumeStatus>("ServiceVolumeStatus");
    schemas.check_with_default::<Edge>("Edge");
    assert_eq!(schemas.raw.len(), 19, "a schema of the file is not checked");
}

#[test]
fn reports_are_those_of_the_model() {
    let schemas = Written::read(REPORT);
    schemas.check::<JobPage>("JobPage");
    schemas.check::<JobReport>("JobReport");
    schemas.check::<InputReport>("JobInput");
    schemas.check::<link::Usage>("JobUsage");
    schemas.check::<link::Spans>("JobSpans");
    schemas.check::<Touched>("Touched");
    schemas.check::<NodeReport>("NodeReport");
    schemas.check::<link::Resources>("Resources");
    schemas.check::<link::Join>("NodeAbout");
    schemas.check::<link::Engine>("NodeEngine");
    schemas.check::<link::Attempt>("Attempt");
    schemas.check::<link::Heartbeat>("Heartbeat");
    schemas.check::<link::Pull>("ImagePull");
    schemas.check::<DeliveryPage>("DeliveryPage");
    schemas.check::<DeliveryReport>("DeliveryReport");
    assert_eq!(schemas.raw.len(), 15, "a schema of the file is not checked");
}

/// A file of schemas: once with the order of their members, once as plain JSON.
struct Written {
    ordered: BTreeMap<String, RefOr<Schema>>,
    raw: BTreeMap<String, Value>,
}

impl Written {
    fn read(file: &str) -> Self {
        Self {
            ordered: serde_json::from_str(file).unwrap(),
            raw: serde_json::from_str(file).unwrap(),
        }
    }

    /// Names and types of all members; what is not required is checked by [`Self::check_with_default`].
    #[track_caller]
    fn check<T: DeserializeOwned + Serialize>(&self, name: &str) {
        assert_eq!(
            self.members(name),
            fields::<T>(),
            "members of {name}, in order"
        );
        let full = self.example(&self.raw[name], name);
        let read: T = serde_json::from_value(full.clone())
            .unwrap_or_else(|error| panic!("{name}: {error} in {full}"));
        assert_eq!(
            serde_json::to_value(&read).unwrap(),
            full,
            "{name} as the model writes it"
        );
    }

    /// The same, and that a member is required exactly when an empty value has it.
    #[track_caller]
    fn check_with_default<T: DeserializeOwned + Serialize + Default>(&self, name: &str) {
        self.check::<T>(name);
        let empty = serde_json::to_value(T::default()).unwrap();
        let required: Vec<&str> = match self.raw[name].get("required") {
            Some(names) => names
                .as_array()
                .unwrap()
                .iter()
                .map(|name| name.as_str().unwrap())
                .collect(),
            None => Vec::new(),
        };
        for member in self.members(name) {
            // A service without a script is never stored.
            let there = empty.get(&member).is_some();
            assert_eq!(
                required.contains(&member.as_str()),
                there,
                "whether {name}.{member} is required"
            );
        }
    }

    fn members(&self, name: &str) -> Vec<String> {
        let RefOr::T(Schema::Object(object)) = &self.ordered[name] else {
            panic!("{name} is no object");
        };
        let added = |member: &&String| !ADDED.contains(&(name, member.as_str()));
        object.properties.keys().filter(added).cloned().collect()
    }

    /// A value with all members of the schema.
    fn example(&self, schema: &Value, name: &str) -> Value {
        if let Some(reference) = schema["$ref"].as_str() {
            let name = reference.rsplit('/').next().unwrap();
            return self.example(&self.raw[name], name);
        }
        if let Some(choices) = schema["oneOf"].as_array() {
            return self.example(&choices[0], name);
        }
        if let Some(values) = schema["enum"].as_array() {
            return values[0].clone();
        }
        let kind = schema["type"]
            .as_str()
            .or_else(|| schema["type"][0].as_str())
            .unwrap_or_default();
        match kind {
            "string" if schema["format"] == "date-time" => json!("2026-02-01T10:20:31Z"),
            "string" => json!("text"),
            "integer" => json!(7),
            "number" => json!(1.5),
            "boolean" => json!(true),
            "array" => json!([self.example(&schema["items"], name)]),
            "object" => match schema["properties"].as_object() {
                Some(members) => members
                    .iter()
                    .filter(|(member, _)| !ADDED.contains(&(name, member)))
                    .map(|(member, schema)| (member.clone(), self.example(schema, member)))
                    .collect(),
                None if schema["additionalProperties"].is_object() => {
                    json!({ "key": self.example(&schema["additionalProperties"], name) })
                }
                None => json!({}),
            },
            other => panic!("{name}: the check does not know the type {other:?}"),
        }
    }
}

/// The names of a struct's members as serde knows them, in order.
fn fields<T: for<'de> Deserialize<'de>>() -> Vec<String> {
    let mut found = Vec::new();
    drop(T::deserialize(Probe(&mut found))); // It always fails; it has seen the names by then.
    found
}

struct Probe<'a>(&'a mut Vec<String>);

impl fmt::Debug for Probe<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Probe")
    }
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(serde::de::Error::custom("only structs are looked at"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.extend(fields.iter().map(|&field| field.to_owned()));
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
