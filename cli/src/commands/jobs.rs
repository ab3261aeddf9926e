//! `job` and `jobs`: starting jobs by hand, listing them, and where the time of one went.

mod report;
mod start;

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use spillway_model::report::{JobPage, JobReport, JobState};

use super::Context;
use crate::client::{Client, ClientError, JobFilter};
use crate::screen::{Rows, units};

pub(super) use report::show;

/// Largest page that is asked for.
const PAGE: u32 = 200;

const JOBS_EXAMPLES: &str = "\
Examples:
  spillway jobs
  spillway jobs grayify --state dead
  spillway jobs show grayify-0192f0c1-…
  spillway jobs --output json | jq '.[] | select(.spans.run_us > 1000000)'";

/// Commands about jobs.
#[derive(Debug, Subcommand)]
pub(crate) enum Jobs {
    Job(start::Start),
    /// List jobs, newest first, or show where the time of one went
    #[command(args_conflicts_with_subcommands = true, after_help = JOBS_EXAMPLES)]
    Jobs(List),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(subcommand)]
    show: Option<Show>,
    /// Only those of this service
    service: Option<String>,
    /// Only those in this state
    #[arg(long, value_enum)]
    state: Option<State>,
    /// At most so many
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
}

#[derive(Debug, Subcommand)]
enum Show {
    /// Show one job: how it went and where the milliseconds went
    Show {
        /// Name of the job
        name: String,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum State {
    /// Waiting for a node or for the next try
    Queued,
    /// On a node
    Running,
    Succeeded,
    /// Given up; see `spillway dead-letters`
    Dead,
}

pub(crate) async fn run(context: &Context<'_>, command: &Jobs) -> anyhow::Result<()> {
    match command {
        Jobs::Job(start) => start::run(context, start).await,
        Jobs::Jobs(List {
            show: Some(Show::Show { name }),
            ..
        }) => show(context, &context.client()?, name).await,
        Jobs::Jobs(list) => {
            let client = context.client()?;
            let filter = JobFilter {
                service: list.service.clone(),
                state: list.state.map(state_name),
                ..JobFilter::default()
            };
            let found = pages(list.limit, filter, async |filter| {
                client.jobs(&filter).await
            })
            .await?;
            if let (true, Some(service)) = (found.is_empty(), &list.service) {
                // A misspelt name must not look like a service without jobs.
                client.service(service).await?;
            }
            context.screen.show(&found, || table(&found))
        }
    }
}

/// At most `limit` jobs, page by page.
pub(super) async fn pages(
    limit: u32,
    mut filter: JobFilter,
    ask: impl AsyncFn(JobFilter) -> Result<JobPage, ClientError>,
) -> Result<Vec<JobReport>, ClientError> {
    let limit = limit as usize;
    let mut found = Vec::new();
    loop {
        filter.limit = u32::try_from(limit - found.len()).unwrap_or(PAGE).min(PAGE);
        let page = ask(filter.clone()).await?;
        let empty = page.jobs.is_empty();
        found.extend(page.jobs);
        filter.before = page.next;
        if filter.before.is_none() || empty || found.len() >= limit {
            found.truncate(limit);
            return Ok(found);
        }
    }
}

/// The newest job of a service.
pub(super) async fn newest(
    client: &Client,
    service: &str,
) -> Result<Option<JobReport>, ClientError> {
    let filter = JobFilter {
        service: Some(service.to_owned()),
        limit: 1,
        ..JobFilter::default()
    };
    Ok(client.jobs(&filter).await?.jobs.into_iter().next())
}

fn state_name(state: State) -> &'static str {
    match state {
        State::Queued => "queued",
        State::Running => "leased",
        State::Succeeded => "succeeded",
        State::Dead => "dead",
    }
}

/// A job's state in one word.
pub(super) fn state_word(job: &JobReport) -> &'static str {
    match job.state {
        JobState::Queued if job.failures > 0 => "retrying",
        JobState::Queued => "queued",
        JobState::Leased if job.started_at.is_none() => "starting",
        JobState::Leased => "running",
        JobState::Succeeded => "succeeded",
        JobState::Dead => "dead",
    }
}

fn table(jobs: &[JobReport]) -> Rows {
    let mut rows = Rows::new(
        &[
            "NAME", "SERVICE", "STATE", "TRY", "NODE", "AGE", "QUEUED", "RUN", "TOTAL", "REASON",
        ],
        "There are no jobs. Start one by putting a file: spillway put SERVICE FILE",
    );
    let now = Timestamp::now();
    let time = |microseconds: u64| {
        if microseconds == 0 {
            "-".into()
        } else {
            units::duration(microseconds)
        }
    };
    for job in jobs {
        rows.row([
            job.name.clone(),
            job.service.clone(),
            state_word(job).into(),
            job.attempt.to_string(),
            if job.node.is_empty() {
                "-".into()
            } else {
                job.node.clone()
            },
            units::age(job.created_at, now),
            time(job.queued_us),
            time(job.spans.run_us),
            time(
                job.finished_at
                    .map_or(0, |finished| units::between(job.created_at, finished)),
            ),
            job.reason.clone(),
        ]);
    }
    rows
}
