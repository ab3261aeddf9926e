//! Definitions of services, with what a container needs to know.

use axum::Json;
use axum::extract::{Path, State};
use rusqlite::{Connection, OptionalExtension};
use spillway_model::service::{Service, StorageProviders};
use spillway_model::wire::link::ServiceDefinition;

use super::Link;
use super::auth::NodeName;
use super::problem::Problem;
use crate::registries;
use crate::store::StoreError;

/// The definition at that revision; 404 when the service has another one by now.
pub(super) async fn definition(
    State(link): State<Link>,
    NodeName(_): NodeName,
    Path((name, revision)): Path<(String, u64)>,
) -> Result<Json<ServiceDefinition>, Problem> {
    let wanted = name.clone();
    let found = link
        .0
        .queue
        .store()
        .read(move |db| find(db, &wanted))
        .await?;
    match found {
        Some(found) if found.revision == revision => Ok(Json(found)),
        Some(found) => Err(Problem::NotFound(format!(
            "the service '{name}' is at revision {} now, not {revision}",
            found.revision
        ))),
        None => Err(Problem::NotFound(format!(
            "the service '{name}' does not exist"
        ))),
    }
}

fn find(db: &Connection, name: &str) -> Result<Option<ServiceDefinition>, StoreError> {
    let row: Option<(i64, String)> = db
        .prepare_cached(
            "SELECT revision, unsealed('service/' || name, definition) FROM services WHERE name = ?1",
        )?
        .query_row([name], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((revision, definition)) = row else {
        return Ok(None);
    };
    let mut service: Service = serde_json::from_str(&definition).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Text, Box::new(error))
    })?;
    // Only the gateway talks to providers and other clusters: their credentials stay here.
    service.storage_providers = StorageProviders::default();
    service.clusters.clear();
    let mut statement = db.prepare_cached(
        "SELECT name, unsealed('secret/' || service || '/' || name, value) FROM secrets WHERE service = ?1",
    )?;
    let secrets = statement
        .query_map([name], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let registries = registries::logins(db, &service.image_pull_secrets)?;
    Ok(Some(ServiceDefinition {
        registries,
        revision: u64::try_from(revision).unwrap_or(0),
        service,
        secrets,
        volume: crate::volumes::mounted(db, name)?,
    }))
}
