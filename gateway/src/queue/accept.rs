//! How jobs come into being.

use rusqlite::{Connection, OptionalExtension, params};
use spillway_model::event::{StagedInput, stage};
use spillway_model::service::{Service, split_provider};
use uuid::Uuid;

use super::catalog::{Catalog, Entry};
use super::cause::{CallCause, CallInput, Cause, ObjectCause};
use super::rows::{self, NewJob};
use super::{Arrival, CreatedObject, DirectCall, Queue, QueuedJob, Shared, reach, timestamp};
use crate::intake;
use crate::objects::{self, NewBlob, ObjectError};
use crate::store::StoreError;

/// Bodies up to this many bytes sit in the row; larger ones in a blob, unless they are events.
const BODY_IN_ROW: usize = 16 * 1024;

/// Names of services with so many characters or more are cut in the names of their jobs …
const LONG_NAME: usize = 25;

/// … to so many.
const CUT_NAME: usize = 16;

/// Why a call was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error("{0} jobs are unfinished, which is the limit; try again when some are done")]
    Full(u64),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Adds a job for each service that the object triggers.
pub(super) fn trigger(
    db: &Connection,
    created: &CreatedObject,
    catalog: &Catalog,
    epoch: i64,
    now_ms: i64,
) -> Result<Vec<QueuedJob>, StoreError> {
    if created.key.ends_with('/') {
        return Ok(Vec::new()); // A folder's marker.
    }
    let mut statement = db
        .prepare_cached("SELECT prefix, suffix, events, service FROM triggers WHERE bucket = ?1")?;
    let mut rows = statement.query([&created.bucket])?;
    let mut services: Vec<String> = Vec::new();
    while let Some(row) = rows.next()? {
        let text = |column| Ok::<_, rusqlite::Error>(row.get_ref(column)?.as_str().unwrap_or("/"));
        if created.key.starts_with(text(0)?)
            && created.key.ends_with(text(1)?)
            && objects::listens(text(2)?, created.event)
        {
            let service: String = row.get(3)?;
            let entry = catalog.get(&service).map(|entry| &**entry);
            if !services.contains(&service) && reach::may_hear(db, entry, &created.bucket)? {
                services.push(service);
            }
        }
    }
    let accept = |service: &String| {
        let cause = ObjectCause {
            provider: String::new(),
            folder: String::new(),
            bucket: created.bucket.clone(),
            key: created.key.clone(),
            size: created.size,
            etag: created.etag.clone(),
            content_type: created.content_type.clone(),
            event: created.event.to_owned(),
            principal: created.principal.clone(),
            source_ip: created.source_ip.clone(),
            user_agent: created.user_agent.clone(),
            time: created.time,
        };
        let job = NewJob {
            name: job_name(service),
            service,
            priority: catalog.get(service).map_or(0, |entry| entry.priority),
            owner: &created.principal,
            cause: Cause::Object(cause),
            blob: Some(created.blob),
            epoch,
            now_ms,
        };
        rows::insert(db, job)
    };
    services.iter().map(accept).collect()
}

/// Accepts a call and announces its job, unless it is known already.
pub(super) async fn call(queue: &Queue, call: DirectCall) -> Result<QueuedJob, CallError> {
    let (shared, catalog) = (&*queue.0, queue.catalog());
    if call.name.is_none()
        && let Some(limit) = queue.exhausted()
    {
        return Err(CallError::Full(limit)); // Before its body is written anywhere.
    }
    let entry = catalog.get(&call.service).cloned();
    let staged = match &entry {
        Some(entry) => stage(&call.body, &entry.service),
        None => stage(&call.body, &Service::default()),
    };
    let is_event = !matches!(staged.input, StagedInput::Content { .. });
    let in_row = call.body.len() <= BODY_IN_ROW || is_event;
    let (body, blob) = match String::from_utf8(call.body) {
        Ok(text) if in_row => (Some(text), None),
        Ok(text) => (None, Some(receive(shared, text.into_bytes()).await?)),
        Err(error) => (None, Some(receive(shared, error.into_bytes()).await?)),
    };
    let (epoch, now_ms) = (shared.epoch, shared.settings.clock.now_ms());
    let priority = entry.as_ref().map_or(0, |entry| entry.priority);
    let name = call.name.filter(|name| is_usable(name));
    let (store, room) = (shared.store.clone(), shared.room.clone());
    let write = async move {
        store
            .write(move |db| {
                if let Some(name) = &name
                    && let Some(job) = find(db, name, &call.service)?
                {
                    return Ok::<_, CallError>((job, Accepted::Before, blob));
                }
                if let Some(limit) = room.exhausted() {
                    return Err(CallError::Full(limit));
                }
                if let Some(blob) = &blob {
                    blob.insert(db)?;
                }
                let (input, pinned) = input(db, staged.input, &call.caller, entry.as_deref())?;
                let far = match &input {
                    CallInput::Remote {
                        provider,
                        bucket,
                        key,
                    } => Some((provider.clone(), bucket.clone(), key.clone())),
                    _ => None,
                };
                let job = NewJob {
                    name: name.unwrap_or_else(|| job_name(&call.service)),
                    service: &call.service,
                    priority,
                    owner: &call.caller,
                    cause: Cause::Call(CallCause {
                        body,
                        time: timestamp(now_ms),
                        input,
                    }),
                    blob: blob.as_ref().map(|blob| blob.id).or(pinned),
                    epoch,
                    now_ms,
                };
                let job = rows::insert(db, job)?;
                if let Some((provider, bucket, key)) = far {
                    intake::insert(db, job.id, &provider, &bucket, &key, now_ms)?;
                    return Ok((job, Accepted::ToFetch, blob));
                }
                Ok((job, Accepted::Ready, blob))
            })
            .await
    };
    let queue = queue.clone();
    // On its own task: whoever called may hang up between the commit and the moment the job is announced.
    let accepted = shared.tasks.spawn(async move {
        let (job, accepted, blob) = write.await?;
        match accepted {
            Accepted::Before => (),
            Accepted::Ready => {
                blob.into_iter().for_each(NewBlob::keep);
                queue.announce(vec![job.clone()]);
            }
            Accepted::ToFetch => {
                blob.into_iter().for_each(NewBlob::keep);
                queue.0.room.add(1);
                queue.errands().fetches.notify_one();
            }
        }
        Ok(job)
    });
    accepted
        .await
        .unwrap_or(Err(CallError::Store(StoreError::Closed)))
}

/// How a call was taken.
enum Accepted {
    /// Its job is there already.
    Before,
    Ready,
    /// Its input has to be fetched from elsewhere first.
    ToFetch,
}

/// Accepts a file that was fetched from a watched folder, and announces its job. `mark` notes in the same transaction
/// that it was seen; when that says no, or the queue is full, there is no job.
pub(super) async fn arrive(
    queue: &Queue,
    arrival: Arrival,
    blob: NewBlob,
    mark: impl FnOnce(&Connection) -> Result<bool, StoreError> + Send + 'static,
) -> Result<Option<String>, StoreError> {
    let shared = &*queue.0;
    let priority = queue
        .definition(&arrival.service)
        .map_or(0, |entry| entry.priority);
    let (epoch, now_ms) = (shared.epoch, shared.settings.clock.now_ms());
    let (store, room) = (shared.store.clone(), shared.room.clone());
    let write = async move {
        store
            .write(move |db| {
                if room.exhausted().is_some() || !mark(db)? {
                    return Ok::<_, StoreError>(None);
                }
                blob.insert(db)?;
                let cause = ObjectCause {
                    provider: arrival.provider,
                    folder: arrival.folder,
                    bucket: arrival.bucket,
                    key: arrival.key,
                    size: blob.size,
                    etag: arrival.etag,
                    content_type: arrival.content_type,
                    event: "s3:ObjectCreated:Put".to_owned(),
                    principal: arrival.owner.clone(),
                    source_ip: "127.0.0.1".to_owned(),
                    user_agent: concat!("spillway/", env!("CARGO_PKG_VERSION")).to_owned(),
                    time: arrival.time,
                };
                let job = NewJob {
                    name: job_name(&arrival.service),
                    service: &arrival.service,
                    priority,
                    owner: &arrival.owner,
                    cause: Cause::Object(cause),
                    blob: Some(blob.id),
                    epoch,
                    now_ms,
                };
                Ok(Some((rows::insert(db, job)?, blob)))
            })
            .await
    };
    let queue = queue.clone();
    // On its own task: watching may end between the commit and the moment the job is announced.
    let accepted = shared.tasks.spawn(async move {
        let Some((job, blob)) = write.await? else {
            return Ok(None);
        };
        blob.keep();
        let name = job.name.clone();
        queue.announce(vec![job]);
        Ok(Some(name))
    });
    accepted.await.unwrap_or(Err(StoreError::Closed))
}

async fn receive(shared: &Shared, body: Vec<u8>) -> Result<NewBlob, StoreError> {
    shared
        .blobs
        .receive_bytes(body)
        .await
        .map_err(|error| match error {
            ObjectError::Store(error) => error,
            other => StoreError::Commit(format!("the body of the call could not be kept: {other}")),
        })
}

/// The input of a call and, if it is an object of ours, the blob that is its content now.
fn input(
    db: &Connection,
    staged: StagedInput,
    caller: &str,
    entry: Option<&Entry>,
) -> Result<(CallInput, Option<i64>), StoreError> {
    Ok(match staged {
        StagedInput::None => (CallInput::None, None),
        StagedInput::Content { file_name, bytes } => (
            CallInput::Body {
                name: file_name,
                size: bytes.len() as u64,
            },
            None,
        ),
        StagedInput::Object {
            provider,
            bucket,
            key,
            ..
        } if !is_own(entry, &provider) => (elsewhere(entry, provider, bucket, key), None),
        StagedInput::Object { bucket, key, .. }
            if !reach::may_read(db, caller, entry, &bucket)? =>
        {
            let message = format!(
                "whoever made the call has no access to the bucket '{bucket}' (object '{key}')"
            );
            (CallInput::Missing { message }, None)
        }
        StagedInput::Object { bucket, key, .. } => {
            let object = objects::find_object(db, &bucket, &key).map_err(|error| match error {
                ObjectError::Store(error) => error,
                other => StoreError::Commit(other.to_string()),
            })?;
            if let Some(object) = object {
                (
                    CallInput::Object {
                        bucket,
                        key,
                        size: object.size,
                    },
                    Some(object.blob),
                )
            } else {
                let message = format!("the object '{key}' does not exist in the bucket '{bucket}'");
                (CallInput::Missing { message }, None)
            }
        }
    })
}

fn is_own(entry: Option<&Entry>, provider: &str) -> bool {
    let (kind, id) = split_provider(provider);
    match entry {
        Some(entry) => entry.service.is_own_provider(kind, id),
        None => Service::default().is_own_provider(kind, id),
    }
}

/// The input of a call whose file is not in the built-in store. Credentials come from the definition, never from the event.
fn elsewhere(entry: Option<&Entry>, provider: String, bucket: String, key: String) -> CallInput {
    let (kind, id) = split_provider(&provider);
    if !entry.is_some_and(|entry| entry.service.storage_providers.defines(kind, id)) {
        let message = format!(
            "the input '{key}' is in the storage '{provider}', which the service does not define; add it to storage_providers"
        );
        return CallInput::Missing { message };
    }
    if !matches!(kind, "minio" | "s3" | "webdav" | "onedata") {
        let message = format!(
            "the input '{key}' is in '{provider}', from which this version fetches nothing; give the service an input of a webdav provider that holds the files, or file_stage_in: true to work from the event"
        );
        return CallInput::Missing { message };
    }
    CallInput::Remote {
        provider,
        bucket,
        key,
    }
}

fn find(db: &Connection, name: &str, service: &str) -> Result<Option<QueuedJob>, StoreError> {
    let found: Option<(i64, String)> = db
        .prepare_cached("SELECT id, service FROM jobs WHERE name = ?1")?
        .query_row(params![name], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match found {
        None => Ok(None),
        Some((id, owner)) if owner == service => Ok(Some(QueuedJob {
            id,
            name: name.to_owned(),
            service: service.to_owned(),
            owner: String::new(),
            priority: 0,
            ready_ms: 0,
            stored: None,
        })),
        Some(_) => Err(StoreError::Commit(format!(
            "a job with the name '{name}' belongs to another service"
        ))),
    }
}

/// Names end up in paths and file names.
fn is_usable(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=128).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(is_plain)
}

fn job_name(service: &str) -> String {
    let stem = if service.len() >= LONG_NAME {
        service.get(..CUT_NAME).unwrap_or(service)
    } else {
        service
    };
    format!("{stem}-{}", Uuid::new_v4())
}
