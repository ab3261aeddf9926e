//! `GET /system/services/{name}/deployment/logs`: the last lines that the service's jobs printed.

use std::collections::{HashMap, VecDeque};

use axum::extract::{Path, Query, State};
use axum::response::Response;
use jiff::Timestamp;
use rusqlite::Connection;
use serde::Serialize;
use spillway_model::wire::link::Attempt;

use crate::api::answer::json;
use crate::api::jobs::{flag, visible};
use crate::api::problem::Problem;
use crate::api::services::check_name;
use crate::api::{App, Here};
use crate::auth::Caller;
use crate::store::StoreError;

/// Lines that are shown unless asked otherwise, and at most.
const USUAL: usize = 200;
const MOST: usize = 1000;

/// Logs of attempts that are looked through for them, at most.
const ATTEMPTS: usize = 20;

/// Running attempts whose logs are looked at, at most.
const RUNNING: usize = 5;

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = DeploymentLogs))]
struct Logs {
    service_name: String,
    available: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'static str,
    entries: Vec<Entry>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = DeploymentLogEntry))]
struct Entry {
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<String>,
    message: String,
}

/// Shows what the newest jobs of a service printed.
#[cfg_attr(test, utoipa::path(get, path = "/system/services/{name}/deployment/logs",
    params(
        ("timestamps" = Option<bool>, Query, description = "Each line with its time."),
        ("tailLines" = Option<u32>, Query, description = "So many lines, 1 to 1000; 200 when absent."),
    ),
    responses(
        (status = 200, description = "What they printed.", body = Logs),
        (status = 400, description = "invalid serviceName", body = String),
        (status = 403, description = "The caller may not see the service.", body = String),
        (status = 404, description = "There is no such service.", body = String),
    ),
))]
pub(in crate::api) async fn logs(
    State(app): Here,
    caller: Caller,
    Path(name): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Response, Problem> {
    check_name(&name)?;
    let service = visible(&app, &caller, &name).await?;
    let tail = tail_lines(query.get("tailLines"));
    let wanted = service.name.clone();
    let found = app.store.read(move |db| stored(db, &wanted, tail)).await?;
    let mut lines = found.lines;
    for attempt in &found.running {
        follow(&app, attempt, tail, &mut lines).await;
    }
    let is_running = !found.running.is_empty();
    let message = match (lines.is_empty(), found.has_jobs, is_running) {
        (true, false, _) => "Deployment logs are unavailable for this service.",
        (true, true, _) => "Deployment logs are not yet available.",
        (false, _, true) => "",
        (false, _, false) => {
            "Returning recent logs from the last runtime attempt while deployment status remains unavailable."
        }
    };
    let with_times = flag(&query, "timestamps");
    json(&Logs {
        service_name: service.name,
        available: !lines.is_empty(),
        message,
        entries: lines.iter().map(|line| entry(line, with_times)).collect(),
    })
}

/// What is no number, or below 1, is the usual one.
fn tail_lines(asked: Option<&String>) -> usize {
    let number = asked.and_then(|text| text.trim().parse::<u64>().ok());
    match number {
        None | Some(0) => USUAL,
        Some(number) => usize::try_from(number).unwrap_or(MOST).min(MOST),
    }
}

/// What the database knows.
#[derive(Default)]
struct Found {
    /// The last lines of attempts that have ended.
    lines: VecDeque<String>,
    /// Oldest first.
    running: Vec<Attempt>,
    has_jobs: bool,
}

fn stored(db: &Connection, service: &str, tail: usize) -> Result<Found, StoreError> {
    let mut found = Found {
        has_jobs: db
            .prepare_cached("SELECT 1 FROM jobs WHERE service = ?1")?
            .exists([service])?,
        ..Found::default()
    };
    let mut query = db.prepare_cached(
        "SELECT l.text FROM jobs j JOIN logs l ON l.job = j.id
         WHERE j.service = ?1 ORDER BY j.id DESC, l.attempt DESC LIMIT ?2",
    )?;
    let limit = i64::try_from(ATTEMPTS).unwrap_or(i64::MAX);
    let mut rows = query.query((service, limit))?;
    while found.lines.len() < tail
        && let Some(row) = rows.next()?
    {
        let text = row.get_ref(0)?.as_str().unwrap_or_default();
        for line in text.lines().rev() {
            if found.lines.len() == tail {
                break;
            }
            found.lines.push_front(line.to_owned());
        }
    }
    let mut query = db.prepare_cached(
        "SELECT name, attempt FROM jobs WHERE service = ?1 AND state = 'leased' ORDER BY id DESC LIMIT ?2",
    )?;
    let limit = i64::try_from(RUNNING).unwrap_or(i64::MAX);
    let running = query.query_map((service, limit), |row| {
        Ok(Attempt {
            job: row.get(0)?,
            attempt: row.get(1)?,
        })
    })?;
    found.running = running.collect::<Result<_, _>>()?;
    found.running.reverse();
    Ok(found)
}

/// Adds the live log of an attempt behind `lines`, of which the last `tail` stay.
async fn follow(app: &App, attempt: &Attempt, tail: usize, lines: &mut VecDeque<String>) {
    let (mut offset, mut rest) = (0, Vec::new());
    loop {
        let piece = app.queue.live().read(attempt, offset).await;
        if piece.is_empty() {
            break;
        }
        offset += piece.len() as u64;
        rest.extend_from_slice(&piece);
        let end = rest
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let whole: Vec<u8> = rest.drain(..end).collect();
        for line in String::from_utf8_lossy(&whole).lines() {
            lines.push_back(line.to_owned());
        }
        let surplus = lines.len().saturating_sub(tail);
        lines.drain(..surplus);
    }
}

/// Lines of logs begin with their time.
fn entry(line: &str, with_time: bool) -> Entry {
    let (time, message) = match line.split_once(' ') {
        Some((time, message)) if time.parse::<Timestamp>().is_ok() => (Some(time), message),
        _ => (None, line),
    };
    Entry {
        timestamp: time.filter(|_| with_time).map(str::to_owned),
        message: message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_lines_is_as_the_reference_reads_it() {
        for (asked, expected) in [
            (None, 200),
            (Some(""), 200),
            (Some("x"), 200),
            (Some("-5"), 200),
            (Some("0"), 200),
            (Some("1"), 1),
            (Some("1000"), 1000),
            (Some("99999999"), 1000),
        ] {
            let asked = asked.map(str::to_owned);
            assert_eq!(tail_lines(asked.as_ref()), expected, "for {asked:?}");
        }
    }

    #[test]
    fn the_time_is_apart_from_the_text_and_shown_on_request() {
        let line = "2026-02-01T10:20:31.123456789Z hello world";
        let shown = entry(line, true);
        assert_eq!(
            shown.timestamp.as_deref(),
            Some("2026-02-01T10:20:31.123456789Z")
        );
        assert_eq!(shown.message, "hello world");
        assert_eq!(entry(line, false).timestamp, None);
        assert_eq!(entry("no time", true).message, "no time");
    }
}
