//! `dead-letters`: jobs that were given up.

use clap::{Args, Subcommand};
use jiff::Timestamp;
use spillway_model::report::JobReport;

use super::{Context, confirm, jobs};
use crate::client::JobFilter;
use crate::screen::{Rows, units};

pub(crate) const EXAMPLES: &str = "\
Examples:
  spillway dead-letters list
  spillway dead-letters show grayify-0192f0c1-…
  spillway dead-letters retry grayify-0192f0c1-…
  spillway dead-letters retry --service grayify
  spillway dead-letters purge --all --yes";

#[derive(Debug, Args)]
pub(crate) struct DeadLetters {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List them, newest first
    List {
        /// Only those of this service
        service: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
    /// Show one: reason, times, and the end of its log
    Show {
        /// Name of the job
        name: String,
    },
    /// Put them back into the queue, with fresh retries
    Retry(Selection),
    /// Delete them for good, with their inputs and logs
    Purge {
        #[command(flatten)]
        selection: Selection,
        /// Do not ask
        #[arg(long, short = 'y')]
        yes: bool,
    },
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Selection {
    /// Names of jobs
    names: Vec<String>,
    /// All of this service
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// All of them
    #[arg(long)]
    all: bool,
}

pub(crate) async fn run(context: &Context<'_>, letters: &DeadLetters) -> anyhow::Result<()> {
    let client = context.client()?;
    match &letters.what {
        What::List { service, limit } => {
            let filter = JobFilter {
                service: service.clone(),
                ..JobFilter::default()
            };
            let found = jobs::pages(*limit, filter, async |filter| {
                client.dead_letters(&filter).await
            })
            .await?;
            context.screen.show(&found, || table(&found))
        }
        What::Show { name } => jobs::show(context, &client, name).await,
        What::Retry(selection) => {
            let mut touched = 0;
            if selection.names.is_empty() {
                touched = client
                    .retry_dead_letters(selection.service.as_deref())
                    .await?
                    .touched;
            }
            for name in &selection.names {
                touched += client.retry_dead_letter(name).await?.touched;
            }
            context.screen.note(format!(
                "{touched} back in the queue; follow them with: spillway jobs"
            ));
            Ok(())
        }
        What::Purge { selection, yes } => {
            if !yes {
                confirm("Delete these dead letters with their inputs for good?")?;
            }
            let mut touched = 0;
            if selection.names.is_empty() {
                touched = client
                    .purge_dead_letters(selection.service.as_deref())
                    .await?
                    .touched;
            }
            for name in &selection.names {
                touched += client.purge_dead_letter(name).await?.touched;
            }
            context.screen.note(format!("{touched} deleted"));
            Ok(())
        }
    }
}

fn table(letters: &[JobReport]) -> Rows {
    let mut rows = Rows::new(
        &[
            "NAME", "SERVICE", "AGE", "ATTEMPTS", "INPUT", "REASON", "MESSAGE",
        ],
        "There are no dead letters.",
    );
    let now = Timestamp::now();
    for letter in letters {
        rows.row([
            letter.name.clone(),
            letter.service.clone(),
            units::age(letter.finished_at.unwrap_or(letter.created_at), now),
            letter.attempt.to_string(),
            letter
                .input
                .as_ref()
                .map_or_else(|| "-".into(), |input| input.path.clone()),
            letter.reason.clone(),
            letter.message.clone(),
        ]);
    }
    rows
}
