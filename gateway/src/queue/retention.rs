//! Forgets finished jobs and their logs: by age, by number, and by the room their logs take. Little by little,
//! so that nobody waits.

use std::time::Duration;

use rusqlite::{Connection, params};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::QueueSettings;
use super::removal::{BATCH, delete_where};
use super::room::{self, Room};
use crate::store::{Store, StoreError};

/// After the start; there is better to do then.
const FIRST: Duration = Duration::from_mins(1);

/// Between two rounds.
const PERIOD: Duration = Duration::from_hours(1);

/// Between two batches of one round.
const PAUSE: Duration = Duration::from_millis(50);

pub(super) async fn run(
    store: Store,
    settings: QueueSettings,
    room: Room,
    stop: CancellationToken,
) {
    let mut wait = FIRST;
    while stop
        .run_until_cancelled(tokio::time::sleep(wait))
        .await
        .is_some()
    {
        match stop.run_until_cancelled(round(&store, &settings)).await {
            None | Some(Err(StoreError::Closed)) => return,
            Some(Ok(0)) => (),
            Some(Ok(jobs)) => info!(jobs, "forgot old jobs"),
            Some(Err(error)) => warn!(%error, "forgetting old jobs"),
        }
        match store.read(room::count).await {
            Ok(unfinished) => room.set(unfinished),
            Err(error) => warn!(%error, "counting unfinished jobs"),
        }
        wait = PERIOD;
    }
}

/// One round; returns how many jobs or logs went.
pub(super) async fn round(store: &Store, settings: &QueueSettings) -> Result<usize, StoreError> {
    let keep_ms = i64::try_from(settings.keep.as_millis()).unwrap_or(i64::MAX);
    let oldest_ms = settings.clock.now_ms().saturating_sub(keep_ms);
    let keep_jobs = i64::try_from(settings.keep_jobs).unwrap_or(i64::MAX);
    let keep_bytes = i64::try_from(settings.keep_log_bytes).unwrap_or(i64::MAX);
    let mut gone = repeat(store, move |db| forget_older(db, oldest_ms)).await?;
    gone += repeat(store, move |db| forget_surplus(db, keep_jobs)).await?;
    gone += repeat(store, move |db| forget_logs(db, keep_bytes)).await?;
    Ok(gone)
}

/// Repeats a batch until it finds nothing more to do.
async fn repeat(
    store: &Store,
    batch: impl Fn(&Connection) -> Result<usize, StoreError> + Clone + Send + 'static,
) -> Result<usize, StoreError> {
    let mut gone = 0;
    loop {
        match store.write(batch.clone()).await? {
            0 => return Ok(gone),
            some => gone += some,
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn forget_older(db: &Connection, oldest_ms: i64) -> Result<usize, StoreError> {
    Ok(delete_where(db, "finished_ms < ?1", params![oldest_ms])?.len())
}

fn forget_surplus(db: &Connection, keep: i64) -> Result<usize, StoreError> {
    let finished: i64 = db
        .prepare_cached("SELECT count(*) FROM jobs WHERE finished_ms IS NOT NULL")?
        .query_row([], |row| row.get(0))?;
    let surplus = finished.saturating_sub(keep).min(i64::from(BATCH));
    if surplus <= 0 {
        return Ok(0);
    }
    let eldest =
        "id IN (SELECT id FROM jobs WHERE finished_ms IS NOT NULL ORDER BY finished_ms LIMIT ?1)";
    Ok(delete_where(db, eldest, params![surplus])?.len())
}

/// Logs of finished jobs only: a log is also the mark that an attempt has ended, see `rows::finish`.
fn forget_logs(db: &Connection, keep_bytes: i64) -> Result<usize, StoreError> {
    let bytes: i64 = db
        .prepare_cached("SELECT coalesce(sum(bytes), 0) FROM logs")?
        .query_row([], |row| row.get(0))?;
    if bytes <= keep_bytes {
        return Ok(0);
    }
    let mut eldest = db.prepare_cached(
        "SELECT logs.job, logs.bytes FROM logs JOIN jobs ON jobs.id = logs.job
         WHERE jobs.finished_ms IS NOT NULL AND logs.bytes > 0 ORDER BY logs.job LIMIT ?1",
    )?;
    let mut surplus = bytes - keep_bytes;
    let mut gone = 0;
    let mut rows = eldest.query([BATCH])?;
    let mut jobs: Vec<i64> = Vec::new();
    while let Some(row) = rows.next()? {
        if surplus <= 0 {
            break;
        }
        jobs.push(row.get(0)?);
        surplus -= row.get::<_, i64>(1)?;
        gone += 1;
    }
    for job in jobs {
        db.prepare_cached("DELETE FROM logs WHERE job = ?1")?
            .execute([job])?;
    }
    Ok(gone)
}
