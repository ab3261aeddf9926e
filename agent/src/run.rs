//! One attempt of one job, from the lease to the gateway's word that its end is durable.
//!
//! Claiming a container and staging the input go on side by side. When the script has ended, its folder is moved
//! out and the container is free for the next run, while the results of this one are on their way.

mod environment;
mod prepare;
mod publish;
mod script;
mod verdict;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use spillway_model::wire::link::{Lease, Outcome, ServiceDefinition, Spans, Usage};

use crate::ledger::Entry;
use crate::log::{Level, RunLog};
use crate::site::Site;
use crate::staging::{blocking, discard};
use prepare::Ready;

/// What is known of an attempt so far.
#[derive(Debug)]
struct Story {
    log: Mutex<RunLog>,
    started_at: Option<Timestamp>,
    usage: Usage,
    spans: Spans,
    /// Bytes of output that the supervisor left out.
    dropped_bytes: u64,
}

/// Why an attempt ends before its outputs are collected.
#[derive(Debug)]
enum End {
    /// It is not this node's any more: nothing is reported.
    Lost,
    /// With this outcome, which is no success.
    With(Outcome),
}

impl Story {
    fn log(&self) -> MutexGuard<'_, RunLog> {
        // A panic while the lock was held leaves at worst half a line.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, level: Level, text: &str) {
        self.log().note(level, text, Timestamp::now());
    }
}

/// Carries a lease out and reports its end.
pub(crate) async fn attempt(site: Arc<Site>, lease: Lease, entry: Entry) {
    let run = site.next_run();
    let mut story = Story {
        log: Mutex::new(RunLog::new(site.log_limit, "")),
        started_at: None,
        usage: Usage::default(),
        spans: Spans::default(),
        dropped_bytes: 0,
    };
    tracing::debug!(
        job = lease.attempt.job,
        attempt = lease.attempt.attempt,
        run,
        "begins"
    );
    let staging = site.home.staging(run);
    let ready = tokio::select! {
        biased;
        () = entry.lost.cancelled() => Err(End::Lost),
        () = site.ends.stopping.cancelled() => {
            Err(End::With(interrupted("The agent was stopped before the script began.")))
        }
        ready = prepare::prepare(&site, &lease, &entry, &mut story, &staging, run) => ready,
    };
    let (definition, member, outbox, end) = match ready {
        Ok(ready) => carry_out(&site, &lease, &entry, &mut story, ready, run).await,
        Err(end) => {
            discard(&staging).await;
            (None, None, None, Err(end))
        }
    };
    let outcome = match end {
        Ok(()) => Some(Outcome::Succeeded),
        Err(End::With(outcome)) => Some(outcome),
        Err(End::Lost) => None,
    };
    let release = async {
        if let Some(member) = member {
            member.release().await;
        }
    };
    let report = async {
        if let Some(outcome) = outcome {
            let left = publish::Left {
                outcome,
                definition,
                outbox: outbox.as_deref(),
            };
            publish::publish(&site, &lease, &entry, story, left).await;
        } else {
            let (job, attempt) = (&lease.attempt.job, lease.attempt.attempt);
            tracing::info!(job, attempt, "is no longer this node's and was dropped");
        }
        drop(entry);
        discard(&site.home.outbox(&lease.attempt)).await;
    };
    tokio::join!(release, report);
}

type CarriedOut = (
    Option<Arc<ServiceDefinition>>,
    Option<crate::runtime::Member>,
    Option<PathBuf>,
    Result<(), End>,
);

/// Runs the script and moves what it left to the outbox. A member is returned when it may serve again.
async fn carry_out(
    site: &Site,
    lease: &Lease,
    entry: &Entry,
    story: &mut Story,
    ready: Ready,
    run: u64,
) -> CarriedOut {
    let Ready {
        definition,
        mut member,
    } = ready;
    let end = script::run(site, lease, entry, story, &definition, &mut member, run).await;
    let from = member.folder().join(script::folder(run));
    let ended = match end {
        // Whether the script is gone is not known, so the container goes, and its folder with it.
        script::Ended::InDoubt(end) => return (Some(definition), None, None, Err(end)),
        script::Ended::Clean(ended) => ended,
    };
    let outbox = site.home.outbox(&lease.attempt);
    let to = outbox.clone();
    match blocking(move || std::fs::rename(from, to))
        .await
        .and_then(|done| done)
    {
        Ok(()) => (Some(definition), Some(member), Some(outbox), ended),
        Err(error) => {
            let words =
                format!("The outputs could not be moved out of the container's folder: {error}.");
            (
                Some(definition),
                None,
                None,
                ended.and(Err(End::With(interrupted(&words)))),
            )
        }
    }
}

fn interrupted(message: &str) -> Outcome {
    Outcome::Interrupted {
        message: message.to_owned(),
    }
}
