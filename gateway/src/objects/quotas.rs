//! How much users may keep: buckets each, and bytes in each bucket. Nothing bounds the administrator but the disk.

use rusqlite::{Connection, OptionalExtension};

use super::blobs::unsigned;
use super::{ObjectError, buckets, rows};

/// What an owner may have; nothing where there is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Quota {
    pub(crate) buckets: Option<u64>,
    /// Of each bucket.
    pub(crate) bytes: Option<u64>,
}

/// The quota of an owner of buckets; the administrator's name is empty.
pub(crate) fn of(db: &Connection, owner: &str) -> Result<Quota, ObjectError> {
    let quotas = crate::quotas::of(db, owner)?;
    let limit = |number: u64| (number > 0).then_some(number);
    Ok(Quota {
        buckets: limit(quotas.buckets),
        bytes: limit(quotas.bucket_bytes),
    })
}

/// Inside a write: whether the owner may have one more bucket.
pub(crate) fn check_buckets(db: &Connection, owner: &str) -> Result<(), ObjectError> {
    let Some(limit) = of(db, owner)?.buckets else {
        return Ok(());
    };
    let current = buckets::count_of(db, owner)?;
    if current < limit {
        return Ok(());
    }
    Err(ObjectError::BucketQuota {
        user: owner.to_owned(),
        limit,
        current,
    })
}

/// Whether the bucket has room for `size` bytes under this key, whose present object they would replace.
pub(crate) fn check_object(
    db: &Connection,
    bucket: &str,
    key: &str,
    size: u64,
) -> Result<(), ObjectError> {
    let Some(limit) = of_bucket(db, bucket)? else {
        return Ok(());
    };
    let replaced = rows::find(db, bucket, key)?.map_or(0, |object| object.size);
    check(db, bucket, limit, size, replaced)
}

/// The same for a part of an upload, of which nothing counts as used before it is completed.
pub(crate) fn check_part(db: &Connection, bucket: &str, size: u64) -> Result<(), ObjectError> {
    let Some(limit) = of_bucket(db, bucket)? else {
        return Ok(());
    };
    let waiting: i64 = db
        .prepare_cached(
            "SELECT coalesce(sum(size), 0) FROM parts WHERE upload IN (SELECT id FROM uploads WHERE bucket = ?1)",
        )?
        .query_row([bucket], |row| row.get(0))?;
    check(db, bucket, limit, size + unsigned(waiting), 0)
}

fn check(
    db: &Connection,
    bucket: &str,
    limit: u64,
    size: u64,
    replaced: u64,
) -> Result<(), ObjectError> {
    let used = buckets::usage(db, bucket)?.bytes;
    // Making a bucket smaller is never refused, even when its quota was lowered below what it holds.
    if size <= replaced || used.saturating_sub(replaced).saturating_add(size) <= limit {
        return Ok(());
    }
    Err(ObjectError::StorageQuota {
        bucket: bucket.to_owned(),
        limit,
        used,
        wanted: size - replaced,
    })
}

/// Bytes that the bucket may hold.
fn of_bucket(db: &Connection, bucket: &str) -> Result<Option<u64>, ObjectError> {
    let owner: Option<String> = db
        .prepare_cached("SELECT owner FROM buckets WHERE name = ?1")?
        .query_row([bucket], |row| row.get(0))
        .optional()?;
    // A missing bucket is somebody else's complaint.
    let owner = owner.unwrap_or_default();
    Ok(of(db, &owner)?.bytes)
}
