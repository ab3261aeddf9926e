//! Rows of logins.

use rusqlite::{Connection, params};
use spillway_model::registry::{RegistryLogin, RegistryReport};

use crate::store::StoreError;

/// The logins of these names, with passwords. A name that is not there any more is left out: the pull says so.
pub(crate) fn logins(db: &Connection, names: &[String]) -> Result<Vec<RegistryLogin>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT name, server, username, unsealed('registry/' || name, password) FROM registries WHERE name = ?1",
    )?;
    let mut logins = Vec::new();
    for name in names {
        let found = query.query_map([name], |row| {
            Ok(RegistryLogin {
                name: row.get(0)?,
                server: row.get(1)?,
                username: row.get(2)?,
                password: row.get::<_, Option<String>>(3)?.unwrap_or_default(),
            })
        })?;
        logins.extend(found.collect::<Result<Vec<_>, _>>()?);
    }
    Ok(logins)
}

/// The first of these names that is not there.
pub(crate) fn unknown(db: &Connection, names: &[String]) -> Result<Option<String>, StoreError> {
    for name in names {
        if !exists(db, name)? {
            return Ok(Some(name.clone()));
        }
    }
    Ok(None)
}

pub(super) fn exists(db: &Connection, name: &str) -> Result<bool, StoreError> {
    let mut query = db.prepare_cached("SELECT 1 FROM registries WHERE name = ?1")?;
    Ok(query.exists([name])?)
}

pub(super) fn count(db: &Connection) -> Result<usize, StoreError> {
    let count: i64 = db.query_row("SELECT count(*) FROM registries", [], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

/// Without passwords; nobody asks for the services here.
pub(super) fn list(db: &Connection) -> Result<Vec<RegistryReport>, StoreError> {
    let mut query =
        db.prepare_cached("SELECT name, server, username FROM registries ORDER BY name")?;
    let all = query.query_map([], |row| {
        Ok(RegistryReport {
            name: row.get(0)?,
            server: row.get(1)?,
            username: row.get(2)?,
            services: Vec::new(),
        })
    })?;
    Ok(all.collect::<Result<_, _>>()?)
}

pub(super) fn put(db: &Connection, login: &RegistryLogin) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT OR REPLACE INTO registries (name, server, username, password)
         VALUES (?1, ?2, ?3, sealed('registry/' || ?1, ?4))",
    )?
    .execute(params![
        login.name,
        login.server,
        login.username,
        login.password
    ])?;
    Ok(())
}

pub(super) fn delete(db: &Connection, name: &str) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM registries WHERE name = ?1")?
        .execute([name])?;
    Ok(())
}
