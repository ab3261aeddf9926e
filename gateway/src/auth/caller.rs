//! Who makes a request of the API: put into the request by the layer in front, taken out of it by handlers.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::StatusCode;
use axum::http::request::Parts;

/// Owner of everything the administrator makes.
pub(crate) const ADMINISTRATOR: &str = "cluster_admin";

/// Name of the administrator in labels and tags.
pub(crate) const ADMINISTRATOR_NAME: &str = "oscar";

/// A caller whose credentials were verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Caller {
    /// By HTTP Basic.
    Administrator,
    /// By an OIDC token.
    User(Arc<User>),
}

/// A person, as an OIDC provider described them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct User {
    /// The token's subject.
    pub(crate) uid: String,
    /// To be shown; the claim `name`.
    pub(crate) name: String,
    pub(crate) groups: BTreeSet<String>,
    /// Listed in `USERS_ADMIN`.
    pub(crate) sees_system_logs: bool,
}

impl Caller {
    pub(crate) fn is_administrator(&self) -> bool {
        matches!(self, Self::Administrator)
    }

    /// What `owner` of a service says when this caller makes it.
    pub(crate) fn owner(&self) -> &str {
        self.uid().unwrap_or(ADMINISTRATOR)
    }

    /// The subject; nothing for the administrator, whose buckets have an empty owner.
    pub(crate) fn uid(&self) -> Option<&str> {
        match self {
            Self::Administrator => None,
            Self::User(user) => Some(&user.uid),
        }
    }

    /// Whether this caller may see what happens on the whole system: the administrator, and users of `USERS_ADMIN`.
    pub(crate) fn sees_system_logs(&self) -> bool {
        match self {
            Self::Administrator => true,
            Self::User(user) => user.sees_system_logs,
        }
    }

    /// The name to be shown.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Administrator => ADMINISTRATOR_NAME,
            Self::User(user) => &user.name,
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = StatusCode;

    /// 401 when no layer has found out who calls, which a route outside of it would mean.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or(StatusCode::UNAUTHORIZED)
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}
