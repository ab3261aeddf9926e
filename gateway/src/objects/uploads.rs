//! Multipart uploads, inside a write or a read.
//!
//! Completing copies nothing: the object's blob is the list of its parts' blobs.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use md5::{Digest, Md5};
use rusqlite::{Connection, OptionalExtension, Row};

use super::blobs::{insert_pieces, release, retain, signed, unsigned};
use super::rows::{find, require_bucket};
use super::{Conditions, ObjectError, keys};

/// Least size of a part that is not the last, in bytes.
pub(super) const MIN_PART: u64 = 5 * 1024 * 1024;

/// Highest number of a part.
pub(super) const MAX_PARTS: i64 = 10_000;

/// Unfinished uploads at a time; further ones are refused until some are completed or aborted.
pub(super) const MAX_UPLOADS: i64 = 1_000;

/// Unfinished uploads that are older are aborted when a new one begins.
pub(super) const MAX_AGE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Old uploads that one new one aborts at most.
const EXPIRED_AT_A_TIME: i64 = 16;

/// An upload that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Upload {
    pub id: String,
    pub bucket: String,
    pub key: String,
    pub content_type: String,
    /// As in [`super::NewObject`].
    pub metadata: BTreeMap<String, String>,
    pub started: Timestamp,
}

/// A part that is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub number: i64,
    pub blob: i64,
    /// Bytes.
    pub size: u64,
    /// MD5 in hexadecimal.
    pub etag: String,
    pub modified: Timestamp,
    /// Base64, by header name.
    pub checksums: BTreeMap<String, String>,
}

/// What a completed upload becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Completed {
    pub(crate) upload: Upload,
    pub(crate) blob: i64,
    pub(crate) size: u64,
    /// MD5 of the parts' MD5s, and their number.
    pub(crate) etag: String,
    /// The parts that it is made of.
    pub(crate) parts: Vec<Part>,
}

const COLUMNS: &str = "id, bucket, key, content_type, metadata, started_ms";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Upload> {
    let metadata: String = row.get(4)?;
    Ok(Upload {
        id: row.get(0)?,
        bucket: row.get(1)?,
        key: row.get(2)?,
        content_type: row.get(3)?,
        metadata: serde_json::from_str(&metadata).unwrap_or_default(),
        started: Timestamp::from_millisecond(row.get(5)?).unwrap_or_default(),
    })
}

fn part_from_row(row: &Row<'_>) -> rusqlite::Result<Part> {
    Ok(Part {
        number: row.get(0)?,
        blob: row.get(1)?,
        size: unsigned(row.get(2)?),
        etag: row.get(3)?,
        modified: Timestamp::from_millisecond(row.get(4)?).unwrap_or_default(),
        checksums: serde_json::from_str(row.get_ref(5)?.as_str()?).unwrap_or_default(),
    })
}

/// Begins an upload.
pub(super) fn begin(db: &Connection, upload: &Upload) -> Result<(), ObjectError> {
    keys::check_key(&upload.key)?;
    require_bucket(db, &upload.bucket)?;
    let oldest = (upload.started - MAX_AGE).as_millisecond();
    let mut expired = db.prepare_cached("SELECT id FROM uploads WHERE started_ms < ?1 LIMIT ?2")?;
    let expired: Vec<String> = expired
        .query_map([oldest, EXPIRED_AT_A_TIME], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for id in expired {
        forget(db, &id)?;
    }
    let unfinished: i64 = db.query_row("SELECT count(*) FROM uploads", [], |row| row.get(0))?;
    if unfinished >= MAX_UPLOADS {
        return Err(ObjectError::TooManyUploads(MAX_UPLOADS));
    }
    let metadata = serde_json::to_string(&upload.metadata).unwrap_or_else(|_| "{}".to_owned());
    db.prepare_cached(
        "INSERT INTO uploads (id, bucket, key, content_type, metadata, started_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute((
        &upload.id,
        &upload.bucket,
        &upload.key,
        &upload.content_type,
        metadata,
        upload.started.as_millisecond(),
    ))?;
    Ok(())
}

/// The upload, if it is one of this key.
pub(super) fn get(
    db: &Connection,
    id: &str,
    bucket: &str,
    key: &str,
) -> Result<Upload, ObjectError> {
    let sql = format!("SELECT {COLUMNS} FROM uploads WHERE id = ?1 AND bucket = ?2 AND key = ?3");
    let upload = db
        .prepare_cached(&sql)?
        .query_row((id, bucket, key), from_row)
        .optional()?;
    if upload.is_none() {
        require_bucket(db, bucket)?;
    }
    upload.ok_or_else(|| ObjectError::NoSuchUpload(id.to_owned()))
}

/// Adds a part, replacing an earlier one of its number. Its blob must have its row.
pub(super) fn put_part(db: &Connection, upload: &str, part: &Part) -> Result<(), ObjectError> {
    retain(db, part.blob)?;
    let before: Option<i64> = db
        .prepare_cached("SELECT blob FROM parts WHERE upload = ?1 AND number = ?2")?
        .query_row((upload, part.number), |row| row.get(0))
        .optional()?;
    db.prepare_cached(
        "INSERT OR REPLACE INTO parts (upload, number, blob, size, etag, modified_ms, checksums)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute((
        upload,
        part.number,
        part.blob,
        signed(part.size),
        &part.etag,
        part.modified.as_millisecond(),
        serde_json::to_string(&part.checksums).unwrap_or_default(),
    ))?;
    if let Some(before) = before {
        release(db, before)?;
    }
    Ok(())
}

/// Parts in order, from after number `after`.
pub(super) fn parts(
    db: &Connection,
    upload: &str,
    after: i64,
    limit: i64,
) -> Result<Vec<Part>, ObjectError> {
    let mut query = db.prepare_cached(
        "SELECT number, blob, size, etag, modified_ms, checksums FROM parts WHERE upload = ?1 AND number > ?2
         ORDER BY number LIMIT ?3",
    )?;
    let rows = query.query_map((upload, after, limit), part_from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Unfinished uploads of a bucket by key and id, from after (`key`, `id`); at most `limit` of them.
pub(super) fn list(
    db: &Connection,
    bucket: &str,
    prefix: &str,
    (key, id): (&str, &str),
    limit: i64,
) -> Result<Vec<Upload>, ObjectError> {
    require_bucket(db, bucket)?;
    let sql = format!(
        "SELECT {COLUMNS} FROM uploads WHERE bucket = ?1 AND (key, id) > (?2, ?3) AND key >= ?4
         AND (?5 IS NULL OR key < ?5) ORDER BY key, id LIMIT ?6"
    );
    let mut query = db.prepare_cached(&sql)?;
    let rows = query.query_map(
        (bucket, key, id, prefix, keys::after_prefix(prefix), limit),
        from_row,
    )?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Turns the parts that the client names (number and `ETag`, in order) into one blob with a row and no reference,
/// and forgets the upload. `new_blob` is the id to use.
pub(super) fn complete(
    db: &Connection,
    upload: Upload,
    wanted: &[(i64, String)],
    conditions: &Conditions,
    new_blob: i64,
) -> Result<Completed, ObjectError> {
    conditions.check(
        find(db, &upload.bucket, &upload.key)?.as_ref(),
        &upload.bucket,
        &upload.key,
    )?;
    if wanted.is_empty() {
        return Err(ObjectError::PartOrder(
            "an upload is completed with at least one part",
        ));
    }
    if wanted.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
        return Err(ObjectError::PartOrder(
            "the parts must be listed in the order of their numbers, each once",
        ));
    }
    let there: BTreeMap<i64, Part> = parts(db, &upload.id, 0, MAX_PARTS)?
        .into_iter()
        .map(|part| (part.number, part))
        .collect();
    let mut pieces = Vec::with_capacity(wanted.len());
    let mut parts_used = Vec::with_capacity(wanted.len());
    let mut digest = Md5::new();
    for (at, (number, etag)) in wanted.iter().enumerate() {
        let wrong = |reason: &str| ObjectError::Part {
            number: *number,
            reason: reason.to_owned(),
        };
        let part = there.get(number).ok_or_else(|| wrong("was not uploaded"))?;
        if part.etag != *etag {
            return Err(wrong("has another ETag than the request says"));
        }
        if part.size < MIN_PART && at + 1 < wanted.len() {
            return Err(ObjectError::PartTooSmall {
                number: *number,
                size: part.size,
                minimum: MIN_PART,
            });
        }
        digest.update(hex::decode(&part.etag).unwrap_or_default());
        pieces.push((part.blob, part.size));
        parts_used.push(part.clone());
    }
    let size = insert_pieces(db, new_blob, &pieces)?;
    forget(db, &upload.id)?;
    let etag = format!("{}-{}", hex::encode(digest.finalize()), wanted.len());
    Ok(Completed {
        upload,
        blob: new_blob,
        size,
        etag,
        parts: parts_used,
    })
}

/// Drops the upload with all its parts.
pub(super) fn abort(db: &Connection, id: &str, bucket: &str, key: &str) -> Result<(), ObjectError> {
    get(db, id, bucket, key)?;
    forget(db, id)
}

fn forget(db: &Connection, id: &str) -> Result<(), ObjectError> {
    let mut delete = db.prepare_cached("DELETE FROM parts WHERE upload = ?1 RETURNING blob")?;
    let blobs: Vec<i64> = delete
        .query_map([id], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    db.prepare_cached("DELETE FROM uploads WHERE id = ?1")?
        .execute([id])?;
    for blob in blobs {
        release(db, blob)?;
    }
    Ok(())
}
