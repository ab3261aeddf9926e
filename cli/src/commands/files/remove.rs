//! `rm`: objects and buckets.

use clap::Args;
use futures::TryStreamExt;
use spillway_storage::{Depth, ObjectPath, Storage};

use crate::commands::Context;
use crate::exit::CommandError;
use crate::screen::progress::Bars;

const EXAMPLES: &str = "\
Examples:
  spillway rm vision/out/leaf.png
  spillway rm vision/out/ --recursive
  spillway rm vision --bucket";

/// Delete objects, folders or whole buckets
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Rm {
    /// Buckets and keys
    #[arg(value_name = "BUCKET/KEY", required = true)]
    paths: Vec<String>,
    /// Everything in a folder
    #[arg(long, short = 'r', conflicts_with = "bucket")]
    recursive: bool,
    /// The bucket itself, with everything in it
    #[arg(long)]
    bucket: bool,
    /// No error when something is not there
    #[arg(long, short = 'f')]
    force: bool,
}

pub(super) async fn run(context: &Context<'_>, rm: &Rm) -> anyhow::Result<()> {
    let client = context.client()?;
    let paths: Vec<ObjectPath> = rm
        .paths
        .iter()
        .map(|path| ObjectPath::parse(path))
        .collect();
    if let Some(path) = paths.iter().find(|path| path.key.is_empty() != rm.bucket) {
        let text = if rm.bucket {
            format!("{path} is no bucket; leave --bucket out to delete an object")
        } else {
            format!("{path} is a whole bucket; say --bucket to delete it with everything in it")
        };
        return Err(CommandError::Usage(text).into());
    }
    if rm.bucket {
        for path in &paths {
            match client.delete_bucket(&path.bucket).await {
                Err(error) if rm.force && error.is_not_found() => (),
                outcome => outcome?,
            }
            context.screen.note(format!("{path}: deleted"));
        }
        return Ok(());
    }
    let store = client.store().await?;
    for path in &paths {
        let count = if rm.recursive {
            below(context, &store, path).await?
        } else {
            one(&store, path).await?
        };
        if count == 0 && !rm.force {
            let hint = if rm.recursive {
                ""
            } else {
                "; for a folder, say --recursive"
            };
            return Err(CommandError::NotFound(format!("there is no {path}{hint}")).into());
        }
        context.screen.note(format!("{path}: {count} deleted"));
    }
    Ok(())
}

async fn one(store: &dyn Storage, path: &ObjectPath) -> anyhow::Result<u64> {
    // S3 deletes what is not there without a word; a slip of the finger deserves one.
    if store.head(path).await?.is_none() {
        return Ok(0);
    }
    store.delete(path).await?;
    Ok(1)
}

async fn below(
    context: &Context<'_>,
    store: &dyn Storage,
    path: &ObjectPath,
) -> anyhow::Result<u64> {
    let mut folder = path.clone();
    if !folder.key.ends_with('/') {
        folder.key.push('/');
    }
    let bars = Bars::new(context.screen);
    let bar = bars.spinner(&folder.to_string());
    let mut count = 0;
    let mut entries = store.list(&folder, Depth::All);
    while let Some(entry) = entries.try_next().await? {
        store.delete(&entry.path).await?;
        count += 1;
        bar.say(&format!("{folder}: {count} deleted"));
    }
    Ok(count)
}
