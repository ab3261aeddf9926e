//! `put`: files into a bucket, with progress, and what they set off.

mod sources;

use std::collections::HashSet;
use std::io;

use anyhow::Context as _;
use clap::Args;
use futures::stream::{self, StreamExt, TryStreamExt};
use spillway_model::report::JobReport;
use spillway_storage::{Content, Entry, ObjectPath, S3Storage, Storage};

use super::target::{self, End};
use crate::commands::{Context, watch};
use crate::interrupt::Interrupt;
use crate::screen::progress::Bars;
use crate::screen::{Rows, units};
use sources::{Source, Upload};

const EXAMPLES: &str = "\
Examples:
  spillway put grayify leaf.png --wait           into the input folder of the service
  spillway put grayify *.png --parallel 8
  spillway put vision/in/leaf.png picture.png    under this very key
  spillway put vision/in/ pictures --recursive
  date | spillway put grayify - --name now.txt";

/// Outputs looked up at the same time.
const LOOKS: usize = 8;

/// Upload files: into the input folder of a service, or under a key of a bucket
///
/// A file counts as uploaded when the store has it safe on disk.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Put {
    /// Name of a service, or bucket and key; a key that ends in `/` is a folder
    #[arg(value_name = "SERVICE|BUCKET/KEY")]
    pub(super) target: String,
    /// Files to upload, `-` for standard input
    #[arg(value_name = "FILE", required = true)]
    pub(super) files: Vec<std::path::PathBuf>,
    /// Name of the object, for one file or standard input
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,
    /// Upload folders with all that is in them
    #[arg(long, short = 'r')]
    pub(super) recursive: bool,
    /// Files on their way at the same time
    #[arg(long, default_value_t = 4, value_name = "COUNT", value_parser = clap::value_parser!(u8).range(1..=64))]
    parallel: u8,
    /// Wait for the jobs that the files set off, and list what came out
    #[arg(long, short = 'w')]
    wait: bool,
}

pub(super) async fn run(context: &Context<'_>, put: &Put) -> anyhow::Result<()> {
    let client = context.client()?;
    let target = target::resolve(&client, &put.target, End::Input).await?;
    let uploads = sources::plan(put, &target)?;
    let store = client.store().await?;
    let service = target.service.as_ref().map(|service| service.name.as_str());
    let before = if put.wait {
        Some(watch::Before::note(&client, service).await?)
    } else {
        None
    };

    let bars = Bars::new(context.screen);
    let sent: Vec<Entry> = stream::iter(&uploads)
        .map(|upload| send(&store, upload, &bars, &context.interrupt))
        .buffered(put.parallel.into())
        .try_collect()
        .await?;
    drop(bars);
    let Some(before) = before else {
        return context.screen.show(
            &sent
                .iter()
                .map(|entry| entry.path.to_string())
                .collect::<Vec<_>>(),
            || table(&sent),
        );
    };
    let inputs: HashSet<String> = sent.iter().map(|entry| entry.path.to_string()).collect();
    let started = before.started_since(&client, &inputs).await?;
    if started.is_empty() {
        context
            .screen
            .note("The files set off no job: no service has its input there.");
        return Ok(());
    }
    let jobs = watch::wait(context, &client, started).await?;
    let outputs = outputs(&store, &jobs).await?;
    context.screen.show(&jobs, || table(&outputs))?;
    let unnamed: u64 = jobs
        .iter()
        .map(|job| job.output_count.saturating_sub(job.outputs.len() as u64))
        .sum();
    if unnamed > 0 {
        context.screen.note(format!(
            "And {unnamed} more: the jobs made too many to name."
        ));
    }
    watch::all_succeeded(&jobs)?;
    Ok(())
}

async fn send(
    store: &S3Storage,
    upload: &Upload,
    bars: &Bars,
    interrupt: &Interrupt,
) -> anyhow::Result<Entry> {
    let content = match &upload.source {
        Source::Stdin => Content::from_reader(tokio::io::stdin()),
        Source::File(path) => Content::from_file(path)
            .await
            .with_context(|| format!("opening {}", path.display()))?,
    };
    let size = content.size();
    let content = content.with_content_type(sources::content_type(&upload.path.key));
    let bar = bars.transfer(upload.path.file_name(), size);
    let moved = std::sync::atomic::AtomicU64::new(0);
    // An interrupted upload is ended properly, so that no parts of it stay in the store.
    let _busy = interrupt.busy();
    let stop = interrupt.clone();
    let content = content.until(async move {
        stop.requested().await;
        io::Error::from(io::ErrorKind::Interrupted)
    });
    store
        .put(&upload.path, content, &|bytes| {
            moved.fetch_add(bytes, std::sync::atomic::Ordering::Relaxed);
            bar.advance(bytes);
        })
        .await?;
    Ok(Entry {
        path: upload.path.clone(),
        size: moved.into_inner(),
        modified: None,
        etag: None,
        content_type: None,
    })
}

/// What the jobs published, as far as it is still there.
async fn outputs(store: &S3Storage, jobs: &[JobReport]) -> anyhow::Result<Vec<Entry>> {
    let mut names: Vec<&str> = jobs
        .iter()
        .flat_map(|job| job.outputs.iter().map(String::as_str))
        .collect();
    names.sort_unstable();
    names.dedup();
    let found: Vec<Option<Entry>> = stream::iter(names)
        .map(|name| async move { store.head(&ObjectPath::parse(name)).await })
        .buffered(LOOKS)
        .try_collect()
        .await?;
    Ok(found.into_iter().flatten().collect())
}

fn table(entries: &[Entry]) -> Rows {
    let mut rows = Rows::new(&["OBJECT", "SIZE"], "Nothing came out.");
    for entry in entries {
        rows.row([entry.path.to_string(), units::bytes(entry.size)]);
    }
    rows
}
