//! Jobs and their logs.

use std::collections::HashMap;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};
use spillway_model::service::Service;
use spillway_model::wire::link::Attempt;

use super::answer::json;
use super::problem::Problem;
use super::{App, Here};
use crate::auth::{Caller, access};
use crate::queue::Which;

/// One page of jobs, newest first.
#[allow(clippy::struct_field_names)] // The reference's names.
#[derive(Default, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = JobList))]
struct Page {
    #[serde(serialize_with = "by_name")]
    #[cfg_attr(test, schema(value_type = std::collections::BTreeMap<String, Job>))]
    jobs: Vec<(String, Job)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remaining_jobs: Option<i64>,
}

/// A job; times that are not known are absent, because some scripts read this without a JSON parser.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = JobStatus))]
struct Job {
    status: &'static str,
    creation_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finish_time: Option<String>,
}

/// The jobs of a service: all for the administrator, for users those that they have triggered.
///
/// The owner of the service also sees those that no user has triggered, such as calls with the service's token.
#[cfg_attr(test, utoipa::path(get, path = "/system/logs/{name}",
    params(("page" = Option<String>, Query, description = "`next_page` of the page before; empty is the first.")),
    responses(
        (status = 200, description = "A page of jobs, newest first.", body = Page),
        (status = 400, description = "The page is not one that a listing named.", body = String),
        (status = 403, description = "The caller may not see the service.", body = String),
        (status = 404, description = "There is no such service.", body = String),
    ),
))]
pub(super) async fn list(
    State(app): Here,
    caller: Caller,
    Path(name): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Response, Problem> {
    let service = visible(&app, &caller, &name).await?;
    let before = match query.get("page").filter(|page| !page.is_empty()) {
        None => i64::MAX,
        Some(page) => job_of_token(page)
            .ok_or_else(|| Problem::bad("the page is not one that a listing named"))?,
    };
    let limit = app.settings.limits.listing;
    let seen = Seen {
        owns: access::may_change(&caller, &service),
        uid: caller.uid().map(str::to_owned),
        service: name,
    };
    json(
        &app.store
            .read(move |db| page(db, &seen, before, limit))
            .await?,
    )
}

/// Deletes the jobs that succeeded, or with `all=true` every job; of somebody else's service only the caller's own.
#[cfg_attr(test, utoipa::path(delete, path = "/system/logs/{name}",
    params(("all" = Option<String>, Query, description = "`true` deletes all jobs, running ones, too; anything else only those that succeeded.", example = "true")),
    responses(
        (status = 204, description = "Deleted."),
        (status = 403, description = "The caller may not see the service.", body = String),
        (status = 404, description = "There is no such service.", body = String),
    ),
))]
pub(super) async fn delete_many(
    State(app): Here,
    caller: Caller,
    Path(name): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<StatusCode, Problem> {
    let service = visible(&app, &caller, &name).await?;
    let which = if flag(&query, "all") {
        Which::All
    } else {
        Which::Succeeded
    };
    let whose = deletes(&caller, &service);
    app.queue.delete_of(&name, which, whose).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a job printed: the logs of all attempts in order, that of a running one as far as it has come.
#[cfg_attr(test, utoipa::path(get, path = "/system/logs/{name}/{job}",
    params(("timestamps" = Option<String>, Query, description = "`true` puts the time in front of each line.", example = "true")),
    responses(
        (status = 200, description = "What the job printed.", body = String),
        (status = 403, description = "The caller may not see the service.", body = String),
        (status = 404, description = "There is no such job, or nothing of it yet.", body = String),
    ),
))]
pub(super) async fn log(
    State(app): Here,
    caller: Caller,
    Path((name, job)): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Response, Problem> {
    visible(&app, &caller, &name).await?;
    let wanted = job.clone();
    let stored = app
        .store
        .read(move |db| stored_log(db, &name, &wanted))
        .await?;
    let Some(Stored { mut text, running }) = stored else {
        return Err(Problem::NOT_FOUND);
    };
    if let Some(attempt) = running {
        let live = app.queue.live().read(&Attempt { job, attempt }, 0).await;
        text = Some(text.unwrap_or_default() + &String::from_utf8_lossy(&live))
            .filter(|text| !text.is_empty());
    }
    let text = text.ok_or(Problem::NOT_FOUND)?;
    Ok(if flag(&query, "timestamps") {
        text
    } else {
        without_times(&text)
    }
    .into_response())
}

/// Deletes one job: of somebody else's service only one that the caller has triggered.
#[cfg_attr(test, utoipa::path(delete, path = "/system/logs/{name}/{job}",
    responses(
        (status = 204, description = "Deleted."),
        (status = 403, description = "There is no such service, the caller may not see it, or the job is somebody else's.", body = String),
        (status = 404, description = "There is no such job.", body = String),
    ),
))]
pub(super) async fn delete_one(
    State(app): Here,
    caller: Caller,
    Path((name, job)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let service = match visible(&app, &caller, &name).await {
        Err(Problem::Empty(StatusCode::NOT_FOUND)) => return Err(no_access()),
        answer => answer?,
    };
    let whose = deletes(&caller, &service);
    let deleted = app.queue.delete_of(&name, Which::One(job.clone()), whose);
    if deleted.await? > 0 {
        return Ok(StatusCode::NO_CONTENT);
    }
    let stored = app
        .store
        .read(move |db| stored_log(db, &name, &job))
        .await?;
    match stored {
        None => Err(Problem::NOT_FOUND),
        Some(_) => Err(Problem::Text(
            StatusCode::FORBIDDEN,
            "the job is somebody else's: its service's owner and whoever triggered it may delete it"
                .to_owned(),
        )),
    }
}

/// The service, for callers who may see it.
pub(super) async fn visible(app: &App, caller: &Caller, name: &str) -> Result<Service, Problem> {
    let service = app.services.get(name).await?.ok_or(Problem::NOT_FOUND)?;
    if access::may_see(caller, &service) {
        Ok(service)
    } else {
        Err(no_access())
    }
}

/// 403 in the reference's words.
fn no_access() -> Problem {
    let text = "You do not have permission to access this service";
    Problem::Text(StatusCode::FORBIDDEN, text.to_owned())
}

/// Whose jobs the caller may delete: nobody in particular is everybody.
fn deletes(caller: &Caller, service: &Service) -> Option<String> {
    let uid = caller
        .uid()
        .filter(|_| !access::may_change(caller, service));
    uid.map(str::to_owned)
}

/// A switch in the query; what is no boolean is off.
pub(super) fn flag(query: &HashMap<String, String>, name: &str) -> bool {
    query
        .get(name)
        .is_some_and(|value| matches!(value.as_str(), "1" | "t" | "T" | "true" | "TRUE" | "True"))
}

/// Which jobs somebody sees.
struct Seen {
    service: String,
    /// Nobody for the administrator, who sees all.
    uid: Option<String>,
    /// Whether he also sees those that no user has triggered.
    owns: bool,
}

/// What a row must be for [`Seen`]; its three members are the first three values.
const IS_SEEN: &str = "service = ?1 AND (?2 IS NULL OR owner = ?2
    OR (?3 AND NOT EXISTS (SELECT 1 FROM users WHERE uid = jobs.owner)))";

fn page(db: &Connection, seen: &Seen, before: i64, limit: usize) -> Result<Page, Problem> {
    let Seen { service, uid, owns } = seen;
    let mut query = db.prepare_cached(&format!(
        "SELECT id, name, state, created_ms, started_ms, finished_ms FROM jobs
         WHERE {IS_SEEN} AND id < ?4 ORDER BY id DESC LIMIT ?5"
    ))?;
    let one_more = i64::try_from(limit + 1).unwrap_or(i64::MAX);
    let rows = query.query_map(params![service, uid, owns, before, one_more], |row| {
        let state: String = row.get(2)?;
        Ok((
            row.get::<_, i64>(0)?,
            row.get::<_, String>(1)?,
            job(&state, row.get(3)?, row.get(4)?, row.get(5)?),
        ))
    })?;
    let mut rows = rows.collect::<Result<Vec<_>, _>>()?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let last = rows.last().map(|(id, _, _)| *id).filter(|_| more);
    let remaining = last.map(|last| {
        let count = format!("SELECT count(*) FROM jobs WHERE {IS_SEEN} AND id < ?4");
        db.prepare_cached(&count)?
            .query_row(params![service, uid, owns, last], |row| row.get(0))
    });
    Ok(Page {
        jobs: rows.into_iter().map(|(_, name, job)| (name, job)).collect(),
        next_page: last.map(|last| BASE64_URL_SAFE_NO_PAD.encode(last.to_string())),
        remaining_jobs: remaining.transpose()?,
    })
}

/// A retried job waits like a new one: the start of an attempt that failed says nothing about it.
fn job(state: &str, created: i64, started: Option<i64>, finished: Option<i64>) -> Job {
    let (status, started, finished) = match (state, started) {
        ("queued", _) | ("leased", None) => ("Pending", None, None),
        ("leased", started) => ("Running", started, None),
        ("succeeded", started) => ("Succeeded", started, finished),
        ("dead", started) => ("Failed", started, finished),
        _ => ("Unknown", started, finished),
    };
    Job {
        status,
        creation_time: whole_seconds(created),
        start_time: started.map(whole_seconds),
        finish_time: finished.map(whole_seconds),
    }
}

fn whole_seconds(milliseconds: i64) -> String {
    let time = Timestamp::from_second(milliseconds.div_euclid(1000)).unwrap_or_default();
    time.to_string()
}

fn job_of_token(token: &str) -> Option<i64> {
    String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(token).ok()?)
        .ok()?
        .parse()
        .ok()
}

/// What the database holds of a job's log.
struct Stored {
    /// The logs of ended attempts, or the sentence on why there was none; `None` while nothing has ended.
    text: Option<String>,
    /// The attempt that is running.
    running: Option<u32>,
}

fn stored_log(db: &Connection, service: &str, job: &str) -> Result<Option<Stored>, Problem> {
    let found: Option<(i64, String, String, u32)> = db
        .prepare_cached(
            "SELECT id, state, message, attempt FROM jobs WHERE name = ?1 AND service = ?2",
        )?
        .query_row([job, service], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .optional()?;
    let Some((id, state, message, attempt)) = found else {
        return Ok(None);
    };
    let mut query = db.prepare_cached("SELECT text FROM logs WHERE job = ?1 ORDER BY attempt")?;
    let attempts = query
        .query_map([id], |row| row.get::<_, String>(0))?
        .collect::<Result<Vec<_>, _>>()?;
    let text = match state.as_str() {
        _ if !attempts.is_empty() => Some(attempts.concat()),
        "succeeded" | "dead" => Some(message),
        _ => None,
    };
    Ok(Some(Stored {
        text,
        running: (state == "leased").then_some(attempt),
    }))
}

/// Takes the time in front of each line away.
fn without_times(log: &str) -> String {
    let text = |line| match str::split_once(line, ' ') {
        Some((time, text)) if time.parse::<Timestamp>().is_ok() => text,
        _ => line,
    };
    log.split_inclusive('\n').map(text).collect()
}

fn by_name<S: Serializer>(jobs: &[(String, Job)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(jobs.len()))?;
    for (name, job) in jobs {
        map.serialize_entry(name, job)?;
    }
    map.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_whole_seconds_and_a_z() {
        assert_eq!(whole_seconds(1_769_941_231_999), "2026-02-01T10:20:31Z");
    }

    #[test]
    fn only_times_are_taken_from_the_lines() {
        let log =
            "2026-02-01T10:20:31.123456789Z hello world\nno time here\n2026-02-01T10:20:31Z \n";
        assert_eq!(without_times(log), "hello world\nno time here\n\n");
    }

    #[test]
    fn a_retried_job_is_pending_again() {
        assert_eq!(job("queued", 0, Some(5), None).status, "Pending");
        assert_eq!(job("queued", 0, Some(5), None).start_time, None);
        assert_eq!(job("leased", 0, None, None).status, "Pending");
        assert_eq!(job("leased", 0, Some(5), None).status, "Running");
    }
}
