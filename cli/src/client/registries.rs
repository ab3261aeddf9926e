//! Logins of image registries.

use reqwest::Method;
use serde::Serialize;
use spillway_model::registry::{PATH, RegistryReport};

use super::error::ClientError;
use super::http::{Client, PLAIN, segment};

/// A login to be kept.
#[derive(Serialize)]
pub(crate) struct Login {
    pub(crate) server: String,
    pub(crate) username: String,
    pub(crate) password: String,
}

impl Client {
    /// All logins, without passwords.
    pub(crate) async fn registries(&self) -> Result<Vec<RegistryReport>, ClientError> {
        self.get_json("registries", PATH).await
    }

    /// Adds a login or replaces it.
    pub(crate) async fn put_registry(&self, name: &str, login: &Login) -> Result<(), ClientError> {
        let what = format!("adding the registry {name:?}");
        let path = format!("{PATH}/{}", segment(name));
        self.send_json(&what, Method::PUT, &path, login, PLAIN)
            .await
    }

    /// Forgets a login.
    pub(crate) async fn delete_registry(&self, name: &str) -> Result<(), ClientError> {
        let request = self.request(Method::DELETE, &format!("{PATH}/{}", segment(name)));
        let what = format!("removing the registry {name:?}");
        self.send(&what, request, Some(PLAIN)).await.map(drop)
    }
}
