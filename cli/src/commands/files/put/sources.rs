//! Which file goes under which key.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use spillway_storage::ObjectPath;

use super::Put;
use crate::commands::files::target::Target;
use crate::exit::CommandError;

/// One file on its way.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Upload {
    pub(super) source: Source,
    pub(super) path: ObjectPath,
}

/// Where the bytes come from.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Source {
    Stdin,
    File(PathBuf),
}

/// Finds all files before the first byte moves, so that a mistake in the last one leaves nothing half done.
pub(super) fn plan(put: &Put, target: &Target) -> anyhow::Result<Vec<Upload>> {
    let folder = target.path.key.is_empty() || target.path.key.ends_with('/');
    let usage = |text: String| anyhow::Error::from(CommandError::Usage(text));
    if put.name.is_some() && put.files.len() > 1 {
        return Err(usage("--name is for one file".into()));
    }
    if !folder && (put.files.len() > 1 || put.recursive) {
        return Err(usage(format!(
            "{} names one object; end it with a slash to put several files there: {}/",
            put.target, put.target
        )));
    }
    let mut uploads = Vec::new();
    for file in &put.files {
        let key = |name: &str| match (&put.name, folder) {
            (Some(name), true) => format!("{}{name}", target.path.key),
            (None, true) => format!("{}{name}", target.path.key),
            (_, false) => target.path.key.clone(),
        };
        let at = |key: String| ObjectPath::new(target.path.bucket.clone(), key);
        if file == Path::new("-") {
            if folder && put.name.is_none() {
                return Err(usage(
                    "standard input has no name of its own; give it one with --name".into(),
                ));
            }
            uploads.push(Upload {
                source: Source::Stdin,
                path: at(key("")),
            });
            continue;
        }
        let about = fs::metadata(file).with_context(|| format!("looking at {}", file.display()))?;
        let name = if folder && put.name.is_none() {
            name_of(file)?
        } else {
            String::new()
        };
        if !about.is_dir() {
            uploads.push(Upload {
                source: Source::File(file.clone()),
                path: at(key(&name)),
            });
        } else if put.recursive {
            walk(file, &key(&name), &mut |source, key| {
                uploads.push(Upload {
                    source: Source::File(source),
                    path: at(key),
                });
            })?;
        } else {
            return Err(usage(format!(
                "{} is a folder; say --recursive to upload what is in it",
                file.display()
            )));
        }
    }
    Ok(uploads)
}

/// Calls `found` for every file below `folder`. Links to folders are not followed: they may lead in circles.
fn walk(folder: &Path, key: &str, found: &mut dyn FnMut(PathBuf, String)) -> anyhow::Result<()> {
    let reading = || format!("reading the folder {}", folder.display());
    let mut entries = fs::read_dir(folder)
        .with_context(reading)?
        .collect::<Result<Vec<_>, _>>()
        .with_context(reading)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let key = format!("{key}/{}", name_of(&path)?);
        if entry.file_type()?.is_dir() {
            walk(&path, &key, found)?;
        } else if fs::metadata(&path).is_ok_and(|about| about.is_file()) {
            found(path, key);
        }
    }
    Ok(())
}

fn name_of(path: &Path) -> anyhow::Result<String> {
    let whole = if path.file_name().is_none() {
        path.canonicalize()?
    } else {
        path.to_owned()
    };
    let name = whole
        .file_name()
        .with_context(|| format!("{} has no name", path.display()))?;
    let Some(name) = name.to_str() else {
        let text = format!(
            "the name of {} is not UTF-8; give it another one with --name",
            path.display()
        );
        return Err(CommandError::Usage(text).into());
    };
    Ok(name.to_owned())
}

/// What the ending of a name says about the content.
pub(super) fn content_type(key: &str) -> &'static str {
    let ending = key
        .rsplit_once('.')
        .map_or("", |(_, ending)| ending)
        .to_ascii_lowercase();
    match ending.as_str() {
        "txt" | "log" | "md" => "text/plain",
        "csv" => "text/csv",
        "html" | "htm" => "text/html",
        "json" => "application/json",
        "yaml" | "yml" => "application/yaml",
        "xml" => "application/xml",
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        "gz" | "tgz" => "application/gzip",
        "tar" => "application/x-tar",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "svg" => "image/svg+xml",
        "tif" | "tiff" => "image/tiff",
        "wav" => "audio/wav",
        "mp3" => "audio/mpeg",
        "ogg" => "audio/ogg",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        _ => "application/octet-stream",
    }
}
