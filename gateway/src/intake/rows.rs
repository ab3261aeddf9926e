//! The table of fetches, and what they do to their jobs.

use rusqlite::{Connection, OptionalExtension, params};

use crate::objects::{self, NewBlob};
use crate::queue::{self, timestamp};
use crate::store::StoreError;

/// Fetches read at once.
const PAGE: u32 = 64;

/// A file to be fetched for a job.
#[derive(Debug, Clone)]
pub(super) struct Due {
    pub(super) job: i64,
    pub(super) name: String,
    pub(super) service: String,
    pub(super) provider: String,
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) tries: u32,
    pub(super) since_ms: i64,
}

/// Inside the write that accepts the job: it waits for its input.
pub(crate) fn insert(
    db: &Connection,
    job: i64,
    provider: &str,
    bucket: &str,
    key: &str,
    now_ms: i64,
) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE jobs SET state = 'fetching' WHERE id = ?1")?
        .execute([job])?;
    db.prepare_cached(
        "INSERT INTO fetches (job, provider, bucket, key, tries, ready_ms, since_ms)
         VALUES (?1, ?2, ?3, ?4, 0, ?5, ?5)",
    )?
    .execute(params![job, provider, bucket, key, now_ms])?;
    Ok(())
}

/// Those that may be tried now, and when the next one may be.
pub(super) fn due(
    db: &Connection,
    now_ms: i64,
    skip: usize,
) -> Result<(Vec<Due>, Option<i64>), StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT job, name, service, provider, bucket, key, tries, since_ms
         FROM jobs JOIN fetches ON job = id WHERE state = 'fetching' AND fetches.ready_ms <= ?1
         ORDER BY fetches.ready_ms, id LIMIT ?2",
    )?;
    let limit = i64::from(PAGE) + i64::try_from(skip).unwrap_or(0);
    let found = statement
        .query_map(params![now_ms, limit], |row| {
            Ok(Due {
                job: row.get(0)?,
                name: row.get(1)?,
                service: row.get(2)?,
                provider: row.get(3)?,
                bucket: row.get(4)?,
                key: row.get(5)?,
                tries: row.get(6)?,
                since_ms: row.get(7)?,
            })
        })?
        .collect::<Result<Vec<_>, _>>()?;
    let next = db
        .prepare_cached(
            "SELECT min(fetches.ready_ms) FROM jobs JOIN fetches ON job = id
             WHERE state = 'fetching' AND fetches.ready_ms > ?1",
        )?
        .query_row([now_ms], |row| row.get(0))?;
    Ok((found, next))
}

/// The file is here: the job may be granted. False if nobody wants it any more.
pub(super) fn fetched(
    db: &Connection,
    due: &Due,
    blob: &NewBlob,
    epoch: i64,
) -> Result<bool, StoreError> {
    let cause: Option<String> = db
        .prepare_cached("SELECT cause FROM jobs WHERE id = ?1 AND state = 'fetching'")?
        .query_row([due.job], |row| row.get(0))
        .optional()?;
    let Some(cause) = cause else {
        return Ok(false);
    };
    blob.insert(db)?;
    objects::retain(db, blob.id)?;
    db.prepare_cached(
        "UPDATE jobs SET state = 'queued', blob = ?2, cause = ?3, epoch = ?4 WHERE id = ?1",
    )?
    .execute(params![
        due.job,
        blob.id,
        queue::with_input(&cause, &due.bucket, &due.key, blob.size)?,
        epoch
    ])?;
    db.prepare_cached("DELETE FROM fetches WHERE job = ?1")?
        .execute([due.job])?;
    Ok(true)
}

/// A try failed; the next one is not before `ready_ms`.
pub(super) fn failed(
    db: &Connection,
    job: i64,
    message: &str,
    ready_ms: i64,
) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE fetches SET tries = tries + 1, ready_ms = ?2 WHERE job = ?1")?
        .execute(params![job, ready_ms])?;
    db.prepare_cached("UPDATE jobs SET message = ?2 WHERE id = ?1 AND state = 'fetching'")?
        .execute(params![job, message])?;
    Ok(())
}

/// The job is given up, as a dead letter. False if it was deleted meanwhile.
pub(super) fn give_up(
    db: &Connection,
    job: i64,
    message: &str,
    now_ms: i64,
) -> Result<bool, StoreError> {
    let attempt: Option<i64> = db
        .prepare_cached(
            "UPDATE jobs SET state = 'dead', attempt = attempt + 1, failures = failures + 1, reason = 'stage_in',
                message = ?2, finished_ms = ?3
             WHERE id = ?1 AND state = 'fetching' RETURNING attempt",
        )?
        .query_row(params![job, message, now_ms], |row| row.get(0))
        .optional()?;
    let Some(attempt) = attempt else {
        return Ok(false);
    };
    let log = format!("{} {message}\n", timestamp(now_ms));
    db.prepare_cached("INSERT INTO logs (job, attempt, bytes, text) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![
            job,
            attempt,
            i64::try_from(log.len()).unwrap_or(0),
            log
        ])?;
    Ok(true)
}
