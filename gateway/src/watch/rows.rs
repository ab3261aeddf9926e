//! The tables of watched folders and of what was seen in them.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use spillway_model::service::Service;

use super::{EXISTING, inputs, place, provider};
use crate::providers::Clocks;
use crate::store::StoreError;

/// A watched folder.
#[derive(Debug, Clone)]
pub(super) struct Watch {
    pub(super) id: i64,
    pub(super) service: String,
    pub(super) place: String,
    pub(super) since_ms: i64,
    pub(super) is_known: bool,
}

/// Inside the write that stores a service: folders that are new are watched from now on, those it does not name any
/// more are forgotten.
pub(crate) fn attach(
    db: &Connection,
    service: &Service,
    clocks: &Clocks,
    now: Timestamp,
) -> Result<(), StoreError> {
    let all = service
        .annotations
        .get(EXISTING)
        .is_some_and(|word| word.eq_ignore_ascii_case("process"));
    let places: Vec<String> = inputs(service).map(|io| place(service, io)).collect();
    let mut statement = db.prepare_cached("SELECT id, place FROM watches WHERE service = ?1")?;
    let old = statement
        .query_map([&service.name], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
        })?
        .collect::<Result<Vec<_>, _>>()?;
    for (id, _) in old.iter().filter(|(_, place)| !places.contains(place)) {
        db.prepare_cached("DELETE FROM watches WHERE id = ?1")?
            .execute([id])?;
    }
    for io in inputs(service) {
        // Times of files have no fractions in `WebDAV`.
        let since_ms = match clocks.get(&provider(io)) {
            _ if all => i64::MIN,
            Some(theirs) => theirs.as_second() * 1000,
            None => now.as_second() * 1000,
        };
        db.prepare_cached(
            "INSERT OR IGNORE INTO watches (service, place, since_ms, is_known) VALUES (?1, ?2, ?3, 0)",
        )?
        .execute(params![service.name, place(service, io), since_ms])?;
    }
    Ok(())
}

/// All of them.
pub(super) fn list(db: &Connection) -> Result<Vec<Watch>, StoreError> {
    let mut statement =
        db.prepare_cached("SELECT id, service, place, since_ms, is_known FROM watches")?;
    let rows = statement.query_map([], |row| {
        Ok(Watch {
            id: row.get(0)?,
            service: row.get(1)?,
            place: row.get(2)?,
            since_ms: row.get(3)?,
            is_known: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Walks through what was seen in a folder.
pub(super) fn each_seen(
    db: &Connection,
    watch: i64,
    mut take: impl FnMut(&str, &str),
) -> Result<(), StoreError> {
    let mut statement = db.prepare_cached("SELECT key, version FROM seen WHERE watch = ?1")?;
    let mut rows = statement.query([watch])?;
    while let Some(row) = rows.next()? {
        take(
            row.get_ref(0)?.as_str().unwrap_or_default(),
            row.get_ref(1)?.as_str().unwrap_or_default(),
        );
    }
    Ok(())
}

/// Marks a version as seen. False if the folder is not watched any more.
pub(super) fn see(
    db: &Connection,
    watch: i64,
    key: &str,
    version: &str,
) -> Result<bool, StoreError> {
    let is_there = db
        .prepare_cached("SELECT 1 FROM watches WHERE id = ?1")?
        .exists([watch])?;
    if is_there {
        db.prepare_cached("INSERT OR REPLACE INTO seen (watch, key, version) VALUES (?1, ?2, ?3)")?
            .execute(params![watch, key, version])?;
    }
    Ok(is_there)
}

/// What is gone from the folder may come again.
pub(super) fn forget(db: &Connection, watch: i64, keys: &[String]) -> Result<(), StoreError> {
    let mut statement = db.prepare_cached("DELETE FROM seen WHERE watch = ?1 AND key = ?2")?;
    for key in keys {
        statement.execute(params![watch, key])?;
    }
    Ok(())
}

/// All that was there before is marked as seen.
pub(super) fn set_known(db: &Connection, watch: i64) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE watches SET is_known = 1 WHERE id = ?1")?
        .execute([watch])?;
    Ok(())
}

/// How many jobs of a service wait or run, and the bytes of their inputs; counted up to `limit` jobs.
pub(super) fn ahead(db: &Connection, service: &str, limit: u32) -> Result<(u32, u64), StoreError> {
    let found: Option<(u32, i64)> = db
        .prepare_cached(
            "SELECT count(*), coalesce(sum(size), 0) FROM (
                SELECT blobs.size FROM jobs LEFT JOIN blobs ON blobs.id = jobs.blob
                WHERE jobs.state = 'queued' AND jobs.service = ?1 LIMIT ?2)",
        )?
        .query_row(params![service, limit], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let (jobs, bytes) = found.unwrap_or_default();
    Ok((jobs, u64::try_from(bytes).unwrap_or(0)))
}
