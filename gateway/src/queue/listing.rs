//! Jobs as reports show them.

use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};
use spillway_model::report::{InputReport, JobPage, JobReport, JobState};
use tokio::sync::oneshot;

use super::cause::{Cause, Stored};
use super::completion::LastAttempt;
use super::dispatcher::Ask;
use super::removal::BATCH;
use super::rows::from_json;
use super::{Queue, timestamp};
use crate::store::StoreError;

/// Jobs on one page at most.
pub(super) const LONGEST_PAGE: u32 = 500;

/// Which jobs to list.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    pub service: Option<String>,
    pub state: Option<JobState>,
    /// At most so many; 100 when absent.
    pub limit: Option<u32>,
    /// [`JobPage::next`] of the page before.
    pub before: Option<String>,
}

const COLUMNS: &str =
    "id, name, service, state, attempt, failures, interruptions, node, created_ms, started_ms,
    finished_ms, ready_ms, reason, message, cause, report, blob";

/// Limit when none is given.
const PAGE: u32 = 100;

/// A job with what only the queue itself needs of it.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) id: i64,
    pub(crate) report: JobReport,
    pub(crate) stored: Stored,
}

impl Queue {
    /// Jobs, newest first.
    pub async fn list(&self, filter: JobFilter) -> Result<JobPage, StoreError> {
        let mut page = self.0.store.read(move |db| list(db, &filter)).await?;
        self.explain(&mut page.jobs).await;
        Ok(page)
    }

    /// One job.
    pub async fn get(&self, name: &str) -> Result<Option<JobReport>, StoreError> {
        let wanted = name.to_owned();
        let Some(found) = self.0.store.read(move |db| find(db, &wanted)).await? else {
            return Ok(None);
        };
        let mut report = [found.report];
        self.explain(&mut report).await;
        let [report] = report;
        Ok(Some(report))
    }

    /// The logs of ended attempts after the given one, in order, with their numbers; nothing if there is no such
    /// job.
    pub async fn logs(
        &self,
        name: &str,
        after: u32,
    ) -> Result<Option<Vec<(u32, String)>>, StoreError> {
        let name = name.to_owned();
        self.0.store.read(move |db| logs(db, &name, after)).await
    }

    /// Says of queued jobs why they wait, when no node could ever take them.
    async fn explain(&self, reports: &mut [JobReport]) {
        if !reports
            .iter()
            .any(|report| report.state == JobState::Queued)
        {
            return;
        }
        let (reply, misfits) = oneshot::channel();
        self.0.dispatcher.ask(Ask::Misfits(reply)).await;
        let misfits = misfits.await.unwrap_or_default();
        for report in reports
            .iter_mut()
            .filter(|report| report.state == JobState::Queued)
        {
            if let Some(why) = misfits.get(&report.service) {
                report.message.clone_from(why);
            }
        }
    }
}

fn list(db: &Connection, filter: &JobFilter) -> Result<JobPage, StoreError> {
    let limit = filter.limit.unwrap_or(PAGE).clamp(1, LONGEST_PAGE);
    let before = filter
        .before
        .as_ref()
        .and_then(|before| before.parse::<i64>().ok())
        .unwrap_or(i64::MAX);
    let mut conditions = vec!["id < ?1"];
    let mut values: Vec<&dyn ToSql> = vec![&before];
    if let Some(service) = &filter.service {
        conditions.push("service = ?2");
        values.push(service);
    }
    conditions.extend(filter.state.map(|state| match state {
        // Written out: the partial indexes are used only then.
        JobState::Queued => "(state = 'queued' OR state = 'fetching')",
        JobState::Leased => "state = 'leased'",
        JobState::Succeeded => "state = 'succeeded'",
        JobState::Dead => "state = 'dead'",
    }));
    let conditions = conditions.join(" AND ");
    let sql = format!(
        "SELECT {COLUMNS} FROM jobs WHERE {conditions} ORDER BY id DESC LIMIT {}",
        limit + 1
    );
    let mut statement = db.prepare(&sql)?;
    let mut found = statement
        .query_map(values.as_slice(), from_row)?
        .collect::<Result<Vec<_>, _>>()?;
    let is_last = found.len() <= limit as usize;
    found.truncate(limit as usize);
    let next = found
        .last()
        .filter(|_| !is_last)
        .map(|last| last.id.to_string());
    Ok(JobPage {
        jobs: found.into_iter().map(|found| found.report).collect(),
        next,
    })
}

/// The job of that name.
pub(crate) fn find(db: &Connection, name: &str) -> Result<Option<Found>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM jobs WHERE name = ?1");
    Ok(db
        .prepare_cached(&sql)?
        .query_row([name], from_row)
        .optional()?)
}

fn logs(db: &Connection, name: &str, after: u32) -> Result<Option<Vec<(u32, String)>>, StoreError> {
    let id: Option<i64> = db
        .prepare_cached("SELECT id FROM jobs WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    let Some(id) = id else { return Ok(None) };
    let mut statement = db.prepare_cached(
        "SELECT attempt, text FROM logs WHERE job = ?1 AND attempt > ?2 ORDER BY attempt",
    )?;
    let rows = statement.query_map(params![id, after], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(Some(rows.collect::<Result<_, _>>()?))
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Found> {
    let time = |column| {
        row.get::<_, Option<i64>>(column)
            .map(|ms| ms.map(timestamp))
    };
    let state = match row.get_ref(3)?.as_str()? {
        "leased" => JobState::Leased,
        "succeeded" => JobState::Succeeded,
        "dead" => JobState::Dead,
        _ => JobState::Queued,
    };
    let cause: Cause = from_json(row, 14)?;
    let last: LastAttempt = match row.get_ref(15)?.as_str()? {
        "" => LastAttempt::default(),
        _ => from_json(row, 15)?,
    };
    let (created_ms, ready_ms): (i64, i64) = (row.get(8)?, row.get(11)?);
    let is_delayed = state == JobState::Queued && ready_ms > created_ms;
    let report = JobReport {
        name: row.get(1)?,
        service: row.get(2)?,
        state,
        attempt: row.get(4)?,
        failures: row.get(5)?,
        interruptions: row.get(6)?,
        node: row.get(7)?,
        created_at: timestamp(created_ms),
        started_at: time(9)?,
        finished_at: time(10)?,
        ready_at: is_delayed.then(|| timestamp(ready_ms)),
        reason: row.get(12)?,
        message: row.get(13)?,
        event: cause.event().to_owned(),
        input: cause.input().map(|(path, size)| InputReport { path, size }),
        usage: last.usage,
        spans: last.spans,
        queued_us: last.queued_us,
        outputs: last.outputs,
        output_count: last.output_count,
    };
    Ok(Found {
        id: row.get(0)?,
        report,
        stored: Stored {
            cause,
            blob: row.get(16)?,
        },
    })
}

/// Puts a batch of dead jobs back into the queue, with all their retries before them; returns their services, once
/// for each job.
pub(crate) fn revive(
    db: &Connection,
    service: Option<&str>,
    name: Option<&str>,
    now_ms: i64,
) -> Result<Vec<String>, StoreError> {
    let mut statement = db.prepare_cached(&format!(
        "UPDATE jobs SET state = CASE WHEN EXISTS (SELECT 1 FROM fetches WHERE job = jobs.id) THEN 'fetching' ELSE 'queued' END,
            failures = 0, interruptions = 0, streak = 0, ready_ms = ?3,
            finished_ms = NULL
         WHERE id IN (SELECT id FROM jobs WHERE state = 'dead' AND (?1 IS NULL OR service = ?1)
            AND (?2 IS NULL OR name = ?2) LIMIT {BATCH})
         RETURNING service"
    ))?;
    let rows = statement.query_map(params![service, name, now_ms], |row| row.get(0))?;
    let services = rows.collect::<Result<_, _>>()?;
    // Inputs that could not be fetched are fetched anew.
    db.prepare_cached(
        "UPDATE fetches SET tries = 0, ready_ms = ?1, since_ms = ?1
         WHERE job IN (SELECT id FROM jobs WHERE state = 'fetching')",
    )?
    .execute([now_ms])?;
    Ok(services)
}
