//! The way out: which files a script left, and which outputs of its service take them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use spillway_model::service::StorageIo;
use spillway_model::wire::link::INLINE_BYTES;

use super::content_type;

/// Files that one run may leave behind for its outputs, at most; folders count too.
pub(crate) const MAX_FILES: usize = 4000;

/// Bytes of all outputs together that travel inside one completion, before encoding.
const MAX_INLINE: u64 = 4 * 1024 * 1024;

/// The longest key of the object store, in bytes.
const MAX_KEY: usize = 1024;

/// One file to publish, once for each output that takes it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Collected {
    pub(crate) path: PathBuf,
    pub(crate) size: u64,
    pub(crate) content_type: &'static str,
    pub(crate) source: Source,
    /// Where each output that takes it wants it, in the order of the definition.
    pub(crate) places: Vec<Place>,
}

/// Where a file goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// `<type>.<id>` of a provider elsewhere; empty for the built-in store.
    pub(crate) provider: String,
    /// Empty where the provider has none.
    pub(crate) bucket: String,
    pub(crate) key: String,
}

/// How the bytes of a file travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// Inside the completion.
    Inline,
    /// In a request of their own, before it.
    Blob,
}

/// Why outputs cannot be collected; the text is for the user.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CollectError {
    #[error("The outputs could not be read: {path}: {source}.")]
    Io { path: String, source: io::Error },
    #[error(
        "The script left more than {MAX_FILES} files in TMP_OUTPUT_DIR; pack them into an archive."
    )]
    TooMany,
    #[error("The output file {0:?} has a name that is not UTF-8; object keys must be.")]
    NotUtf8(String),
    #[error("The output {key:?} has a key of {} bytes; an object store takes at most {MAX_KEY}.", key.len())]
    KeyTooLong { key: String },
    #[error("TMP_OUTPUT_DIR is no folder any more: the script put something else in its place.")]
    Replaced,
}

/// Walks the output folder of a run, and decides for each file where it goes and how. Blocking.
pub(crate) fn collect(
    folder: &Path,
    outputs: &[StorageIo],
) -> Result<Vec<Collected>, CollectError> {
    if outputs.is_empty() {
        return Ok(Vec::new());
    }
    let mut inline_left = MAX_INLINE;
    let mut collected = Vec::new();
    for Found { path, name, size } in walk(folder)? {
        let mut places = Vec::new();
        for output in outputs.iter().filter(|output| output.accepts(&name)) {
            places.push(place(output, &name)?);
        }
        if places.is_empty() {
            continue;
        }
        let inline_size = size.saturating_mul(places.len() as u64);
        let source = if size <= INLINE_BYTES && inline_size <= inline_left {
            inline_left -= inline_size;
            Source::Inline
        } else {
            Source::Blob
        };
        collected.push(Collected {
            path,
            size,
            content_type: content_type::guess(&name),
            source,
            places,
        });
    }
    Ok(collected)
}

/// Place of a file in one output. What is not in the built-in store is brought there by the gateway: no credential comes
/// to a node.
fn place(output: &StorageIo, name: &str) -> Result<Place, CollectError> {
    let (kind, id) = output.provider();
    let (bucket, folder) = match kind {
        "minio" | "s3" => output.bucket_and_folder(),
        _ => ("", output.path.as_str()),
    };
    let folder = folder.trim_matches('/');
    let key = if folder.is_empty() {
        name.to_owned()
    } else {
        format!("{folder}/{name}")
    };
    if key.len() > MAX_KEY {
        return Err(CollectError::KeyTooLong { key });
    }
    let provider = if output.is_built_in() {
        String::new()
    } else {
        format!("{kind}.{id}")
    };
    Ok(Place {
        provider,
        bucket: bucket.to_owned(),
        key,
    })
}

struct Found {
    path: PathBuf,
    /// Below the output folder, with `/` between sub-folders.
    name: String,
    size: u64,
}

/// All regular files, by name. Links are neither followed nor taken.
fn walk(root: &Path) -> Result<Vec<Found>, CollectError> {
    let wrong = |path: &Path| {
        let path = path
            .strip_prefix(root)
            .unwrap_or(path)
            .display()
            .to_string();
        move |source| CollectError::Io { path, source }
    };
    if !fs::symlink_metadata(root).is_ok_and(|about| about.is_dir()) {
        return Err(CollectError::Replaced);
    }
    let mut found = Vec::new();
    let mut seen = 0;
    let mut folders = vec![(root.to_owned(), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(wrong(&folder))? {
            let entry = entry.map_err(wrong(&folder))?;
            let path = entry.path();
            let about = entry.metadata().map_err(wrong(&path))?;
            seen += 1;
            if seen > MAX_FILES {
                return Err(CollectError::TooMany);
            }
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                return Err(CollectError::NotUtf8(format!(
                    "{prefix}{}",
                    name.to_string_lossy()
                )));
            };
            let name = format!("{prefix}{name}");
            if about.is_dir() {
                folders.push((path, format!("{name}/")));
            } else if about.is_file() {
                found.push(Found {
                    path,
                    name,
                    size: about.len(),
                });
            }
        }
    }
    found.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

#[cfg(test)]
mod tests;
