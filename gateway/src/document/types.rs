//! Schemas of what the model defines, written by hand in JSON files beside this one: the model knows nothing of
//! documents. Tests compare them with what the model really writes.

use std::borrow::Cow;
use std::collections::BTreeMap;

use utoipa::openapi::schema::{AdditionalProperties, Object, SchemaType};
use utoipa::openapi::{OneOfBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

type Schemas = BTreeMap<String, RefOr<Schema>>;

/// The Service object, from the reference.
pub(super) const SERVICE: &str = include_str!("service.json");

/// Reports on jobs and nodes.
pub(super) const REPORT: &str = include_str!("report.json");

/// Members of a service that a client cannot set.
const SERVER_SETS: [&str; 6] = [
    "token",
    "owner",
    "namespace",
    "bucket_list",
    "volume_status",
    "deployment",
];

/// Behind the name of what is read rather than shown.
const INPUT: &str = "Input";

/// Where schemas are referred to.
const SCHEMAS: &str = "#/components/schemas/";

/// Types to be named in `#[utoipa::path]`.
macro_rules! named {
    ($($name:ident),+) => {$(
        #[allow(dead_code)] // Only its name counts.
        pub(crate) struct $name;

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                stringify!($name).into()
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                written().remove(stringify!($name)).expect("the files beside have it")
            }
        }
    )+};
}

named!(
    Service,
    ServiceInput,
    JobPage,
    JobReport,
    Touched,
    DeliveryPage,
    DeliveryReport,
    NodeReport
);

/// All schemas of the files, and those of a service as it may be sent.
pub(super) fn written() -> Schemas {
    let mut all: Schemas = serde_json::from_str(SERVICE).expect("service.json holds schemas");
    let sent = sent(&all);
    all.extend(sent);
    let reports: Schemas = serde_json::from_str(REPORT).expect("report.json holds schemas");
    all.extend(reports);
    all
}

/// The same with everything optional and null allowed, for requests: what the server sets is left out, a port may be a
/// number, and only what makes a service must be there.
fn sent(shown: &Schemas) -> Schemas {
    let known = |name: &str| shown.contains_key(name);
    let mut sent = Schemas::new();
    for (name, schema) in shown {
        if name == "ServiceVolumeStatus" {
            continue; // The server sets it.
        }
        let RefOr::T(Schema::Object(object)) = schema else {
            continue;
        };
        let mut object = object.clone();
        object.required.clear();
        object
            .properties
            .retain(|member, _| name != "Service" || !SERVER_SETS.contains(&member.as_str()));
        for (member, schema) in &mut object.properties {
            lenient(schema, &known);
            if matches!(member.as_str(), "api_port" | "nodePort") {
                allow(schema, Type::Integer);
            }
        }
        if name == "Service" {
            object.required = ["name", "image", "script"].map(str::to_owned).to_vec();
        }
        sent.insert(format!("{name}{INPUT}"), RefOr::T(Schema::Object(object)));
    }
    sent
}

/// Null is the same as absent.
fn lenient(member: &mut RefOr<Schema>, known: &impl Fn(&str) -> bool) {
    to_input(member, known);
    if let RefOr::Ref(_) = member {
        let nothing = Schema::Object(Object::with_type(Type::Null));
        *member = OneOfBuilder::new()
            .item(nothing)
            .item(member.clone())
            .into();
    } else {
        allow(member, Type::Null);
    }
}

fn to_input(member: &mut RefOr<Schema>, known: &impl Fn(&str) -> bool) {
    match member {
        RefOr::Ref(to) => {
            let name = to.ref_location.trim_start_matches(SCHEMAS).to_owned();
            if known(&name) {
                to.ref_location = format!("{SCHEMAS}{name}{INPUT}");
            }
        }
        RefOr::T(Schema::Array(array)) => {
            if let utoipa::openapi::schema::ArrayItems::RefOrSchema(items) = &mut array.items {
                to_input(items, known);
            }
        }
        RefOr::T(Schema::Object(object)) => {
            if let Some(AdditionalProperties::RefOr(values)) =
                object.additional_properties.as_deref_mut()
            {
                to_input(values, known);
            }
        }
        RefOr::T(_) => (),
    }
}

fn allow(member: &mut RefOr<Schema>, more: Type) {
    let kind = match member {
        RefOr::T(Schema::Object(object)) => {
            if let Some(values) = &mut object.enum_values
                && more == Type::Null
            {
                values.push(serde_json::Value::Null);
            }
            &mut object.schema_type
        }
        RefOr::T(Schema::Array(array)) => &mut array.schema_type,
        _ => return,
    };
    *kind = match std::mem::take(kind) {
        SchemaType::Type(one) => SchemaType::Array(vec![one, more]),
        SchemaType::Array(mut several) => {
            several.push(more);
            SchemaType::Array(several)
        }
        any @ SchemaType::AnyValue => any,
    };
}
