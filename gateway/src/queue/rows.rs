//! The table of jobs: what is read from it and written to it. Every change here is conditional on what the row
//! says, so that whatever was decided in memory meanwhile can never be wrong on disk.

mod ends;
mod grants;

use rusqlite::{Connection, OptionalExtension, Row, params};

pub(crate) use ends::{Account, After, Ending, Finished, Limits, finish};
pub(crate) use grants::{LeasedRow, claim, leased, record_grant};

use super::QueuedJob;
use super::board::Ready;
use super::cause::{Cause, Stored};
use crate::objects;
use crate::store::StoreError;

/// A job about to be accepted.
#[derive(Debug)]
pub(crate) struct NewJob<'a> {
    pub(crate) name: String,
    pub(crate) service: &'a str,
    pub(crate) priority: i32,
    pub(crate) owner: &'a str,
    pub(crate) cause: Cause,
    /// Has its row already; the job takes a reference of its own.
    pub(crate) blob: Option<i64>,
    pub(crate) epoch: i64,
    pub(crate) now_ms: i64,
}

/// Ready jobs of one service, and when the next delayed one is.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) jobs: Vec<Ready>,
    pub(crate) is_all: bool,
    pub(crate) next_due: Option<i64>,
}

/// A column of JSON.
pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| {
        StoreError::Statement(rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
    })
}

/// The same, read.
pub(crate) fn from_json<T: serde::de::DeserializeOwned>(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<T> {
    serde_json::from_str(row.get_ref(column)?.as_str()?).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(
            column,
            rusqlite::types::Type::Text,
            Box::new(error),
        )
    })
}

/// Adds a job.
pub(crate) fn insert(db: &Connection, job: NewJob<'_>) -> Result<QueuedJob, StoreError> {
    if let Some(blob) = job.blob {
        objects::retain(db, blob)?;
    }
    db.prepare_cached(
        "INSERT INTO jobs (name, service, state, priority, owner, cause, blob, epoch, attempt, failures,
            interruptions, streak, node, ready_ms, created_ms, reason, message, report)
         VALUES (?1, ?2, 'queued', ?3, ?4, ?5, ?6, ?7, 0, 0, 0, 0, '', ?8, ?8, '', '', '')",
    )?
    .execute(params![
        job.name,
        job.service,
        job.priority,
        job.owner,
        to_json(&job.cause)?,
        job.blob,
        job.epoch,
        job.now_ms
    ])?;
    Ok(QueuedJob {
        id: db.last_insert_rowid(),
        name: job.name,
        service: job.service.to_owned(),
        owner: job.owner.to_owned(),
        priority: job.priority,
        ready_ms: job.now_ms,
        stored: Some(std::sync::Arc::new(Stored {
            cause: job.cause,
            blob: job.blob,
        })),
    })
}

/// Reads the first `limit` jobs of a service that are ready.
pub(crate) fn ready(
    db: &Connection,
    service: &str,
    now_ms: i64,
    limit: u32,
    epoch: i64,
) -> Result<Page, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT id, name, priority, ready_ms, attempt, epoch FROM jobs
         WHERE state = 'queued' AND service = ?1 AND ready_ms <= ?2
         ORDER BY priority DESC, ready_ms, id LIMIT ?3",
    )?;
    let jobs = statement
        .query_map(params![service, now_ms, limit], |row| {
            let attempt: u32 = row.get(4)?;
            let is_ours = row.get::<_, i64>(5)? == epoch;
            Ok(Ready {
                id: row.get(0)?,
                name: row.get(1)?,
                priority: row.get(2)?,
                ready_ms: row.get(3)?,
                attempt: possible_attempt(attempt, is_ours),
                fresh: attempt == 0 && is_ours,
                stored: None,
            })
        })?
        .collect::<Result<Vec<_>, _>>()?;
    let next_due = db
        .prepare_cached(
            "SELECT min(ready_ms) FROM jobs
             WHERE state = 'queued' AND ready_ms > created_ms AND service = ?1 AND ready_ms > ?2",
        )?
        .query_row(params![service, now_ms], |row| row.get(0))?;
    Ok(Page {
        is_all: jobs.len() < limit as usize,
        jobs,
        next_due,
    })
}

/// The first grant of a job may be recorded late, so a crash may have swallowed it: a job that a former run of
/// the gateway accepted may be in its first attempt even if its row says 0.
pub(crate) fn possible_attempt(recorded: u32, is_of_this_epoch: bool) -> u32 {
    if recorded == 0 && !is_of_this_epoch {
        1
    } else {
        recorded
    }
}

/// What a lease is made of.
pub(crate) fn stored(db: &Connection, id: i64) -> Result<Option<Stored>, StoreError> {
    Ok(db
        .prepare_cached("SELECT cause, blob FROM jobs WHERE id = ?1")?
        .query_row([id], |row| {
            Ok(Stored {
                cause: from_json(row, 0)?,
                blob: row.get(1)?,
            })
        })
        .optional()?)
}
