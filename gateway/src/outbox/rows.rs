//! The table of deliveries.

use rusqlite::{Connection, OptionalExtension, Row, params};
use spillway_model::report::{DeliveryPage, DeliveryReport, DeliveryState};

use super::Which;
use crate::objects::{self, signed, unsigned};
use crate::queue::timestamp;
use crate::store::StoreError;

/// Deliveries on one page, and changed in one transaction.
const PAGE: u32 = 500;

/// A file to be delivered; its blob has a row already.
#[derive(Debug, Clone)]
pub(crate) struct NewDelivery<'a> {
    pub(crate) job: &'a str,
    pub(crate) service: &'a str,
    pub(crate) provider: &'a str,
    pub(crate) bucket: &'a str,
    pub(crate) key: &'a str,
    pub(crate) content_type: &'a str,
    pub(crate) blob: i64,
    pub(crate) size: u64,
    pub(crate) now_ms: i64,
}

/// A delivery to be made.
#[derive(Debug, Clone)]
pub(super) struct Due {
    pub(super) id: i64,
    pub(super) job: String,
    pub(super) service: String,
    pub(super) provider: String,
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) content_type: String,
    pub(super) blob: i64,
    pub(super) size: u64,
    pub(super) tries: u32,
    pub(super) since_ms: i64,
}

/// Which deliveries to list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub(crate) service: Option<String>,
    pub(crate) state: Option<DeliveryState>,
    pub(crate) limit: Option<u32>,
    pub(crate) before: Option<i64>,
}

/// Inside a write: adds a delivery, which holds the blob from now on.
pub(crate) fn insert(db: &Connection, new: &NewDelivery<'_>) -> Result<(), StoreError> {
    objects::retain(db, new.blob)?;
    db.prepare_cached(
        "INSERT INTO deliveries (job, service, provider, bucket, key, content_type, blob, size, state, tries,
            ready_ms, created_ms, since_ms, message)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'waiting', 0, ?9, ?9, ?9, '')",
    )?
    .execute(params![
        new.job,
        new.service,
        new.provider,
        new.bucket,
        new.key,
        new.content_type,
        new.blob,
        signed(new.size),
        new.now_ms
    ])?;
    Ok(())
}

/// How many wait.
pub(crate) fn waiting(db: &Connection) -> Result<u64, StoreError> {
    let count: i64 = db
        .prepare_cached("SELECT count(*) FROM deliveries WHERE state = 'waiting'")?
        .query_row([], |row| row.get(0))?;
    Ok(unsigned(count))
}

/// Destinations for which something waits: service and provider.
pub(super) fn destinations(db: &Connection) -> Result<Vec<(String, String)>, StoreError> {
    // One look-up in the index for each, however many files wait there.
    let mut statement = db.prepare_cached(
        "WITH RECURSIVE found (service, provider) AS (
            SELECT * FROM (SELECT service, provider FROM deliveries WHERE state = 'waiting'
                ORDER BY service, provider LIMIT 1)
            UNION ALL
            SELECT next.service, next.provider FROM found, deliveries next WHERE next.id = (
                SELECT id FROM deliveries WHERE state = 'waiting'
                    AND (service, provider) > (found.service, found.provider)
                ORDER BY service, provider LIMIT 1))
         SELECT service, provider FROM found",
    )?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Those of one destination that may be tried now, and when the next one may be. Of several for one key only the eldest.
pub(super) fn due(
    db: &Connection,
    service: &str,
    provider: &str,
    now_ms: i64,
    limit: usize,
) -> Result<(Vec<Due>, Option<i64>), StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT id, job, service, provider, bucket, key, content_type, blob, size, tries, since_ms FROM deliveries AS it
         WHERE state = 'waiting' AND service = ?1 AND provider = ?2 AND ready_ms <= ?3
            AND NOT EXISTS (SELECT 1 FROM deliveries AS older WHERE older.state = 'waiting' AND older.service = ?1
                AND older.provider = ?2 AND older.bucket = it.bucket AND older.key = it.key AND older.id < it.id)
         ORDER BY ready_ms, id LIMIT ?4",
    )?;
    let found = statement
        .query_map(
            params![
                service,
                provider,
                now_ms,
                i64::try_from(limit).unwrap_or(i64::MAX)
            ],
            |row| {
                Ok(Due {
                    id: row.get(0)?,
                    job: row.get(1)?,
                    service: row.get(2)?,
                    provider: row.get(3)?,
                    bucket: row.get(4)?,
                    key: row.get(5)?,
                    content_type: row.get(6)?,
                    blob: row.get(7)?,
                    size: unsigned(row.get(8)?),
                    tries: row.get(9)?,
                    since_ms: row.get(10)?,
                })
            },
        )?
        .collect::<Result<Vec<_>, _>>()?;
    let next = db
        .prepare_cached(
            "SELECT min(ready_ms) FROM deliveries
             WHERE state = 'waiting' AND service = ?1 AND provider = ?2 AND ready_ms > ?3",
        )?
        .query_row(params![service, provider, now_ms], |row| row.get(0))?;
    Ok((found, next))
}

/// It has arrived.
pub(super) fn delivered(db: &Connection, id: i64) -> Result<(), StoreError> {
    let blob: Option<i64> = db
        .prepare_cached("DELETE FROM deliveries WHERE id = ?1 RETURNING blob")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    if let Some(blob) = blob {
        objects::release(db, blob)?;
    }
    Ok(())
}

/// A try failed; the next one is not before `ready_ms`.
pub(super) fn failed(
    db: &Connection,
    id: i64,
    message: &str,
    ready_ms: i64,
) -> Result<(), StoreError> {
    db.prepare_cached(
        "UPDATE deliveries SET tries = tries + 1, message = ?2, ready_ms = ?3 WHERE id = ?1 AND state = 'waiting'",
    )?
    .execute(params![id, message, ready_ms])?;
    Ok(())
}

/// It is given up. The job's log says so, too.
pub(super) fn give_up(
    db: &Connection,
    due: &Due,
    message: &str,
    now_ms: i64,
) -> Result<(), StoreError> {
    let changed = db
        .prepare_cached(
            "UPDATE deliveries SET state = 'dead', tries = tries + 1, message = ?2, dead_ms = ?3
             WHERE id = ?1 AND state = 'waiting'",
        )?
        .execute(params![due.id, message, now_ms])?;
    if changed == 1 {
        let line = format!(
            "{} gave up delivering {} to {}: {message}\n",
            timestamp(now_ms),
            due.key,
            due.provider
        );
        db.prepare_cached(
            "UPDATE logs SET text = text || ?2, bytes = bytes + length(CAST(?2 AS BLOB))
             WHERE job = (SELECT id FROM jobs WHERE name = ?1)
                AND attempt = (SELECT attempt FROM jobs WHERE name = ?1)",
        )?
        .execute(params![due.job, line])?;
    }
    Ok(())
}

/// Forgets some that were given up before `oldest_ms`.
pub(super) fn forget(db: &Connection, oldest_ms: i64) -> Result<u64, StoreError> {
    remove(
        db,
        &format!(
            "id IN (SELECT id FROM deliveries WHERE state = 'dead' AND dead_ms < ?1 LIMIT {PAGE})"
        ),
        params![oldest_ms],
    )
}

pub(super) fn retry(db: &Connection, which: &Which, now_ms: i64) -> Result<u64, StoreError> {
    let changed = db
        .prepare_cached(
            "UPDATE deliveries SET state = 'waiting', ready_ms = ?3, since_ms = ?3, dead_ms = NULL
             WHERE (?1 IS NULL OR id = ?1) AND (?2 IS NULL OR service = ?2)",
        )?
        .execute(params![which.id, which.service, now_ms])?;
    Ok(changed as u64)
}

pub(super) fn purge(db: &Connection, which: &Which) -> Result<u64, StoreError> {
    remove(
        db,
        &format!(
            "id IN (SELECT id FROM deliveries WHERE (id = ?1 OR (?1 IS NULL AND state = 'dead'))
                AND (?2 IS NULL OR service = ?2) LIMIT {PAGE})"
        ),
        params![which.id, which.service],
    )
}

fn remove(
    db: &Connection,
    condition: &str,
    values: &[&dyn rusqlite::ToSql],
) -> Result<u64, StoreError> {
    let mut statement = db.prepare_cached(&format!(
        "DELETE FROM deliveries WHERE {condition} RETURNING blob"
    ))?;
    let blobs = statement
        .query_map(values, |row| row.get(0))?
        .collect::<Result<Vec<i64>, _>>()?;
    for blob in &blobs {
        objects::release(db, *blob)?;
    }
    Ok(blobs.len() as u64)
}

const COLUMNS: &str = "id, job, service, provider, bucket, key, size, state, tries, ready_ms, created_ms, dead_ms, message";

pub(super) fn get(db: &Connection, id: i64) -> Result<Option<DeliveryReport>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM deliveries WHERE id = ?1");
    Ok(db
        .prepare_cached(&sql)?
        .query_row([id], report)
        .optional()?)
}

pub(super) fn list(db: &Connection, filter: &Filter) -> Result<DeliveryPage, StoreError> {
    let limit = filter.limit.unwrap_or(100).clamp(1, PAGE) as usize;
    let state = filter.state.map(|state| match state {
        DeliveryState::Waiting => "waiting",
        DeliveryState::Dead => "dead",
    });
    let sql = format!(
        "SELECT {COLUMNS} FROM deliveries WHERE id < ?1 AND (?2 IS NULL OR service = ?2) AND (?3 IS NULL OR state = ?3)
         ORDER BY id DESC LIMIT {}",
        limit + 1
    );
    let mut deliveries = db
        .prepare_cached(&sql)?
        .query_map(
            params![filter.before.unwrap_or(i64::MAX), filter.service, state],
            report,
        )?
        .collect::<Result<Vec<_>, _>>()?;
    let is_last = deliveries.len() <= limit;
    deliveries.truncate(limit);
    let next = deliveries
        .last()
        .filter(|_| !is_last)
        .map(|last| last.id.to_string());
    Ok(DeliveryPage { deliveries, next })
}

fn report(row: &Row<'_>) -> rusqlite::Result<DeliveryReport> {
    let state = match row.get_ref(7)?.as_str()? {
        "dead" => DeliveryState::Dead,
        _ => DeliveryState::Waiting,
    };
    let (bucket, key): (String, String) = (row.get(4)?, row.get(5)?);
    let path = if bucket.is_empty() {
        key
    } else {
        format!("{bucket}/{key}")
    };
    Ok(DeliveryReport {
        id: row.get(0)?,
        job: row.get(1)?,
        service: row.get(2)?,
        provider: row.get(3)?,
        path,
        size: unsigned(row.get(6)?),
        state,
        tries: row.get(8)?,
        ready_at: (state == DeliveryState::Waiting)
            .then(|| row.get(9).map(timestamp))
            .transpose()?,
        created_at: timestamp(row.get(10)?),
        dead_at: row.get::<_, Option<i64>>(11)?.map(timestamp),
        message: row.get(12)?,
    })
}
