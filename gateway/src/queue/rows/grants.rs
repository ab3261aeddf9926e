//! Grants: recorded, taken up again after a restart, claimed by their holders.

use rusqlite::{Connection, OptionalExtension, params};
use spillway_model::wire::link::Attempt;

use crate::store::StoreError;

/// A job that the table says is with a node.
#[derive(Debug)]
pub(crate) struct LeasedRow {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) service: String,
    pub(crate) attempt: u32,
    pub(crate) node: String,
}

/// Notes that the attempt is with the node, unless the job is not to be had any more. A higher or equal attempt in
/// the row means that somebody else was faster.
pub(crate) fn record_grant(
    db: &Connection,
    id: i64,
    attempt: u32,
    node: &str,
    now_ms: i64,
) -> Result<bool, StoreError> {
    let changed = db
        .prepare_cached(
            "UPDATE jobs SET state = 'leased', attempt = ?2, node = ?3, started_ms = ?4
             WHERE id = ?1 AND state = 'queued' AND attempt < ?2",
        )?
        .execute(params![id, attempt, node, now_ms])?;
    Ok(changed == 1)
}

/// All rows that are leased.
pub(crate) fn leased(db: &Connection) -> Result<Vec<LeasedRow>, StoreError> {
    let mut statement =
        db.prepare("SELECT id, name, service, attempt, node FROM jobs WHERE state = 'leased'")?;
    let rows = statement.query_map([], |row| {
        Ok(LeasedRow {
            id: row.get(0)?,
            name: row.get(1)?,
            service: row.get(2)?,
            attempt: row.get(3)?,
            node: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Gives the lease back to a node that says it still runs the attempt: as long as nobody else was granted the job
/// and that attempt has not come to its end.
pub(crate) fn claim(
    db: &Connection,
    node: &str,
    attempt: &Attempt,
    epoch: i64,
) -> Result<Option<LeasedRow>, StoreError> {
    let Some((id, service)) = db
        .prepare_cached(
            "SELECT id, service FROM jobs WHERE name = ?1 AND (
                (state IN ('queued', 'leased') AND attempt = ?2 AND node = ?3
                    AND NOT EXISTS (SELECT 1 FROM logs WHERE logs.job = jobs.id AND logs.attempt = ?2))
                OR (state = 'queued' AND attempt = 0 AND ?2 = 1 AND epoch < ?4))",
        )?
        .query_row(params![attempt.job, attempt.attempt, node, epoch], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?
    else {
        return Ok(None);
    };
    db.prepare_cached("UPDATE jobs SET state = 'leased', attempt = ?2, node = ?3 WHERE id = ?1")?
        .execute(params![id, attempt.attempt, node])?;
    Ok(Some(LeasedRow {
        id,
        name: attempt.job.clone(),
        service,
        attempt: attempt.attempt,
        node: node.to_owned(),
    }))
}
