//! The end of an attempt, whatever it was: what becomes of the job.

use rusqlite::{Connection, OptionalExtension, params};
use spillway_model::wire::link::{Attempt, FailureReason};

use crate::objects;
use crate::queue::backoff::Backoff;
use crate::queue::board::Ready;
use crate::queue::completion::LastAttempt;
use crate::store::StoreError;

/// When a job is given up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Further attempts after a failure.
    pub(crate) retries: u32,
    /// Interruptions that a job survives.
    pub(crate) interruptions: u32,
    pub(crate) backoff: Backoff,
}

/// How an attempt ended.
#[derive(Debug, Clone)]
pub(crate) enum Ending {
    Succeeded,
    Failed {
        reason: FailureReason,
        message: String,
    },
    /// It cannot ever succeed: no further attempt.
    Hopeless {
        reason: FailureReason,
        message: String,
    },
    Interrupted {
        message: String,
    },
}

/// What became of the job.
#[derive(Debug)]
pub(crate) enum After {
    /// In the queue again, from `Ready::ready_ms` on.
    Queued(Ready),
    /// Succeeded or dead.
    Over,
    /// This attempt is not the newest one of its node any more: nothing was changed.
    Stale,
    /// The same end was committed before.
    Repeated,
}

impl After {
    /// For the log.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Queued(_) => "queued again",
            Self::Over => "over",
            Self::Stale => "stale",
            Self::Repeated => "repeated",
        }
    }
}

/// The job an attempt belonged to, and what became of it.
#[derive(Debug)]
pub(crate) struct Finished {
    /// 0 if there is no such job.
    pub(crate) id: i64,
    pub(crate) service: String,
    pub(crate) after: After,
}

/// What an agent had to say on the attempt; absent when nobody did (the lease lapsed).
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) log: String,
    /// When the script began, by our own clock.
    pub(crate) started_ms: Option<i64>,
    /// What it took; how long the job had waited is added from the row.
    pub(crate) report: Option<LastAttempt>,
}

struct Current {
    id: i64,
    service: String,
    state: String,
    attempt: u32,
    epoch: i64,
    node: String,
    blob: Option<i64>,
    failures: u32,
    interruptions: u32,
    streak: u32,
    priority: i32,
    created_ms: i64,
    ready_ms: i64,
    granted_ms: Option<i64>,
}

/// Writes the end of `attempt` on `node` into the row, if that is its newest attempt and has not ended yet.
///
/// The row alone decides, not what the dispatcher has in memory: a newer grant is in the row before its lease is
/// sent, so that of two attempts only the newer one gets past here.
#[allow(clippy::too_many_arguments)] // Each is a fact of its own that the row is held against.
pub(crate) fn finish(
    db: &Connection,
    node: &str,
    attempt: &Attempt,
    ending: &Ending,
    account: Option<&Account>,
    limits: &Limits,
    epoch: i64,
    now_ms: i64,
) -> Result<Finished, StoreError> {
    let Some(row) = current(db, &attempt.job)? else {
        return Ok(Finished {
            id: 0,
            service: String::new(),
            after: After::Stale,
        });
    };
    let after = row.finish(db, node, attempt, ending, account, limits, epoch, now_ms)?;
    Ok(Finished {
        id: row.id,
        service: row.service,
        after,
    })
}

fn current(db: &Connection, name: &str) -> Result<Option<Current>, StoreError> {
    Ok(db
        .prepare_cached(
            "SELECT id, service, state, attempt, epoch, node, blob, failures, interruptions, streak, priority, created_ms,
                ready_ms, started_ms
             FROM jobs WHERE name = ?1",
        )?
        .query_row([name], |row| {
            Ok(Current {
                id: row.get(0)?,
                service: row.get(1)?,
                state: row.get(2)?,
                attempt: row.get(3)?,
                epoch: row.get(4)?,
                node: row.get(5)?,
                blob: row.get(6)?,
                failures: row.get(7)?,
                interruptions: row.get(8)?,
                streak: row.get(9)?,
                priority: row.get(10)?,
                created_ms: row.get(11)?,
                ready_ms: row.get(12)?,
                granted_ms: row.get(13)?,
            })
        })
        .optional()?)
}

fn has_log(db: &Connection, id: i64, attempt: u32) -> Result<bool, StoreError> {
    Ok(db
        .prepare_cached("SELECT 1 FROM logs WHERE job = ?1 AND attempt = ?2")?
        .exists(params![id, attempt])?)
}

struct Next {
    state: &'static str,
    failures: u32,
    interruptions: u32,
    streak: u32,
    ready_ms: i64,
    reason: String,
    message: String,
}

impl Current {
    #[allow(clippy::too_many_arguments)] // One call, from the function above.
    fn finish(
        &self,
        db: &Connection,
        node: &str,
        attempt: &Attempt,
        ending: &Ending,
        account: Option<&Account>,
        limits: &Limits,
        epoch: i64,
        now_ms: i64,
    ) -> Result<After, StoreError> {
        let number = attempt.attempt;
        let is_newest = self.attempt == number && self.node == node;
        // The log may be gone by now, but what succeeded did so by its newest attempt.
        if has_log(db, self.id, number)? || self.state == "succeeded" {
            return Ok(if is_newest {
                After::Repeated
            } else {
                After::Stale
            });
        }
        if self.state == "dead" {
            return Ok(After::Stale);
        }
        // A first grant that was to be recorded late: by a former run of the gateway, or by a failed write of this one
        // (then only we ourselves end it, without an account).
        let is_unrecorded =
            self.attempt == 0 && self.state == "queued" && number == 1 && self.epoch < epoch;
        let is_unwritten = self.attempt < number && self.state == "queued" && account.is_none();
        if !(is_newest || is_unrecorded || is_unwritten) {
            return Ok(After::Stale);
        }
        if account.is_none() && self.state == "queued" && is_newest {
            return Ok(After::Stale); // It went back to the queue already.
        }
        if let Some(account) = account {
            db.prepare_cached(
                "INSERT INTO logs (job, attempt, bytes, text) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                self.id,
                number,
                i64::try_from(account.log.len()).unwrap_or(0),
                account.log
            ])?;
        }
        let next = self.after(ending, limits, now_ms);
        db.prepare_cached(
            "UPDATE jobs SET state = ?2, attempt = ?3, node = ?4, failures = ?5, interruptions = ?6, streak = ?7,
                ready_ms = ?8, reason = ?9, message = ?10, blob = CASE ?2 WHEN 'succeeded' THEN NULL ELSE blob END,
                started_ms = coalesce(?11, started_ms), finished_ms = ?12,
                report = CASE ?13 WHEN '' THEN report ELSE ?13 END
             WHERE id = ?1",
        )?
        .execute(params![
            self.id,
            next.state,
            number,
            node,
            next.failures,
            next.interruptions,
            next.streak,
            next.ready_ms,
            next.reason,
            next.message,
            account.and_then(|account| account.started_ms),
            (next.state != "queued").then_some(now_ms),
            self.report(account)?,
        ])?;
        if next.state == "succeeded"
            && let Some(blob) = self.blob
        {
            objects::release(db, blob)?;
        }
        if next.state != "queued" {
            return Ok(After::Over);
        }
        Ok(After::Queued(Ready {
            id: self.id,
            name: attempt.job.clone(),
            priority: self.priority,
            ready_ms: next.ready_ms,
            attempt: number,
            fresh: false,
            stored: None,
        }))
    }

    /// The column `report`; empty when there is nothing new to say.
    fn report(&self, account: Option<&Account>) -> Result<String, StoreError> {
        let Some(last) = account.and_then(|account| account.report.as_ref()) else {
            return Ok(String::new());
        };
        // Until the end of the attempt, the row's start is the moment of its grant.
        let waited_ms = self.granted_ms.map_or(0, |granted| granted - self.ready_ms);
        let mut last = last.clone();
        last.queued_us = u64::try_from(waited_ms).unwrap_or(0).saturating_mul(1000);
        super::to_json(&last)
    }

    fn after(&self, ending: &Ending, limits: &Limits, now_ms: i64) -> Next {
        let mut next = Next {
            state: "queued",
            failures: self.failures,
            interruptions: self.interruptions,
            streak: 0,
            ready_ms: now_ms,
            reason: String::new(),
            message: String::new(),
        };
        match ending {
            Ending::Succeeded => next.state = "succeeded",
            Ending::Failed { reason, message } | Ending::Hopeless { reason, message } => {
                next.failures += 1;
                next.reason = reason_name(*reason);
                next.message.clone_from(message);
                let is_hopeless = matches!(ending, Ending::Hopeless { .. });
                if is_hopeless || next.failures > limits.retries {
                    next.state = "dead";
                } else {
                    // Never the time of acceptance: what is delayed is told by that.
                    next.ready_ms = limits
                        .backoff
                        .after(next.failures, now_ms)
                        .max(self.created_ms + 1);
                }
            }
            Ending::Interrupted { message } => {
                next.interruptions += 1;
                next.streak = self.streak + 1;
                next.message.clone_from(message);
                if next.interruptions >= limits.interruptions {
                    next.state = "dead";
                    "interrupted".clone_into(&mut next.reason);
                    next.message = format!(
                        "gave up after {} interruptions; the last one: {message}",
                        next.interruptions
                    );
                } else if next.streak <= FREE_INTERRUPTIONS {
                    next.ready_ms = self.created_ms;
                } else {
                    let delayed = limits
                        .backoff
                        .after(next.streak - FREE_INTERRUPTIONS, now_ms);
                    next.ready_ms = delayed.max(self.created_ms + 1);
                }
            }
        }
        next
    }
}

/// Interruptions in a row after which the job is queued again without a delay.
const FREE_INTERRUPTIONS: u32 = 3;

/// As the wire writes it: `exit_code`, `out_of_memory` …
fn reason_name(reason: FailureReason) -> String {
    serde_json::to_value(reason)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}
