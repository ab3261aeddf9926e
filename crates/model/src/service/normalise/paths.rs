//! Inputs, outputs, mount and the providers they name.

use crate::nearest::did_you_mean;
use crate::service::storage::PROVIDER_TYPES;
use crate::service::{Service, SpecError, StorageIo};

/// Longest name of a bucket, in characters.
const LONGEST_BUCKET: usize = 63;

/// Longest path, in bytes: what S3 allows for a key.
const LONGEST_PATH: usize = 1024;

/// Which list an entry stands in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Input,
    Output,
}

/// Brings all paths into one form and checks them.
pub(super) fn normalise(service: &mut Service, problems: &mut Vec<SpecError>) {
    let name = service.name.clone();
    for (at, io) in service.input.iter_mut().enumerate() {
        entry(io, &name, Side::Input, &format!("input[{at}]"), problems);
    }
    for (at, io) in service.output.iter_mut().enumerate() {
        entry(io, &name, Side::Output, &format!("output[{at}]"), problems);
    }
    mount(&mut service.mount, problems);
    providers(service, problems);
}

fn entry(
    io: &mut StorageIo,
    service: &str,
    side: Side,
    field: &str,
    problems: &mut Vec<SpecError>,
) {
    io.storage_provider = io.storage_provider.trim().to_owned();
    let kind = match known_type(io) {
        Ok(kind) => kind,
        Err(message) => {
            return problems.push(SpecError::new(format!("{field}.storage_provider"), message));
        }
    };
    let path = io.path.trim();
    // A topic's slashes mean something; everywhere else those at the ends do not.
    let path = if kind == "mqtt" {
        path
    } else {
        path.trim_matches(|c: char| c == '/' || c.is_whitespace())
    };
    io.path = path.to_owned();
    if io.path.is_empty() {
        if kind != "rucio" {
            let word = if side == Side::Input {
                "input"
            } else {
                "output"
            };
            problems.push(SpecError::new(
                format!("{field}.path"),
                format!("{word} path cannot be empty"),
            ));
        }
        return;
    }
    if matches!(kind, "minio" | "s3") && !io.path.contains('/') {
        io.path = format!("{service}/{}", io.path);
    }
    let checked = match kind {
        "minio" | "s3" => bucket_path(io),
        "mqtt" => topic(&io.path, side),
        _ => folder(&io.path),
    };
    if let Err(message) = checked {
        problems.push(SpecError::new(format!("{field}.path"), message));
    }
}

fn known_type(io: &StorageIo) -> Result<&'static str, String> {
    let (kind, _) = io.provider();
    if kind.is_empty() {
        return Err("it is missing; expected a storage provider such as minio.default".to_owned());
    }
    PROVIDER_TYPES
        .into_iter()
        .find(|known| *known == kind)
        .ok_or_else(|| {
            let hint = did_you_mean(kind, PROVIDER_TYPES)
                .unwrap_or_else(|| format!("; expected one of {}", PROVIDER_TYPES.join(", ")));
            format!("{kind:?} is no type of storage provider{hint}")
        })
}

fn bucket_path(io: &StorageIo) -> Result<(), String> {
    let (bucket, _) = io.bucket_and_folder();
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    let ends = |c: char| c != '-' && c != '.';
    let fits = bucket.len() <= LONGEST_BUCKET
        && bucket.chars().all(inner)
        && bucket.starts_with(ends)
        && bucket.ends_with(ends);
    if !fits {
        return Err(format!(
            "{bucket:?} is no name of a bucket; use at most {LONGEST_BUCKET} lower-case letters, digits, \"-\" and \".\", with a letter or digit at both ends"
        ));
    }
    folder(&io.path)
}

fn folder(path: &str) -> Result<(), String> {
    if path.len() > LONGEST_PATH {
        return Err(format!(
            "it has {} bytes; at most {LONGEST_PATH} are possible",
            path.len()
        ));
    }
    if path.chars().any(char::is_control) {
        return Err(format!("{path:?} contains a control character"));
    }
    match path
        .split('/')
        .find(|segment| matches!(*segment, "" | "." | ".."))
    {
        Some("") => Err(format!("{path:?} has two slashes in a row")),
        Some(dots) => Err(format!("{path:?} contains {dots:?}; write the path out")),
        None => Ok(()),
    }
}

/// Checks an MQTT topic, which for inputs may be a filter.
fn topic(topic: &str, side: Side) -> Result<(), String> {
    if topic.len() > usize::from(u16::MAX) || topic.contains('\0') {
        return Err("it is too long for a topic, or contains a zero byte".to_owned());
    }
    let wild = topic.contains(['+', '#']);
    if side == Side::Output && wild {
        return Err(format!(
            "{topic:?} has a wildcard; results are published to one topic"
        ));
    }
    let levels: Vec<&str> = topic.split('/').collect();
    let misplaced = levels.iter().enumerate().any(|(at, level)| {
        let alone = level.len() == 1;
        (level.contains('+') && !alone)
            || (level.contains('#') && (!alone || at + 1 < levels.len()))
    });
    if misplaced {
        return Err(format!(
            "{topic:?} is no topic filter: \"+\" stands for one whole level, \"#\" only at the end for all below"
        ));
    }
    Ok(())
}

fn mount(io: &mut StorageIo, problems: &mut Vec<SpecError>) {
    io.storage_provider = io.storage_provider.trim().to_owned();
    if io.storage_provider.is_empty() {
        return;
    }
    let (kind, _) = io.provider();
    if !["minio", "s3", "webdav"].contains(&kind) {
        let message = format!("{kind:?} cannot be mounted; expected minio, s3 or webdav");
        problems.push(SpecError::new("mount.storage_provider", message));
    }
    io.path = io
        .path
        .trim_matches(|c: char| c == '/' || c.is_whitespace())
        .to_owned();
    if io.path.is_empty() {
        problems.push(SpecError::new(
            "mount.path",
            "it is missing; expected a bucket and a folder",
        ));
    } else if let Err(message) = folder(&io.path) {
        problems.push(SpecError::new("mount.path", message));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.:=,/ ".contains(c);
    if !io.options.chars().all(allowed) {
        problems.push(SpecError::new(
            "mount.options",
            "mount options contain invalid characters",
        ));
    }
}

/// Checks the edge extension's providers: their addresses are used long after creation, far away from the user.
fn providers(service: &Service, problems: &mut Vec<SpecError>) {
    for (id, provider) in &service.storage_providers.mqtt {
        let host = ["mqtt://", "mqtts://"]
            .iter()
            .find_map(|scheme| provider.broker.strip_prefix(scheme));
        if host.is_none_or(|host| host.is_empty() || host.starts_with([':', '/'])) {
            let message = format!(
                "{:?} is no address of a broker; expected mqtt://host:1883 or mqtts://host:8883",
                provider.broker
            );
            problems.push(SpecError::new(
                format!("storage_providers.mqtt.{id}.broker"),
                message,
            ));
        }
    }
    for (id, provider) in &service.storage_providers.file {
        let root = provider.root.as_str();
        let inner = root.trim_matches('/');
        if !root.starts_with('/') || inner.is_empty() || folder(inner).is_err() {
            let message = format!(
                "{root:?} is no folder; expected an absolute path such as \"/var/spool/camera\""
            );
            problems.push(SpecError::new(
                format!("storage_providers.file.{id}.root"),
                message,
            ));
        }
    }
}
