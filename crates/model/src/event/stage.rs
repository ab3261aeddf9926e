//! What a job gets from its event: the input file, variables, and the event's text.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;
use uuid::Uuid;

use super::{Event, StorageEvent, recognise};
use crate::service::{DEFAULT_PROVIDER, Service, StorageIo, StringMap, split_provider};

/// Clients differ in the unused bits at the end; all of them pad.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// Longest file name, in bytes, on every file system of interest.
const LONGEST_FILE_NAME: usize = 255;

/// Id of the provider that dCache's events belong to, literally.
const DCACHE: &str = "dcache";

/// What a job gets from its event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staged {
    /// The input.
    pub input: StagedInput,
    /// `STORAGE_OBJECT_KEY`, `EVENT_TIME`, `CONT_VAR_*`; none of them empty.
    pub environment: StringMap,
    /// What the script finds as the event.
    pub event_text: String,
}

/// The input of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StagedInput {
    /// There is none: the service works from the event (`file_stage_in: true`).
    None,
    /// An object to fetch.
    Object {
        /// `<type>.<id>`, such as `minio.default`.
        provider: String,
        /// Bucket, space or scope; empty where the provider has no such thing.
        bucket: String,
        /// Key in the bucket, or path of the file.
        key: String,
        /// Name of the file the script gets, without folders.
        file_name: String,
    },
    /// The event itself.
    Content {
        /// `event-file-<uuid>`.
        file_name: String,
        bytes: Vec<u8>,
    },
}

/// Works out what the body of an event means for a job of a (normalised) service.
pub fn stage(raw: &[u8], service: &Service) -> Staged {
    let mut environment = StringMap::new();
    let mut text = String::from_utf8_lossy(raw).into_owned();
    let mut event = recognise(raw);
    // Out of the wrappers. A stored object's event is shown to the script bare; anything else as it came.
    let mut bare = text.clone();
    let event = loop {
        event = match event {
            Event::Delegated { text, inner, .. } => {
                bare = text;
                *inner
            }
            Event::ApiGateway {
                variables,
                text,
                inner,
            } => {
                environment.extend(variables);
                bare = text;
                *inner
            }
            event => break event,
        }
    };
    let input = match event {
        Event::Storage(StorageEvent {
            provider,
            bucket,
            key,
            time,
        }) => {
            text = bare;
            environment.insert("STORAGE_OBJECT_KEY".to_owned(), key.clone());
            environment.insert("EVENT_TIME".to_owned(), time);
            object(source(service, provider, &bucket, &key), bucket, key)
        }
        Event::OneData { space, path, time } => {
            environment.insert("STORAGE_OBJECT_KEY".to_owned(), format!("/{space}/{path}"));
            environment.insert("EVENT_TIME".to_owned(), time);
            let providers = &service.storage_providers.onedata;
            let known = providers
                .iter()
                .find(|(_, provider)| provider.space == space);
            let found = known
                .filter(|_| stays_below(&path))
                .map(|(id, _)| object(format!("onedata.{id}"), space, path));
            text = bare;
            found.unwrap_or_else(|| content(text.clone().into_bytes()))
        }
        Event::DCache { name } => {
            let found = webdav(service).filter(|_| stays_below(&name)).map(|input| {
                let (_, id) = input.provider();
                let path = format!("{}/{name}", input.path);
                environment.insert("STORAGE_OBJECT_KEY".to_owned(), path.clone());
                object(format!("webdav.{id}"), String::new(), path)
            });
            found.unwrap_or_else(|| content(bare.into_bytes()))
        }
        Event::Rucio { scope, name } => {
            // The storage behind Rucio is reached as `WebDAV`, where the definition says how.
            let folder = webdav(service).filter(|_| stays_below(&name));
            if let Some(input) = folder {
                let (_, id) = input.provider();
                let path = format!("{}/{name}", input.path);
                environment.insert("STORAGE_OBJECT_KEY".to_owned(), path.clone());
                object(format!("webdav.{id}"), String::new(), path)
            } else {
                let input = service
                    .input
                    .iter()
                    .map(StorageIo::provider)
                    .find(|(kind, _)| *kind == "rucio");
                let id = input.map_or("default", |(_, id)| id);
                object(format!("rucio.{id}"), scope, name)
            }
        }
        // The loop above leaves no wrapper.
        Event::Delegated { .. } | Event::ApiGateway { .. } => content(raw.to_vec()),
        Event::Unknown { raw } => content(bytes_of(raw)),
    };
    let input = if service.file_stage_in {
        StagedInput::None
    } else {
        input
    };
    environment.retain(|name, value| {
        !value.is_empty() && !value.contains('\0') && !name.contains(['=', '\0'])
    });
    Staged {
        input,
        environment,
        event_text: text,
    }
}

/// The input that dCache's events belong to: the one of `webdav.dcache`, or else the only one of `WebDAV`.
fn webdav(service: &Service) -> Option<&StorageIo> {
    let all = || {
        service
            .input
            .iter()
            .filter(|input| input.provider().0 == "webdav")
    };
    all()
        .find(|input| input.provider().1 == DCACHE)
        .or_else(|| all().next().filter(|_| all().count() == 1))
}

/// The provider of an object that an event names. A store says nothing of how a definition calls it, so what is said to be
/// in the default one is looked for among the inputs, by bucket and folder.
fn source(service: &Service, provider: String, bucket: &str, key: &str) -> String {
    let (kind, id) = split_provider(&provider);
    if id != DEFAULT_PROVIDER {
        return provider;
    }
    let is_of = |input: &&StorageIo| {
        let (folder_bucket, folder) = input.bucket_and_folder();
        let below = key.strip_prefix(folder.trim_matches('/'));
        input.provider().0 == kind
            && folder_bucket == bucket
            && (folder.is_empty() || below.is_some_and(|rest| rest.starts_with('/')))
    };
    let of = service.input.iter().filter(is_of);
    let ids: Vec<&str> = of.map(|input| input.provider().1).collect();
    let only = || {
        let mut all = service.storage_providers.s3.keys();
        all.next().filter(|_| kind == "s3" && all.next().is_none())
    };
    let defined = service.storage_providers.defines(kind, DEFAULT_PROVIDER);
    match ids.first() {
        Some(_) if ids.contains(&DEFAULT_PROVIDER) => provider,
        Some(id) => format!("{kind}.{id}"),
        None if defined => provider,
        None => only().map_or_else(|| provider.clone(), |id| format!("s3.{id}")),
    }
}

fn object(provider: String, bucket: String, key: String) -> StagedInput {
    let file_name = safe_file_name(&key);
    StagedInput::Object {
        provider,
        bucket,
        key,
        file_name,
    }
}

/// Whether a path that somebody sent stays in the folder it is meant for.
fn stays_below(path: &str) -> bool {
    path.split('/')
        .all(|segment| !matches!(segment, "" | "." | ".."))
        && !path.contains('\0')
}

fn content(bytes: Vec<u8>) -> StagedInput {
    StagedInput::Content {
        file_name: format!("event-file-{}", Uuid::new_v4()),
        bytes,
    }
}

/// JSON is the input as it is; other text is taken for base64, and for itself when it is none.
fn bytes_of(raw: Vec<u8>) -> Vec<u8> {
    if serde_json::from_slice::<Value>(&raw).is_ok() {
        return raw;
    }
    // Command line tools break base64 into lines.
    let compact: Vec<u8> = raw
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    BASE64.decode(compact).unwrap_or(raw)
}

/// Name of the input file for a key: its last segment. A key that ends in no usable name gets one that is, and a name
/// too long for a file system keeps its end, where the suffix is.
pub fn safe_file_name(key: &str) -> String {
    let last = key
        .trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or_default();
    if matches!(last, "" | "." | "..") || last.contains('\0') {
        return format!("object-{}", Uuid::new_v4());
    }
    let mut start = last.len().saturating_sub(LONGEST_FILE_NAME);
    while !last.is_char_boundary(start) {
        start += 1;
    }
    last[start..].to_owned()
}
