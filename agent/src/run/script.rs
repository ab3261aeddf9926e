//! The script itself: invocation, output, live log, time limit.

use std::time::Duration;

use jiff::Timestamp;
use spillway_model::wire::link::{FailureReason, Lease, Outcome, ServiceDefinition};
use spillway_model::wire::supervisor::Invocation;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::environment::environment;
use super::prepare::{micros, unclaimed};
use super::verdict::{self, Verdict};
use super::{End, Story, interrupted};
use crate::ledger::Entry;
use crate::link::LinkError;
use crate::log::Level;
use crate::runtime::{ClaimError, Member, RunEnd};
use crate::site::Site;

/// Where every container finds its script.
const SCRIPT: &str = "/oscar/config/script.sh";

/// Pieces of output that wait for the log, each of at most 64 KiB.
const PIECES: usize = 16;

/// The live log is sent at most this often, and not before a run is so old.
const LIVE: Duration = Duration::from_secs(1);

/// The supervisor ends a script at its time limit; when it does not say so within so much longer, we do.
const TIMEOUT_GRACE: Duration = Duration::from_secs(30);

/// How a run ended.
pub(super) enum Ended {
    /// The supervisor said that all is over.
    Clean(Result<(), End>),
    /// It was left under way, or container or engine went away.
    InDoubt(End),
}

/// Name of a run's folder below that of its container.
pub(super) fn folder(run: u64) -> String {
    format!("run-{run}")
}

/// Runs the script once.
pub(super) async fn run(
    site: &Site,
    lease: &Lease,
    entry: &Entry,
    story: &mut Story,
    definition: &ServiceDefinition,
    member: &mut Member,
    run: u64,
) -> Ended {
    let timeout = definition.service.timeout();
    let (environment, unusable) = environment(lease, &member.inside(&folder(run)));
    for name in unusable {
        story.note(
            Level::Error,
            &format!("the variable {name} is not set: no process could take its value"),
        );
    }
    let invocation = Invocation {
        id: format!("{}-{}", lease.attempt.job, lease.attempt.attempt),
        script: SCRIPT.to_owned(),
        stdin: Some(member.inside(&format!("{}/event", folder(run)))),
        environment,
        timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
        log_limit: site.log_limit as u64,
    };
    story.started_at = Some(Timestamp::now());
    let began = Instant::now();
    let shared: &Story = story;
    let written = Notify::new();
    let (pieces, mut output) = mpsc::channel(PIECES);
    let collect = async {
        while let Some(piece) = output.recv().await {
            let piece: crate::runtime::Output = piece;
            shared
                .log()
                .push(piece.stderr, &piece.bytes, Timestamp::now());
            written.notify_one();
        }
    };
    let end = tokio::select! {
        biased;
        () = entry.lost.cancelled() => return Ended::InDoubt(End::Lost),
        () = site.ends.kill.cancelled() => {
            return Ended::InDoubt(End::With(interrupted("The agent was stopped while the script ran.")));
        }
        (end, ()) = async { tokio::join!(member.run(&invocation, pieces), collect) } => end,
        () = show_live(site, lease, shared, &written) => return Ended::InDoubt(End::Lost),
        () = tokio::time::sleep(timeout.saturating_add(TIMEOUT_GRACE)) => {
            let words = verdict::timed_out(timeout);
            story.note(Level::Error, &words);
            let message = verdict::sentence(&words);
            return Ended::InDoubt(End::With(Outcome::Failed { reason: FailureReason::TimedOut, message }));
        }
    };
    story.spans.run_us = micros(began);
    match end {
        Ok(end) => Ended::Clean(judge(story, &end, definition, timeout)),
        Err(error) => {
            if matches!(error, ClaimError::Failed { .. }) {
                story.note(Level::Error, &error.to_string());
            }
            Ended::InDoubt(unclaimed(error))
        }
    }
}

fn judge(
    story: &mut Story,
    end: &RunEnd,
    definition: &ServiceDefinition,
    timeout: Duration,
) -> Result<(), End> {
    let exited = &end.exited;
    if exited.wall_us > 0 {
        story.spans.run_us = exited.wall_us;
    }
    story.usage.cpu_us = exited.user_us + exited.system_us;
    story.usage.peak_memory_bytes = end.peak_memory_bytes.max(exited.max_rss_bytes);
    story.dropped_bytes = exited.dropped_bytes;
    let Verdict { outcome, notes } = verdict::verdict(end, &definition.service.memory, timeout);
    for (level, text) in notes {
        story.note(level, &text);
    }
    match outcome {
        Outcome::Succeeded => Ok(()),
        outcome => Err(End::With(outcome)),
    }
}

/// Sends what the script writes to the gateway while it runs. Returns when the attempt is no longer this node's.
async fn show_live(site: &Site, lease: &Lease, story: &Story, written: &Notify) {
    let mut shown = 0;
    loop {
        tokio::time::sleep(LIVE).await;
        let news = story.log().live(shown);
        if news.is_empty() {
            written.notified().await;
            continue;
        }
        let bytes = news.len();
        match site.link.live_log(&lease.attempt, shown, news).await {
            Ok(()) => shown += bytes,
            Err(LinkError::Gone { .. }) => return,
            // The log as a whole comes with the completion; what could not be shown is tried with the next piece.
            Err(error) => tracing::debug!(%error, "cannot show the log of a running script"),
        }
    }
}
