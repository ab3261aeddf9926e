//! The long poll: leases, cancellations, and what shall be kept ready.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use spillway_model::wire::link::{Lease, Poll, PollAnswer, Wanted};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::link::{Patience, causes};
use crate::run;
use crate::site::Site;

/// How long the gateway may hold a poll back.
const WAIT: Duration = Duration::from_secs(50);

/// Leases in one answer, at most.
const MAX_LEASES: usize = 16;

/// How often to look whether an engine that was away is back.
const ENGINE_AWAY: Duration = Duration::from_secs(1);

/// An answer with nothing in it that came sooner than this was no long poll; the next one waits as long.
const TOO_SOON: Duration = Duration::from_millis(200);

/// Asks for work until the agent stops, and starts what it gets.
pub(crate) async fn ask_for_work(
    site: Arc<Site>,
    attempts: TaskTracker,
    wanted: watch::Sender<Option<Wanted>>,
) {
    let mut patience = Patience::new(Duration::from_secs(5));
    loop {
        tokio::select! {
            () = site.ends.stopping.cancelled() => return,
            room = room(&site) => {
                let began = Instant::now();
                let poll = Poll {
                    capacity: site.capacity,
                    max_leases: u32::try_from(room.min(MAX_LEASES)).unwrap_or(1),
                    wait_ms: u64::try_from(WAIT.as_millis()).unwrap_or(u64::MAX),
                    warm: site.runtime.warm(),
                    wanted_version: site.wanted_version.load(Ordering::Acquire),
                };
                let answer = tokio::select! {
                    () = site.ends.stopping.cancelled() => return,
                    answer = site.link.poll(&poll) => answer,
                };
                let pause = match answer {
                    Ok(answer) => {
                        if patience.tries() > 0 {
                            tracing::info!("the gateway answers polls again");
                        }
                        patience.reset();
                        let empty = answer.leases.is_empty() && answer.cancelled.is_empty() && answer.wanted.is_none();
                        accept(&site, answer, &attempts, &wanted);
                        if empty { TOO_SOON.saturating_sub(began.elapsed()) } else { Duration::ZERO }
                    }
                    Err(error) => {
                        if patience.tries() == 0 {
                            tracing::warn!(error = causes(&error), "cannot ask for work; trying on");
                        }
                        patience.next()
                    }
                };
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }
}

/// Waits until this node can take something up; returns how many attempts.
async fn room(site: &Site) -> usize {
    while !site.runtime.ready() {
        tokio::time::sleep(ENGINE_AWAY).await;
    }
    site.pause.over().await;
    site.ledger.room().await
}

fn accept(
    site: &Arc<Site>,
    answer: PollAnswer,
    attempts: &TaskTracker,
    wanted: &watch::Sender<Option<Wanted>>,
) {
    for lease in answer.leases {
        start(site, lease, attempts);
    }
    for attempt in answer.cancelled {
        site.ledger.lose(&attempt);
    }
    if let Some(now) = answer.wanted {
        site.wanted_version.store(now.version, Ordering::Release);
        wanted.send_replace(Some(now));
    }
}

fn start(site: &Arc<Site>, lease: Lease, attempts: &TaskTracker) {
    let job = &lease.attempt.job;
    // The job's name becomes a folder's.
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if job.is_empty() || job.len() > 200 || job.starts_with('.') || !job.chars().all(plain) {
        tracing::error!(
            job,
            "the gateway sent a lease whose job has an impossible name; it is left alone"
        );
        return;
    }
    if let Some(entry) = site.ledger.enter(&lease.attempt, &site.ends.abandon) {
        attempts.spawn(run::attempt(Arc::clone(site), lease, entry));
    } else {
        tracing::warn!(
            job,
            attempt = lease.attempt.attempt,
            "was granted twice; it is run once"
        );
    }
}
