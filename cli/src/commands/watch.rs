//! Waiting for jobs.

use std::collections::HashSet;
use std::time::Duration;

use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use spillway_model::report::{JobReport, JobState};

use super::Context;
use crate::client::{Client, ClientError, JobFilter};
use crate::exit::CommandError;
use crate::screen::progress::Bars;
use crate::screen::units;

/// First pause between two looks at a job; each further one is longer by half, up to [`SLOWEST`].
const FASTEST: Duration = Duration::from_millis(40);
const SLOWEST: Duration = Duration::from_secs(1);
/// Failed looks in a row before waiting is given up: a restarting gateway is away for a moment.
const MOST_FAILURES: u32 = 20;
/// Jobs asked about at the same time.
const PARALLEL: usize = 8;
/// Jobs in one page, and pages looked through, to find those that an upload has started.
const PAGE: u32 = 200;
const MOST_PAGES: usize = 25;

/// Where the list of jobs stood before something was done.
#[derive(Debug)]
pub(super) struct Before {
    service: Option<String>,
    names: HashSet<String>,
    newest: Option<Timestamp>,
}

impl Before {
    /// Notes which jobs are there already.
    pub(super) async fn note(client: &Client, service: Option<&str>) -> Result<Self, ClientError> {
        let service = service.map(str::to_owned);
        let filter = JobFilter {
            service: service.clone(),
            limit: PAGE,
            ..JobFilter::default()
        };
        let page = client.jobs(&filter).await?;
        let newest = page.jobs.iter().map(|job| job.created_at).max();
        Ok(Self {
            service,
            names: page.jobs.into_iter().map(|job| job.name).collect(),
            newest,
        })
    }

    /// The jobs that have come into being since, for one of these inputs (`bucket/key`).
    pub(super) async fn started_since(
        &self,
        client: &Client,
        inputs: &HashSet<String>,
    ) -> Result<Vec<String>, ClientError> {
        let mut started = Vec::new();
        let mut filter = JobFilter {
            service: self.service.clone(),
            limit: PAGE,
            ..JobFilter::default()
        };
        for _ in 0..MOST_PAGES {
            let page = client.jobs(&filter).await?;
            let old = |job: &JobReport| self.newest.is_some_and(|newest| job.created_at < newest);
            let reached_old = page.jobs.iter().any(old);
            started.extend(
                page.jobs
                    .into_iter()
                    .filter(|job| !old(job) && !self.names.contains(&job.name))
                    .filter(|job| {
                        job.input
                            .as_ref()
                            .is_some_and(|input| inputs.contains(&input.path))
                    })
                    .map(|job| job.name),
            );
            match page.next {
                Some(next) if !reached_old => filter.before = Some(next),
                _ => break,
            }
        }
        Ok(started)
    }
}

/// Waits until all of `names` are done, telling how each went as it ends. Fails when one of them failed.
pub(super) async fn wait(
    context: &Context<'_>,
    client: &Client,
    names: Vec<String>,
) -> anyhow::Result<Vec<JobReport>> {
    let bars = Bars::new(context.screen);
    let waited: Vec<JobReport> = stream::iter(names)
        .map(|name| {
            let bars = bars.clone();
            async move {
                let job = one(client, &name, &bars).await?;
                if !context.screen.quiet() {
                    bars.line(&ending(&job));
                }
                anyhow::Ok(job)
            }
        })
        .buffer_unordered(PARALLEL)
        .try_collect()
        .await?;
    Ok(waited)
}

/// The error for the jobs among these that failed, if any did.
pub(super) fn all_succeeded(jobs: &[JobReport]) -> Result<(), CommandError> {
    let failed: Vec<&JobReport> = jobs
        .iter()
        .filter(|job| job.state == JobState::Dead)
        .collect();
    let Some(first) = failed.first() else {
        return Ok(());
    };
    Err(CommandError::JobFailed(format!(
        "{} of {} jobs failed; see why with: spillway logs {}",
        failed.len(),
        jobs.len(),
        first.name
    )))
}

async fn one(client: &Client, name: &str, bars: &Bars) -> Result<JobReport, ClientError> {
    let bar = bars.spinner(name);
    let mut pause = FASTEST;
    let mut failures = 0;
    loop {
        match client.job(name).await {
            Ok(job) if matches!(job.state, JobState::Succeeded | JobState::Dead) => return Ok(job),
            Ok(job) => {
                failures = 0;
                bar.say(&format!("{name}: {}", standing(&job)));
            }
            Err(
                error @ (ClientError::Connect { .. }
                | ClientError::TimedOut { .. }
                | ClientError::Broken { .. }),
            ) => {
                failures += 1;
                if failures > MOST_FAILURES {
                    return Err(error);
                }
                bar.say(&format!("{name}: the gateway does not answer"));
            }
            Err(error) => return Err(error),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(SLOWEST);
    }
}

fn standing(job: &JobReport) -> String {
    match job.state {
        JobState::Queued if job.failures > 0 => format!(
            "waiting to be tried again after {} failures ({})",
            job.failures, job.message
        ),
        JobState::Queued => "queued".into(),
        JobState::Leased if job.started_at.is_none() => format!("starting on {}", job.node),
        _ => format!("running on {}", job.node),
    }
}

fn ending(job: &JobReport) -> String {
    let total = job
        .finished_at
        .map_or(0, |finished| units::between(job.created_at, finished));
    let total = units::duration(total);
    if job.state == JobState::Dead {
        return format!(
            "{}: failed after {total} ({}): {}",
            job.name, job.reason, job.message
        );
    }
    let warmth = if job.spans.warm { "warm" } else { "cold" };
    format!("{}: done in {total} ({warmth}, on {})", job.name, job.node)
}
