//! Rows of objects: inside a write or a read, nothing here waits.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row};

use super::blobs::{release, retain, signed, unsigned};
use super::{Actor, Effects, ObjectError, buckets, keys};
use crate::queue::{CreatedObject, Queue};

/// Headers that S3 keeps with an object and gives back, besides the user's `x-amz-meta-…`.
pub(crate) const KEPT_HEADERS: [&str; 5] = [
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
];

/// An object about to be written.
#[derive(Debug, Clone)]
pub struct NewObject {
    pub bucket: String,
    pub key: String,
    /// Without quotes.
    pub etag: String,
    pub content_type: String,
    /// By header name: the user's (`x-amz-meta-…`), those S3 keeps (`cache-control`, …), checksums.
    pub metadata: BTreeMap<String, String>,
    /// See [`CreatedObject`].
    pub event: &'static str,
    pub principal: String,
    pub source_ip: String,
    pub user_agent: String,
}

/// An object that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    pub key: String,
    pub blob: i64,
    /// Bytes.
    pub size: u64,
    /// Without quotes.
    pub etag: String,
    pub content_type: String,
    /// See [`NewObject`].
    pub metadata: BTreeMap<String, String>,
    pub modified: Timestamp,
}

const COLUMNS: &str = "key, blob, size, etag, content_type, metadata, modified_ms";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Object> {
    let metadata: String = row.get(5)?;
    Ok(Object {
        key: row.get(0)?,
        blob: row.get(1)?,
        size: unsigned(row.get(2)?),
        etag: row.get(3)?,
        content_type: row.get(4)?,
        metadata: serde_json::from_str(&metadata).unwrap_or_default(),
        modified: Timestamp::from_millisecond(row.get(6)?).unwrap_or_default(),
    })
}

/// The object, if bucket and object exist; says which of the two does not.
pub fn get(db: &Connection, bucket: &str, key: &str) -> Result<Object, ObjectError> {
    if let Some(object) = find(db, bucket, key)? {
        return Ok(object);
    }
    require_bucket(db, bucket)?;
    Err(ObjectError::NoSuchKey {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
    })
}

/// The object, if there is one.
pub fn find(db: &Connection, bucket: &str, key: &str) -> Result<Option<Object>, ObjectError> {
    let sql = format!("SELECT {COLUMNS} FROM objects WHERE bucket = ?1 AND key = ?2");
    Ok(db
        .prepare_cached(&sql)?
        .query_row((bucket, key), from_row)
        .optional()?)
}

/// Fails with [`ObjectError::NoSuchBucket`].
pub(crate) fn require_bucket(db: &Connection, bucket: &str) -> Result<(), ObjectError> {
    let found = db
        .prepare_cached("SELECT 1 FROM buckets WHERE name = ?1")?
        .query_row([bucket], |_| Ok(()))
        .optional()?;
    found.ok_or_else(|| ObjectError::NoSuchBucket(bucket.to_owned()))
}

/// Inside a write: makes the object visible, replacing its predecessor, and queues the jobs it triggers. The blob
/// must have its row. The caller announces the effects after the commit. Refused with [`ObjectError::TooManyJobs`] if it
/// would start a job and too many are unfinished.
pub fn put_object(
    db: &Connection,
    queue: &Queue,
    object: &NewObject,
    blob: i64,
) -> Result<Effects, ObjectError> {
    refuse_too_many(queue, put_output(db, queue, object, blob)?)
}

fn refuse_too_many(queue: &Queue, effects: Effects) -> Result<Effects, ObjectError> {
    match queue.exhausted() {
        Some(limit) if !effects.jobs.is_empty() => Err(ObjectError::TooManyJobs(limit)),
        _ => Ok(effects),
    }
}

/// The same for what a job has made, which is not refused: it would be lost.
pub(crate) fn put_output(
    db: &Connection,
    queue: &Queue,
    object: &NewObject,
    blob: i64,
) -> Result<Effects, ObjectError> {
    let now = Timestamp::now();
    let size = put_silently(db, object, blob, now)?;
    let created = CreatedObject {
        bucket: object.bucket.clone(),
        key: object.key.clone(),
        blob,
        size,
        etag: object.etag.clone(),
        content_type: object.content_type.clone(),
        event: object.event,
        principal: object.principal.clone(),
        source_ip: object.source_ip.clone(),
        user_agent: object.user_agent.clone(),
        time: now,
    };
    Ok(Effects {
        jobs: queue.trigger(db, &created)?,
        happened: vec![created],
    })
}

/// The same without any job. Returns the size in bytes.
pub(crate) fn put_silently(
    db: &Connection,
    object: &NewObject,
    blob: i64,
    now: Timestamp,
) -> Result<u64, ObjectError> {
    keys::check_key(&object.key)?;
    require_bucket(db, &object.bucket)?;
    // Before the old one goes: it may be the same blob.
    retain(db, blob)?;
    let size: i64 = db
        .prepare_cached("SELECT size FROM blobs WHERE id = ?1")?
        .query_row([blob], |row| row.get(0))?;
    let before: Option<(i64, i64)> = db
        .prepare_cached("SELECT blob, size FROM objects WHERE bucket = ?1 AND key = ?2")?
        .query_row((&object.bucket, &object.key), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let metadata = serde_json::to_string(&object.metadata).unwrap_or_else(|_| "{}".to_owned());
    db.prepare_cached(
        "INSERT OR REPLACE INTO objects (bucket, key, blob, size, etag, content_type, metadata, modified_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute((
        &object.bucket,
        &object.key,
        blob,
        size,
        &object.etag,
        &object.content_type,
        metadata,
        now.as_millisecond(),
    ))?;
    match before {
        None => buckets::use_more(db, &object.bucket, 1, size)?,
        Some((blob, was)) => {
            if size != was {
                buckets::use_more(db, &object.bucket, 0, size - was)?;
            }
            release(db, blob)?;
        }
    }
    Ok(unsigned(size))
}

/// Inside a write: deletes the object, if there is one, and queues the jobs that listen to that: their input is what
/// the object was.
pub(crate) fn delete(
    db: &Connection,
    queue: &Queue,
    bucket: &str,
    key: &str,
    who: &Actor,
) -> Result<Effects, ObjectError> {
    let Some(object) = find(db, bucket, key)? else {
        return Ok(Effects::default());
    };
    db.prepare_cached("DELETE FROM objects WHERE bucket = ?1 AND key = ?2")?
        .execute((bucket, key))?;
    buckets::use_more(db, bucket, -1, -signed(object.size))?;
    let removed = CreatedObject {
        bucket: bucket.to_owned(),
        key: object.key,
        blob: object.blob,
        size: object.size,
        etag: object.etag,
        content_type: object.content_type,
        event: "s3:ObjectRemoved:Delete",
        principal: who.principal.clone(),
        source_ip: who.source_ip.clone(),
        user_agent: who.user_agent.clone(),
        time: Timestamp::now(),
    };
    // The jobs take their references before the object's goes.
    let jobs = queue.trigger(db, &removed)?;
    release(db, object.blob)?;
    let effects = Effects {
        jobs,
        happened: vec![removed],
    };
    refuse_too_many(queue, effects)
}

/// Inside a write: replaces what is kept beside the content.
pub(crate) fn set_metadata(
    db: &Connection,
    bucket: &str,
    key: &str,
    metadata: &BTreeMap<String, String>,
) -> Result<(), ObjectError> {
    let metadata = serde_json::to_string(metadata).unwrap_or_else(|_| "{}".to_owned());
    db.prepare_cached("UPDATE objects SET metadata = ?3 WHERE bucket = ?1 AND key = ?2")?
        .execute((bucket, key, metadata))?;
    Ok(())
}

/// Rows of a bucket in the order of their keys, from `from` (after it, unless `inclusive`) to before `until`.
/// Stops when `take` says so.
pub(super) fn scan(
    db: &Connection,
    bucket: &str,
    from: &str,
    inclusive: bool,
    until: Option<&str>,
    mut take: impl FnMut(Object) -> bool,
) -> Result<(), ObjectError> {
    let lower = if inclusive { ">=" } else { ">" };
    let upper = if until.is_some() {
        "AND key < ?3"
    } else {
        "AND ?3 IS NULL"
    };
    let sql = format!(
        "SELECT {COLUMNS} FROM objects WHERE bucket = ?1 AND key {lower} ?2 {upper} ORDER BY key"
    );
    let mut query = db.prepare_cached(&sql)?;
    let mut rows = query.query((bucket, from, until))?;
    while let Some(row) = rows.next()? {
        if !take(from_row(row)?) {
            break;
        }
    }
    Ok(())
}
