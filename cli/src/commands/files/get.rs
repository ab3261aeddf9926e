//! `get-file`: objects out of buckets.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use futures::TryStreamExt;
use spillway_storage::{Depth, Entry, ObjectPath, S3Storage, Storage};
use tokio::io::AsyncWriteExt;

use super::target::{self, End};
use crate::commands::Context;
use crate::exit::CommandError;
use crate::screen::progress::Bars;
use crate::screen::units;

const EXAMPLES: &str = "\
Examples:
  spillway get-file vision/out/leaf.png             into ./leaf.png
  spillway get-file vision/out/leaf.png gray.png
  spillway get-file vision/out/result.json - | jq .
  spillway get-file grayify --latest                the newest output of the service
  spillway get-file grayify --download-latest-into results
  spillway get-file vision/out/ results --recursive";

/// Download a file: an object of a bucket, or the newest output of a service
///
/// A file appears under its name only when it is complete.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct GetFile {
    /// Bucket and key; or, with --latest or --recursive, a folder or a service (its first output)
    #[arg(value_name = "SERVICE|BUCKET/KEY")]
    source: String,
    /// File or folder to write to, `-` for standard output [default: the name of the object, here]
    #[arg(value_name = "LOCAL")]
    local: Option<PathBuf>,
    /// The newest object of the folder
    #[arg(long, conflicts_with = "recursive")]
    latest: bool,
    /// The newest object of the folder, into this folder
    #[arg(long, value_name = "FOLDER", num_args = 0..=1, default_missing_value = ".", conflicts_with_all = ["recursive", "local"])]
    download_latest_into: Option<PathBuf>,
    /// All objects of the folder
    #[arg(long, short = 'r')]
    recursive: bool,
}

pub(super) async fn run(context: &Context<'_>, get: &GetFile) -> anyhow::Result<()> {
    let client = context.client()?;
    let target = target::resolve(&client, &get.source, End::Output).await?;
    let store = client.store().await?;
    let folder = target.path.key.is_empty() || target.path.key.ends_with('/');
    let bars = Bars::new(context.screen);
    if get.latest || get.download_latest_into.is_some() {
        let newest = newest(&store, &target.path).await?;
        let into = get.download_latest_into.as_ref().or(get.local.as_ref());
        let into = match &get.download_latest_into {
            Some(into) => Some(into.join(safe_name(&newest)?)),
            None => into.cloned(),
        };
        return fetch(context, &store, &newest, into.as_deref(), &bars).await;
    }
    if get.recursive {
        return everything(context, &store, &target.path, get.local.as_deref(), &bars).await;
    }
    if folder {
        let text = format!(
            "{} is a folder; say --latest for its newest object, --recursive for all, or name one",
            target.path
        );
        return Err(CommandError::Usage(text).into());
    }
    fetch(context, &store, &target.path, get.local.as_deref(), &bars).await
}

async fn newest(store: &S3Storage, folder: &ObjectPath) -> anyhow::Result<ObjectPath> {
    let mut newest: Option<Entry> = None;
    let mut entries = store.list(folder, Depth::All);
    while let Some(entry) = entries.try_next().await? {
        if !entry.is_folder()
            && newest
                .as_ref()
                .is_none_or(|newest| entry.modified >= newest.modified)
        {
            newest = Some(entry);
        }
    }
    let none = || CommandError::NotFound(format!("there is nothing in {folder} yet"));
    Ok(newest.ok_or_else(none)?.path)
}

async fn everything(
    context: &Context<'_>,
    store: &S3Storage,
    folder: &ObjectPath,
    local: Option<&Path>,
    bars: &Bars,
) -> anyhow::Result<()> {
    let root = local.unwrap_or(Path::new("."));
    let mut entries = store.list(folder, Depth::All);
    let mut count = 0;
    while let Some(entry) = entries.try_next().await? {
        if entry.is_folder() {
            continue;
        }
        let below = entry
            .path
            .key
            .strip_prefix(&folder.key)
            .unwrap_or(&entry.path.key)
            .trim_start_matches('/');
        // Keys come from others: none of them may lead out of the folder.
        if below.split('/').any(|part| matches!(part, "" | "." | "..")) {
            context.screen.warn(format!(
                "{} is left out: its name leads out of the folder",
                entry.path
            ));
            continue;
        }
        let file = root.join(below);
        if let Some(parent) = file.parent() {
            tokio::fs::create_dir_all(parent)
                .await
                .with_context(|| format!("making the folder {}", parent.display()))?;
        }
        fetch(context, store, &entry.path, Some(&file), bars).await?;
        count += 1;
    }
    if count == 0 {
        return Err(CommandError::NotFound(format!("there is nothing in {folder}")).into());
    }
    Ok(())
}

/// A name for the local file that stays in its folder.
fn safe_name(path: &ObjectPath) -> Result<&str, CommandError> {
    match path.file_name() {
        "" | "." | ".." => Err(CommandError::Usage(format!(
            "{path} has no usable name; say where to put it"
        ))),
        name => Ok(name),
    }
}

async fn fetch(
    context: &Context<'_>,
    store: &S3Storage,
    path: &ObjectPath,
    local: Option<&Path>,
    bars: &Bars,
) -> anyhow::Result<()> {
    let mut download = store.get(path).await?;
    let bar = bars.transfer(path.file_name(), Some(download.entry.size));
    if local == Some(Path::new("-")) {
        while let Some(piece) = download
            .bytes
            .try_next()
            .await
            .with_context(|| format!("reading {path}"))?
        {
            bar.advance(piece.len() as u64);
            context.screen.bytes(&piece)?;
        }
        return Ok(());
    }
    let mut file = match local {
        Some(local) => local.to_owned(),
        None => PathBuf::from(safe_name(path)?),
    };
    if file.is_dir() {
        file.push(safe_name(path)?);
    }
    let part = Part::beside(&file);
    let writing = || format!("writing {}", part.0.display());
    let mut out = tokio::fs::File::create(&part.0)
        .await
        .with_context(writing)?;
    let mut size = 0;
    while let Some(piece) = download
        .bytes
        .try_next()
        .await
        .with_context(|| format!("reading {path}"))?
    {
        out.write_all(&piece).await.with_context(writing)?;
        size += piece.len() as u64;
        bar.advance(piece.len() as u64);
    }
    out.flush().await.with_context(writing)?;
    drop(out);
    part.keep(&file)
        .with_context(|| format!("writing {}", file.display()))?;
    drop(bar);
    if context.screen.quiet() {
        return Ok(context.screen.text(&format!("{}\n", file.display()))?);
    }
    context.screen.note(format!(
        "{path} → {} ({})",
        file.display(),
        units::bytes(size)
    ));
    Ok(())
}

/// A file that is not complete yet; it goes away with this value, also when the user interrupts.
#[derive(Debug)]
struct Part(PathBuf);

impl Part {
    fn beside(file: &Path) -> Self {
        let mut name = std::ffi::OsString::from(".");
        name.push(file.file_name().unwrap_or_default());
        name.push(format!(".{}.part", std::process::id()));
        Self(file.with_file_name(name))
    }

    fn keep(self, file: &Path) -> io::Result<()> {
        std::fs::rename(&self.0, file)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Not there any more when it was kept.
        let _ = std::fs::remove_file(&self.0);
    }
}
