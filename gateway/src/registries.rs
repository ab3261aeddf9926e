//! Logins of private image registries: kept sealed, named by services in `image_pull_secrets`, given to the nodes that
//! run these services, and shown to nobody.

mod api;
mod rows;

use std::collections::BTreeMap;

use spillway_model::registry::{RegistryLogin, RegistryReport};

use crate::queue::Queue;
use crate::services;
use crate::store::StoreError;

pub(crate) use api::registries as table;
pub(crate) use rows::{logins, unknown};

/// Most logins that are kept.
const MOST: usize = 1000;

/// Why a login was not kept or forgotten.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegistryError {
    #[error("there is no registry {0:?}; `spillway registries list` shows those that are there")]
    Unknown(String),
    #[error(
        "the registry {name:?} is still named by image_pull_secrets of {}; change or delete these services first",
        services.join(", ")
    )]
    Used { name: String, services: Vec<String> },
    #[error("there are {MOST} logins of registries already; remove one that is not needed")]
    TooMany,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for RegistryError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Clonable handle to the logins.
#[derive(Debug, Clone)]
pub(crate) struct Registries {
    queue: Queue,
}

impl Registries {
    pub(crate) fn new(queue: Queue) -> Self {
        Self { queue }
    }

    /// The API under its prefix.
    pub(crate) fn router(self) -> axum::Router {
        table::router().with_state(self)
    }

    /// All, without passwords, with the services that name them.
    async fn list(&self) -> Result<Vec<RegistryReport>, RegistryError> {
        self.queue
            .store()
            .read(|db| {
                let mut users: BTreeMap<String, Vec<String>> = BTreeMap::new();
                for (service, secrets) in services::pull_secrets(db)? {
                    for secret in secrets {
                        users.entry(secret).or_default().push(service.clone());
                    }
                }
                let mut all = rows::list(db)?;
                for report in &mut all {
                    report.services = users.remove(&report.name).unwrap_or_default();
                }
                Ok(all)
            })
            .await
    }

    /// Keeps a login. Services that name it get a new revision, so that nodes fetch the new password.
    async fn put(&self, login: RegistryLogin) -> Result<(), RegistryError> {
        self.queue
            .store()
            .write(move |db| {
                if !rows::exists(db, &login.name)? && rows::count(db)? >= MOST {
                    return Err(RegistryError::TooMany);
                }
                rows::put(db, &login)?;
                for (service, secrets) in services::pull_secrets(db)? {
                    if secrets.contains(&login.name) {
                        services::revise(db, &service)?;
                    }
                }
                Ok(())
            })
            .await?;
        self.queue.services_changed();
        Ok(())
    }

    /// Forgets a login that no service names.
    async fn delete(&self, name: String) -> Result<(), RegistryError> {
        self.queue
            .store()
            .write(move |db| {
                let using = services::pull_secrets(db)?.into_iter();
                let services: Vec<String> = using
                    .filter(|(_, secrets)| secrets.contains(&name))
                    .map(|(service, _)| service)
                    .collect();
                if !rows::exists(db, &name)? {
                    Err(RegistryError::Unknown(name))
                } else if services.is_empty() {
                    Ok(rows::delete(db, &name)?)
                } else {
                    Err(RegistryError::Used { name, services })
                }
            })
            .await
    }
}
