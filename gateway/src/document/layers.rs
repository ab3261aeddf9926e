//! What the layers around the handlers answer, whatever the handler: said once, here, for all operations of a table.

use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::schema::ObjectBuilder;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, Ref, RefOr, Response, ResponseBuilder, Schema, Type,
};

/// Which layers stand around the routes of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layers {
    /// None that refuses anybody.
    None,
    /// Somebody known: `auth::identify`.
    Known,
    /// The handler itself looks for the token of the service.
    Service,
    /// `auth::administrators_only` behind `auth::identify`.
    Administrator,
}

/// Name and text of the answers that many operations share.
const SHARED: [(&str, &str, &str); 7] = [
    ("400", "BadRequest", "A part of the path is no valid UTF-8."),
    ("401", "Unauthorized", "No credentials, or wrong ones."),
    (
        "403",
        "AdministratorOnly",
        "Only the administrator may do this.",
    ),
    ("413", "TooLarge", "The body is larger than the limit."),
    (
        "429",
        "TooManyGuesses",
        "Too many wrong passwords came from this address.",
    ),
    ("500", "Failed", "The gateway failed; its log says why."),
    (
        "503",
        "Busy",
        "The gateway is stopping or has no room, or the request took too long.",
    ),
];

impl Layers {
    /// Adds what these layers answer and ask for, unless the handler says something of its own on that status.
    pub(super) fn apply(self, operation: &mut Operation) {
        let has_path = operation.parameters.iter().flatten().any(
            |parameter| matches!(parameter, RefOr::T(one) if one.parameter_in == ParameterIn::Path),
        );
        let has_body = operation.request_body.is_some();
        for (status, name, _) in SHARED {
            let applies = match status {
                "400" => has_path,
                "401" | "429" => self != Self::None,
                "403" => self == Self::Administrator,
                "413" => has_body,
                "503" => self != Self::Administrator,
                _ => true,
            };
            if applies {
                operation
                    .responses
                    .responses
                    .entry(status.to_owned())
                    .or_insert_with(|| RefOr::Ref(Ref::from_response_name(name)));
            }
        }
        let ways: &[&str] = match self {
            Self::None => &[],
            Self::Known => &["password", "user"],
            Self::Service => &["serviceToken", "user", "password"],
            Self::Administrator => &["password"],
        };
        let none: [String; 0] = [];
        operation.security = Some(
            ways.iter()
                .map(|way| SecurityRequirement::new(*way, none.clone()))
                .collect(),
        );
    }
}

/// The answers by name.
pub(super) fn responses(components: ComponentsBuilder) -> ComponentsBuilder {
    SHARED
        .iter()
        .fold(components, |components, (_, name, text)| {
            components.response(*name, sentence(text))
        })
}

fn sentence(description: &str) -> Response {
    let text = Schema::from(ObjectBuilder::new().schema_type(Type::String));
    ResponseBuilder::new()
        .description(description)
        .content(
            "text/plain",
            ContentBuilder::new().schema(Some(text)).build(),
        )
        .build()
}

/// The ways to say who one is.
pub(super) fn security(components: ComponentsBuilder) -> ComponentsBuilder {
    let ways = [
        (
            "password",
            HttpAuthScheme::Basic,
            "The administrator's name and password.",
        ),
        (
            "user",
            HttpAuthScheme::Bearer,
            "A token of an OpenID provider that the cluster trusts.",
        ),
        (
            "serviceToken",
            HttpAuthScheme::Bearer,
            "The member `token` of the service: 64 hexadecimal digits.",
        ),
    ];
    ways.into_iter()
        .fold(components, |components, (name, scheme, about)| {
            let way = HttpBuilder::new()
                .scheme(scheme)
                .description(Some(about))
                .build();
            components.security_scheme(name, SecurityScheme::Http(way))
        })
}
