//! Rows of services and their settings, read and written.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};
use spillway_model::service::Service;

use super::{ALLOWED_IMAGES, ServiceError};
use crate::store::StoreError;

/// Key of the counter that numbers revisions. One counter for all services and all times: a service that was
/// deleted and made anew must not be taken for its predecessor by an agent that still has that one's container.
const REVISION: &str = "service_revision";

pub(super) fn get(db: &Connection, name: &str) -> Result<Option<Service>, ServiceError> {
    let mut query = db.prepare_cached(
        "SELECT unsealed('service/' || name, definition) FROM services WHERE name = ?1",
    )?;
    let definition: Option<Option<String>> =
        query.query_row([name], |row| row.get(0)).optional()?;
    definition
        .map(|definition| parse(name, definition))
        .transpose()
}

pub(super) fn exists(db: &Connection, name: &str) -> Result<bool, ServiceError> {
    let mut query = db.prepare_cached("SELECT 1 FROM services WHERE name = ?1")?;
    Ok(query.exists([name])?)
}

pub(super) fn list(db: &Connection) -> Result<Vec<Service>, ServiceError> {
    let mut query = db.prepare_cached(
        "SELECT name, unsealed('service/' || name, definition) FROM services ORDER BY name",
    )?;
    let rows = query.query_map([], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?))
    })?;
    rows.map(|row| {
        row.map_err(ServiceError::from)
            .and_then(|(name, definition)| parse(&name, definition))
    })
    .collect()
}

pub(super) fn insert(
    db: &Connection,
    service: &Service,
    now: Timestamp,
) -> Result<(), ServiceError> {
    db.prepare_cached(
        "INSERT INTO services (name, revision, definition, created_ms, updated_ms)
         VALUES (?1, ?2, sealed('service/' || ?1, ?3), ?4, ?4)",
    )?
    .execute(params![
        service.name,
        next_revision(db)?,
        write(service)?,
        now.as_millisecond()
    ])?;
    Ok(())
}

pub(super) fn replace(
    db: &Connection,
    service: &Service,
    now: Timestamp,
) -> Result<(), ServiceError> {
    db.prepare_cached(
        "UPDATE services SET revision = ?2, definition = sealed('service/' || ?1, ?3), updated_ms = ?4
         WHERE name = ?1",
    )?
    .execute(params![
        service.name,
        next_revision(db)?,
        write(service)?,
        now.as_millisecond()
    ])?;
    Ok(())
}

/// Secrets and triggers go with it.
pub(super) fn delete(db: &Connection, name: &str) -> Result<(), ServiceError> {
    db.prepare_cached("DELETE FROM services WHERE name = ?1")?
        .execute([name])?;
    Ok(())
}

/// Names of the stored secrets.
pub(super) fn secret_names(db: &Connection, service: &str) -> Result<Vec<String>, ServiceError> {
    let mut query =
        db.prepare_cached("SELECT name FROM secrets WHERE service = ?1 ORDER BY name")?;
    let names = query.query_map([service], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

/// The value of one of them.
pub(super) fn secret(
    db: &Connection,
    service: &str,
    name: &str,
) -> Result<Option<String>, ServiceError> {
    let mut query = db.prepare_cached(
        "SELECT unsealed('secret/' || service || '/' || name, value) FROM secrets
         WHERE service = ?1 AND name = ?2",
    )?;
    Ok(query
        .query_row([service, name], |row| row.get(0))
        .optional()?)
}

pub(super) fn put_secret(
    db: &Connection,
    service: &str,
    name: &str,
    value: &str,
) -> Result<(), ServiceError> {
    db.prepare_cached(
        "INSERT OR REPLACE INTO secrets (service, name, value)
         VALUES (?1, ?2, sealed('secret/' || ?1 || '/' || ?2, ?3))",
    )?
    .execute([service, name, value])?;
    Ok(())
}

pub(super) fn delete_secret(
    db: &Connection,
    service: &str,
    name: &str,
) -> Result<(), ServiceError> {
    db.prepare_cached("DELETE FROM secrets WHERE service = ?1 AND name = ?2")?
        .execute([service, name])?;
    Ok(())
}

pub(super) fn put_trigger(
    db: &Connection,
    service: &str,
    bucket: &str,
    prefix: &str,
) -> Result<(), ServiceError> {
    db.prepare_cached(
        "INSERT OR IGNORE INTO triggers (bucket, prefix, service) VALUES (?1, ?2, ?3)",
    )?
    .execute([bucket, prefix, service])?;
    Ok(())
}

pub(super) fn delete_triggers(db: &Connection, service: &str) -> Result<(), ServiceError> {
    db.prepare_cached("DELETE FROM triggers WHERE service = ?1 AND configured = 0")?
        .execute([service])?;
    Ok(())
}

/// Names that jobs carry but no service does.
pub(super) fn without_service(db: &Connection) -> Result<Vec<String>, ServiceError> {
    let mut query = db.prepare(
        "SELECT DISTINCT service FROM jobs WHERE service NOT IN (SELECT name FROM services)",
    )?;
    let names = query.query_map([], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

/// What each service names in `image_pull_secrets`; those that name nothing are left out, and damaged ones.
pub(crate) fn pull_secrets(db: &Connection) -> Result<Vec<(String, Vec<String>)>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT name, unsealed('service/' || name, definition) FROM services ORDER BY name",
    )?;
    let rows = query.query_map([], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?))
    })?;
    let mut all = Vec::new();
    for row in rows {
        let (name, definition) = row?;
        if let Ok(service) = parse(&name, definition)
            && !service.image_pull_secrets.is_empty()
        {
            all.push((name, service.image_pull_secrets));
        }
    }
    Ok(all)
}

/// Makes nodes fetch the definition again, and replace the service's containers.
pub(crate) fn revise(db: &Connection, name: &str) -> Result<(), StoreError> {
    let revision = next_revision(db)?;
    db.prepare_cached("UPDATE services SET revision = ?2 WHERE name = ?1")?
        .execute(params![name, revision])?;
    Ok(())
}

pub(super) fn allowed_images(db: &Connection) -> Result<Vec<String>, ServiceError> {
    let text: Option<String> = db
        .prepare_cached("SELECT value FROM settings WHERE key = ?1")?
        .query_row([ALLOWED_IMAGES], |row| row.get(0))
        .optional()?;
    let damaged = |source| ServiceError::Damaged {
        service: ALLOWED_IMAGES.to_owned(),
        source,
    };
    text.map_or(Ok(Vec::new()), |text| {
        serde_json::from_str(&text).map_err(damaged)
    })
}

pub(super) fn allow_images(db: &Connection, repositories: &[String]) -> Result<(), ServiceError> {
    let damaged = |source| ServiceError::Damaged {
        service: ALLOWED_IMAGES.to_owned(),
        source,
    };
    let text = serde_json::to_string(repositories).map_err(damaged)?;
    db.execute(
        "INSERT OR REPLACE INTO settings (key, value) VALUES (?1, ?2)",
        [ALLOWED_IMAGES, &text],
    )?;
    Ok(())
}

fn next_revision(db: &Connection) -> rusqlite::Result<i64> {
    let mut statement = db.prepare_cached(
        "INSERT INTO settings (key, value) VALUES (?1, '1')
         ON CONFLICT (key) DO UPDATE SET value = CAST(value AS INTEGER) + 1
         RETURNING CAST(value AS INTEGER)",
    )?;
    statement.query_row([REVISION], |row| row.get(0))
}

/// Absent is what could not be unsealed.
fn parse(name: &str, definition: Option<String>) -> Result<Service, ServiceError> {
    serde_json::from_str(&definition.unwrap_or_default()).map_err(|source| ServiceError::Damaged {
        service: name.to_owned(),
        source,
    })
}

fn write(service: &Service) -> Result<String, ServiceError> {
    serde_json::to_string(service).map_err(|source| ServiceError::Damaged {
        service: service.name.clone(),
        source,
    })
}
