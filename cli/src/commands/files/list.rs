//! `ls`: buckets, and what is in them.

use clap::Args;
use futures::TryStreamExt;
use jiff::Timestamp;
use serde::Serialize;
use spillway_storage::{Depth, Entry, ObjectPath, S3Storage, Storage};

use crate::commands::Context;
use crate::exit::CommandError;
use crate::screen::{Rows, units};

const EXAMPLES: &str = "\
Examples:
  spillway ls                        the buckets
  spillway ls vision                 what is in a bucket
  spillway ls vision/out --recursive
  spillway ls vision/out -q";

/// List the buckets, or what is in one
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Ls {
    /// Bucket, and a folder in it or the beginning of keys
    #[arg(value_name = "BUCKET[/PREFIX]")]
    path: Option<String>,
    /// Also what is in sub-folders
    #[arg(long, short = 'r')]
    recursive: bool,
    /// At most so many
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

/// An entry as it is shown to programs.
#[derive(Debug, Serialize)]
struct Shown {
    bucket: String,
    key: String,
    size: u64,
    modified: Option<Timestamp>,
}

pub(super) async fn run(context: &Context<'_>, ls: &Ls) -> anyhow::Result<()> {
    let client = context.client()?;
    let Some(path) = &ls.path else {
        let buckets = client.buckets().await?;
        return context.screen.show(&buckets, || {
            let mut rows = Rows::new(
                &["BUCKET", "OWNER", "VISIBILITY", "OBJECTS", "SIZE"],
                "There are no buckets yet. A service makes its own: spillway apply FILE",
            );
            for bucket in &buckets {
                let usage = bucket.storage_usage.as_ref();
                rows.row([
                    bucket.name.clone(),
                    bucket.owner.clone(),
                    bucket.visibility.clone(),
                    usage
                        .and_then(|usage| usage.objects)
                        .map_or_else(|| "-".into(), |count| count.to_string()),
                    usage.map_or_else(|| "-".into(), |usage| units::bytes(usage.used_bytes)),
                ]);
            }
            rows
        });
    };
    let path = ObjectPath::parse(path);
    let depth = if ls.recursive {
        Depth::All
    } else {
        Depth::Folder
    };
    let store = client.store().await?;
    let (entries, more) = entries(&store, &path, depth, ls.limit as usize).await?;
    if entries.is_empty() && !path.key.is_empty() {
        return Err(CommandError::NotFound(format!("there is nothing at {path}")).into());
    }
    let shown: Vec<Shown> = entries
        .iter()
        .map(|entry| Shown {
            bucket: entry.path.bucket.clone(),
            key: entry.path.key.clone(),
            size: entry.size,
            modified: entry.modified,
        })
        .collect();
    context.screen.show(&shown, || {
        let mut rows = Rows::new(&["KEY", "SIZE", "MODIFIED"], "The bucket is empty.");
        for entry in &entries {
            let size = if entry.is_folder() {
                "-".into()
            } else {
                units::bytes(entry.size)
            };
            let modified = entry.modified.map_or_else(
                || "-".into(),
                |time| time.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
            );
            rows.row([entry.path.key.clone(), size, modified]);
        }
        rows
    })?;
    if more {
        context.screen.note(format!(
            "There are more; see them with --limit {}",
            u64::from(ls.limit) * 10
        ));
    }
    Ok(())
}

/// `vision/in` means the folder; when there is none, the keys that begin so.
async fn entries(
    store: &S3Storage,
    path: &ObjectPath,
    depth: Depth,
    limit: usize,
) -> anyhow::Result<(Vec<Entry>, bool)> {
    let mut found = Vec::new();
    let folder = ObjectPath::new(path.bucket.clone(), format!("{}/", path.key));
    let ways = if path.key.is_empty() || path.key.ends_with('/') {
        vec![path]
    } else {
        vec![&folder, path]
    };
    for way in ways {
        let mut listed = store.list(way, depth);
        while let Some(entry) = listed.try_next().await? {
            if found.len() == limit {
                return Ok((found, true));
            }
            found.push(entry);
        }
        if !found.is_empty() {
            break;
        }
    }
    Ok((found, false))
}
