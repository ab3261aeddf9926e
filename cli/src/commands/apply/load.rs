//! An FDL file and its scripts, read from disk.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use spillway_model::fdl::{self, Fdl, FdlService, LARGEST_FILE};
use spillway_model::service::Service;

use crate::commands::Context;
use crate::exit::CommandError;

/// Largest script, in bytes: it travels inside the service's JSON.
const LARGEST_SCRIPT: u64 = 1024 * 1024;

/// One service of the file, complete.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Key above it in the file.
    pub(super) cluster_id: String,
    pub(super) service: Service,
}

/// Reads the file and all scripts it names, and tells every warning. Nothing is sent anywhere.
pub(super) fn load(
    context: &Context<'_>,
    file: &Path,
    name: Option<&str>,
) -> anyhow::Result<Vec<Wanted>> {
    let usage = |text: String| anyhow::Error::from(CommandError::Usage(text));
    let (shown, text) = read(file)?;
    let parsed = fdl::parse(&text).map_err(|error| {
        for warning in &error.warnings {
            context.screen.warn(warning.in_file(&shown));
        }
        usage(format!(
            "the file cannot be used:\n{}",
            error.in_file(&shown)
        ))
    })?;
    let Fdl {
        services,
        aws,
        warnings,
        ..
    } = parsed;
    for warning in &warnings {
        context.screen.warn(warning.in_file(&shown));
    }
    if !aws.is_empty() {
        context.screen.warn(format!(
            "{shown}: functions for AWS Lambda are left out: {}",
            aws.join(", ")
        ));
    }
    if name.is_some() && services.len() != 1 {
        return Err(usage(format!(
            "--name is for a file with one service; {shown} has {}",
            services.len()
        )));
    }
    let folder = file.parent().unwrap_or(Path::new(""));
    services
        .into_iter()
        .map(|service| {
            let cluster_id = service.cluster_id.clone();
            let mut service = with_script(service, folder, &shown)?;
            if let Some(name) = name {
                rename(&mut service, name);
            }
            Ok(Wanted {
                cluster_id,
                service,
            })
        })
        .collect()
}

/// The file's name for messages, and its text.
fn read(file: &Path) -> anyhow::Result<(String, String)> {
    let mut text = String::new();
    let limit = LARGEST_FILE as u64 + 1;
    let shown = if file == Path::new("-") {
        std::io::stdin()
            .lock()
            .take(limit)
            .read_to_string(&mut text)
            .context("reading standard input")?;
        "standard input".to_owned()
    } else {
        let shown = file.display().to_string();
        let opened = fs::File::open(file).map_err(|error| not_there(error, &shown))?;
        opened
            .take(limit)
            .read_to_string(&mut text)
            .with_context(|| format!("reading {shown}"))?;
        shown
    };
    if text.len() > LARGEST_FILE {
        return Err(CommandError::Usage(format!(
            "{shown} is larger than {LARGEST_FILE} bytes; is it an FDL file?"
        ))
        .into());
    }
    Ok((shown, text.replace("\r\n", "\n")))
}

fn with_script(service: FdlService, folder: &Path, shown: &str) -> anyhow::Result<Service> {
    let Some(script) = &service.script_file else {
        return Ok(service.service);
    };
    let path: PathBuf = folder.join(script);
    let place = service.script_place;
    let at = format!("{shown}:{}:{}", place.line, place.column);
    let named = || {
        format!(
            "{at}: reading the script {} of {:?}",
            path.display(),
            service.service.name
        )
    };
    let opened = match fs::File::open(&path) {
        Ok(opened) => opened,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(CommandError::Usage(format!(
                "{at}: there is no script {}; its path counts from the folder of the file",
                path.display()
            ))
            .into());
        }
        Err(error) => return Err(anyhow::Error::from(error).context(named())),
    };
    let mut text = String::new();
    opened
        .take(LARGEST_SCRIPT + 1)
        .read_to_string(&mut text)
        .with_context(named)?;
    if text.len() as u64 > LARGEST_SCRIPT {
        let text = format!(
            "{at}: the script {} is larger than {LARGEST_SCRIPT} bytes; put its data into the image",
            path.display()
        );
        return Err(CommandError::Usage(text).into());
    }
    Ok(service.with_script(text.replace("\r\n", "\n")))
}

fn not_there(error: std::io::Error, shown: &str) -> anyhow::Error {
    if error.kind() == std::io::ErrorKind::NotFound {
        return CommandError::Usage(format!("there is no file {shown}")).into();
    }
    anyhow::Error::from(error).context(format!("opening {shown}"))
}

/// Gives the service another name, and each bucket that is called like the old one (in any case) the same.
fn rename(service: &mut Service, name: &str) {
    let old = std::mem::replace(&mut service.name, name.to_owned());
    let ends = service
        .input
        .iter_mut()
        .chain(&mut service.output)
        .chain(std::iter::once(&mut service.mount));
    for end in ends {
        let path = end.path.trim_start_matches('/');
        let (bucket, rest) = path
            .split_once('/')
            .map_or((path, None), |(bucket, rest)| (bucket, Some(rest)));
        if bucket.eq_ignore_ascii_case(&old) {
            end.path = rest.map_or_else(|| name.to_owned(), |rest| format!("{name}/{rest}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use spillway_model::service::{Service, StorageIo};

    use super::rename;

    #[test]
    fn a_new_name_goes_into_the_buckets_that_had_the_old_one() {
        let end = |path: &str| StorageIo {
            path: path.into(),
            ..StorageIo::default()
        };
        let mut service = Service {
            name: "gray".into(),
            input: vec![end("Gray/in"), end("/gray/deep/in"), end("other/gray/in")],
            output: vec![end("gray"), end("grayish/out")],
            ..Service::default()
        };
        rename(&mut service, "blue");
        let paths: Vec<&str> = service
            .input
            .iter()
            .chain(&service.output)
            .map(|end| end.path.as_str())
            .collect();
        assert_eq!(service.name, "blue");
        assert_eq!(
            paths,
            [
                "blue/in",
                "blue/deep/in",
                "other/gray/in",
                "blue",
                "grayish/out"
            ]
        );
    }
}
