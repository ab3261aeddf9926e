//! Makes the document of the API: the operations from the tables of routes, what the layers around them answer, and
//! the schemas. Tests only; the program serves the committed text (`api::document`).

#![allow(clippy::expect_used, clippy::panic)] // These panics are a test's way to say what is wrong.

mod layers;
mod tests;
pub(crate) mod types;

use std::collections::BTreeMap;

use utoipa::openapi::path::{
    Operation as Documented, Parameter, ParameterBuilder, ParameterIn, PathItem,
};
use utoipa::openapi::schema::SchemaType;
use utoipa::openapi::{
    ComponentsBuilder, InfoBuilder, LicenseBuilder, ObjectBuilder, OpenApi, OpenApiBuilder,
    PathsBuilder, RefOr, Required, Schema, ServerBuilder, Type,
};

use crate::routes::Operation;
use crate::{api, registries, report};
use layers::Layers;

/// What a reader should know before anything else. The agents' protocol is not documented: only agents of the same
/// version speak it.
const ABOUT: &str = "OSCAR's REST API as Spillway serves it, and Spillway's own reports below `/spillway/v1`.\n\n\
    Bodies that are JSON are read whatever their content type says; unknown members are ignored, names are taken in any \
    case, and null is the same as absent. Errors are a sentence of plain text, or nothing; those of metrics and reports \
    are `{\"error\": \"…\"}`. A slash too many in a path does not matter. Unknown paths and methods are answered 404.";

/// The whole document.
pub(crate) fn document() -> OpenApi {
    let groups = [
        (Layers::None, api::public::operations()),
        (Layers::None, api::gates::operations()),
        (Layers::Known, api::system::operations()),
        (Layers::Service, api::invocations::operations()),
        (Layers::Administrator, report::reports::operations()),
        (Layers::Administrator, registries::table::operations()),
    ];
    let mut paths: BTreeMap<String, PathItem> = BTreeMap::new();
    let mut schemas = types::written();
    for (layers, operation) in groups
        .into_iter()
        .flat_map(|(layers, operations)| operations.into_iter().map(move |one| (layers, one)))
    {
        for (name, schema) in &operation.schemas {
            let known = schemas
                .entry(name.clone())
                .or_insert_with(|| schema.clone());
            assert!(
                known == schema,
                "two types are called {name} in the document: give one of them another name with #[schema(as = …)]"
            );
        }
        let item = paths.entry(operation.path.to_owned()).or_default();
        place(item, operation.method, documented(layers, &operation));
    }
    let components = ComponentsBuilder::new().schemas_from_iter(schemas);
    let components = layers::responses(layers::security(components));
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Spillway")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(ABOUT))
                .license(Some(
                    LicenseBuilder::new()
                        .name("Apache-2.0")
                        .identifier(Some("Apache-2.0"))
                        .build(),
                )),
        )
        .servers(Some([ServerBuilder::new().url("/").build()]))
        .paths(
            paths
                .into_iter()
                .fold(PathsBuilder::new(), |all, (path, item)| {
                    all.path(path, item)
                }),
        )
        .components(Some(components.build()))
        .build()
}

/// What is written above the handler, with a unique name, a tag, the parameters of the path, and what the layers add.
fn documented(layers: Layers, operation: &Operation) -> Documented {
    let Operation {
        method,
        path,
        handler,
        annotated,
        ..
    } = operation;
    let mut annotated = annotated.paths.get(*path).cloned().unwrap_or_else(|| {
        let said: Vec<_> = annotated.paths.keys().collect();
        panic!("{handler} is routed at {path}, but its #[utoipa::path] says {said:?}")
    });
    let mut documented = take(&mut annotated, method).unwrap_or_else(|| {
        panic!("{handler} is routed as {method}, but its #[utoipa::path] says something else")
    });
    let name = handler.replace([' ', ':'], "_").replace("____", "_");
    documented.operation_id = Some(match layers {
        Layers::Administrator => format!("reports_{name}"),
        _ => name,
    });
    documented.tags.get_or_insert_with(|| vec![tag(path)]);
    let parameters = documented.parameters.get_or_insert_default();
    for parameter in parameters.iter_mut() {
        never_null(parameter);
    }
    for name in path
        .split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
    {
        if parameters
            .iter()
            .any(|known| matches!(known, RefOr::T(known) if known.name == name))
        {
            continue;
        }
        let text = Schema::from(ObjectBuilder::new().schema_type(Type::String));
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .description(Some(meaning(path, name)))
            .schema(Some(RefOr::T(text)));
        parameters.push(RefOr::T(parameter.build()));
    }
    layers.apply(&mut documented);
    documented
}

/// An optional parameter is there or not; there is no null in a URL.
fn never_null(parameter: &mut RefOr<Parameter>) {
    if let RefOr::T(parameter) = parameter
        && let Some(RefOr::T(Schema::Object(object))) = &mut parameter.schema
        && let SchemaType::Array(types) = &mut object.schema_type
    {
        types.retain(|one| *one != Type::Null);
        if let [only] = types.as_slice() {
            object.schema_type = SchemaType::Type(only.clone());
        }
    }
}

/// The page of the document an operation stands on: the first word of its path that says something.
fn tag(path: &str) -> String {
    let mut words = path.split('/').filter(|word| !word.is_empty());
    let first = words.next().unwrap_or_default();
    let tag = match first {
        "system" => words.next().unwrap_or_default(),
        "job" | "run" => "invocation",
        "spillway" => "reports",
        other => other,
    };
    tag.to_owned()
}

fn meaning(path: &str, parameter: &str) -> &'static str {
    match parameter {
        "name" if path.starts_with("/spillway") => "Name of the job.",
        "name" if path.starts_with("/system/volumes") => "Name of the volume.",
        "name" => "Name of the service.",
        "job" => "Name of the job.",
        "bucket" => "Name of the bucket.",
        "id" => "Subject of the user.",
        other => panic!(
            "say in document.rs what {{{other}}} in {path} means, or in `params(…)` of its handler"
        ),
    }
}

fn place(item: &mut PathItem, method: &str, operation: Documented) {
    *slot(item, method) = Some(operation);
}

fn take(item: &mut PathItem, method: &str) -> Option<Documented> {
    slot(item, method).take()
}

fn slot<'a>(item: &'a mut PathItem, method: &str) -> &'a mut Option<Documented> {
    match method {
        "get" => &mut item.get,
        "put" => &mut item.put,
        "post" => &mut item.post,
        "delete" => &mut item.delete,
        "patch" => &mut item.patch,
        "head" => &mut item.head,
        other => panic!("the document does not know the method {other}"),
    }
}
