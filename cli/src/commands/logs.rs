//! `logs`.

use std::time::Duration;

use clap::Args;
use futures::StreamExt;
use spillway_model::report::{JobReport, JobState};

use super::{Context, jobs};
use crate::client::Client;
use crate::exit::CommandError;

const EXAMPLES: &str = "\
Examples:
  spillway logs grayify                  the newest job
  spillway logs grayify -f               the newest job and all that follow, until Ctrl-C
  spillway logs grayify -f --latest      the newest job until it ends
  spillway logs grayify-0192f0c1-…       that job";

/// Pause between two looks for a newer job.
const LOOK: Duration = Duration::from_millis(500);
/// Longest line that is held back to look at its time; the longer ones are shown as they are.
const MOST_LINE: usize = 1 << 20;

/// Show what the script of a job has written
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Logs {
    /// Name of a service (its newest job) or of a job
    #[arg(value_name = "SERVICE|JOB")]
    target: String,
    /// Go on while the job runs; for a service, go on with the jobs that follow
    #[arg(long, short = 'f')]
    follow: bool,
    /// Only the newest job of the service, also with --follow
    #[arg(long)]
    latest: bool,
    /// Show when each line was written
    #[arg(long)]
    timestamps: bool,
}

/// Whether lines keep their time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timestamps {
    Shown,
    Hidden,
}

pub(crate) async fn run(context: &Context<'_>, logs: &Logs) -> anyhow::Result<()> {
    let client = context.client()?;
    let timestamps = if logs.timestamps {
        Timestamps::Shown
    } else {
        Timestamps::Hidden
    };
    if let Some(job) = client.find_job(&logs.target).await? {
        return show(context, &client, &job, logs.follow, timestamps).await;
    }
    let service = client.service(&logs.target).await.map_err(|error| {
        if error.is_not_found() {
            let text = format!("there is no service and no job named {:?}; list them with `spillway services` and `spillway jobs`", logs.target);
            return anyhow::Error::from(CommandError::NotFound(text));
        }
        error.into()
    })?;
    let mut last = jobs::newest(&client, &service.name).await?;
    match &last {
        Some(job) => {
            context.screen.note(format!("{}:", job.name));
            show(context, &client, job, logs.follow, timestamps).await?;
        }
        None if logs.follow => context.screen.note("no job yet; waiting for one"),
        None => context
            .screen
            .note(format!("{:?} has had no job yet", service.name)),
    }
    while logs.follow && !(logs.latest && last.is_some()) {
        tokio::time::sleep(LOOK).await;
        let newest = jobs::newest(&client, &service.name).await?;
        if let Some(job) =
            newest.filter(|job| last.as_ref().is_none_or(|last| last.name != job.name))
        {
            context.screen.note(format!("{}:", job.name));
            show(context, &client, &job, true, timestamps).await?;
            last = Some(job);
        }
    }
    Ok(())
}

/// Prints the log of a job that has ended.
pub(super) async fn print(
    context: &Context<'_>,
    client: &Client,
    name: &str,
    timestamps: Timestamps,
) -> anyhow::Result<()> {
    stream(context, client, name, false, timestamps).await
}

async fn show(
    context: &Context<'_>,
    client: &Client,
    job: &JobReport,
    follow: bool,
    timestamps: Timestamps,
) -> anyhow::Result<()> {
    stream(context, client, &job.name, follow, timestamps).await?;
    let job = if follow {
        client.job(&job.name).await?
    } else {
        job.clone()
    };
    if job.state == JobState::Dead || !job.message.is_empty() {
        context.screen.note(format!(
            "{}: {} ({}): {}",
            job.name,
            jobs::state_word(&job),
            job.reason,
            job.message
        ));
    }
    Ok(())
}

async fn stream(
    context: &Context<'_>,
    client: &Client,
    name: &str,
    follow: bool,
    timestamps: Timestamps,
) -> anyhow::Result<()> {
    let mut pieces = client.job_log(name, follow).await?;
    let mut line = Vec::new();
    while let Some(piece) = pieces.next().await {
        line.extend_from_slice(&piece?);
        while let Some(end) = line.iter().position(|&byte| byte == b'\n') {
            let rest = line.split_off(end + 1);
            context.screen.bytes(without_time(&line, timestamps))?;
            line = rest;
        }
        if line.len() > MOST_LINE {
            context.screen.bytes(without_time(&line, timestamps))?;
            line.clear();
        }
    }
    if !line.is_empty() {
        line.push(b'\n');
        context.screen.bytes(without_time(&line, timestamps))?;
    }
    Ok(())
}

/// Drops `<RFC 3339 time> ` from the front of a line; a line without one stays as it is.
fn without_time(line: &[u8], timestamps: Timestamps) -> &[u8] {
    let time = |end: &usize| {
        line.get(..*end)
            .and_then(|time| std::str::from_utf8(time).ok())
            .is_some_and(|time| time.parse::<jiff::Timestamp>().is_ok())
    };
    match line
        .iter()
        .position(|&byte| byte == b' ' || byte == b'\n')
        .filter(time)
    {
        Some(end) if timestamps == Timestamps::Hidden => line
            .get(end + usize::from(line[end] == b' ')..)
            .unwrap_or_default(),
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::{Timestamps, without_time};

    #[test]
    fn only_a_time_in_front_of_a_line_is_dropped() {
        check(
            "2026-11-22T10:00:00.123456789Z hello world\n",
            "hello world\n",
        );
        check("2026-11-22T10:00:00.123456789Z \n", "\n");
        check("2026-11-22T10:00:00.123456789Z\n", "\n");
        check(
            "hello 2026-11-22T10:00:00Z\n",
            "hello 2026-11-22T10:00:00Z\n",
        );
        check("\n", "\n");

        #[allow(clippy::items_after_statements)] // The data come first.
        #[track_caller]
        fn check(line: &str, expected: &str) {
            assert_eq!(
                without_time(line.as_bytes(), Timestamps::Hidden),
                expected.as_bytes()
            );
            assert_eq!(
                without_time(line.as_bytes(), Timestamps::Shown),
                line.as_bytes()
            );
        }
    }
}
