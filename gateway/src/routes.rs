//! Tables of routes, a line each: method, path, handler.
//!
//! A line makes the route, and in tests also the operation of the API's document, from what stands above the
//! handler as `#[cfg_attr(test, utoipa::path(…))]`. So no route is without documentation: a handler that has none does
//! not compile in tests. The program itself carries only the finished text (`document`), none of its making.
//!
//! ```text
//! /// Removes a thing.                                              (summary; further paragraphs: the description)
//! #[cfg_attr(test, utoipa::path(delete, path = "/system/things/{name}", params(…), request_body = ThingInput,
//!     responses(
//!         (status = 204, description = "It is gone."),
//!         (status = 404, description = "There is no such thing.", body = String),
//!     ),
//! ))]
//! pub(super) async fn delete(…) -> Result<StatusCode, Problem> {
//! ```
//!
//! Types derive `#[cfg_attr(test, derive(utoipa::ToSchema))]`, with `#[cfg_attr(test, schema(as = Thing))]` where their
//! own name is not unique in the API. The parameters of the path and what the layers answer (400 for the path, 401, 413,
//! 429, 500, 503) are added for all. Afterwards: `UPDATE_DOCS=1 cargo test -p spillway-gateway document`.

/// Makes a module with `router()`, and for tests `operations()`.
macro_rules! routes {
    ($(#[$about:meta])* $name:ident for $state:ty { $($method:ident $path:literal => $($handler:ident)::+;)+ }) => {
        $(#[$about])*
        pub(crate) mod $name {
            #[allow(clippy::wildcard_imports)] // The handlers are named as in the module around.
            use super::*;

            /// All routes of the table.
            pub(crate) fn router() -> axum::Router<$state> {
                axum::Router::new()$(.route($path, axum::routing::$method($($handler)::+)))+
            }

            /// What documents them.
            #[cfg(test)]
            pub(crate) fn operations() -> Vec<crate::routes::Operation> {
                vec![$({
                    let (schemas, annotated, _): (_, _, axum::routing::MethodRouter<$state>) =
                        utoipa_axum::routes!($($handler)::+);
                    crate::routes::Operation {
                        method: stringify!($method),
                        path: $path,
                        handler: stringify!($($handler)::+),
                        annotated,
                        schemas,
                    }
                }),+]
            }
        }
    };
}

pub(crate) use routes;

/// A line of a table with what is written above its handler.
#[cfg(test)]
pub(crate) struct Operation {
    /// In lower case.
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    /// As the table names it.
    pub(crate) handler: &'static str,
    pub(crate) annotated: utoipa::openapi::Paths,
    /// The types that it mentions.
    pub(crate) schemas: Vec<(
        String,
        utoipa::openapi::RefOr<utoipa::openapi::schema::Schema>,
    )>,
}
