//! Rows of blobs and the count of who refers to them. All of it happens inside a write.

use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::{Connection, OptionalExtension};
use tokio::sync::Notify;

use crate::store::StoreError;

/// How often a transaction of this process left a file to unlink: the sweeper wakes up when it changes. Statics,
/// because [`release`] is called inside transactions that hold no handle; one too many wake-up does no harm.
pub(super) static GARBAGE_MADE: AtomicU64 = AtomicU64::new(0);
pub(super) static GARBAGE: Notify = Notify::const_new();

/// Adds the row of a blob, with no references. `content` is `None` when a file holds it.
pub(super) fn insert(
    db: &Connection,
    id: i64,
    size: u64,
    content: Option<&[u8]>,
) -> Result<(), StoreError> {
    db.prepare_cached("INSERT INTO blobs (id, size, refs, content) VALUES (?1, ?2, 0, ?3)")?
        .execute((id, signed(size), content))?;
    Ok(())
}

/// Adds a blob that is the concatenation of others, in order; each gains a reference. Returns its size in bytes.
pub(crate) fn insert_pieces(
    db: &Connection,
    id: i64,
    pieces: &[(i64, u64)],
) -> Result<u64, StoreError> {
    let size = pieces.iter().map(|(_, size)| size).sum();
    insert(db, id, size, None)?;
    let mut start = 0;
    let mut add =
        db.prepare_cached("INSERT INTO pieces (blob, start, piece, size) VALUES (?1, ?2, ?3, ?4)")?;
    for (piece, size) in pieces.iter().filter(|(_, size)| *size > 0) {
        add.execute((id, signed(start), piece, signed(*size)))?;
        retain(db, *piece)?;
        start += size;
    }
    Ok(size)
}

/// Inside a write: one more reference.
pub fn retain(db: &Connection, blob: i64) -> Result<(), StoreError> {
    let changed = db
        .prepare_cached("UPDATE blobs SET refs = refs + 1 WHERE id = ?1")?
        .execute([blob])?;
    if changed == 0 {
        return Err(rusqlite::Error::QueryReturnedNoRows.into());
    }
    Ok(())
}

/// Inside a write: one reference less; the last one deletes the blob (its file is unlinked after the commit).
pub fn release(db: &Connection, blob: i64) -> Result<(), StoreError> {
    let left: Option<i64> = db
        .prepare_cached("UPDATE blobs SET refs = refs - 1 WHERE id = ?1 RETURNING refs")?
        .query_row([blob], |row| row.get(0))
        .optional()?;
    if left.is_some_and(|left| left <= 0) {
        delete(db, blob)?;
    }
    Ok(())
}

/// Deletes a blob that nobody refers to.
pub(super) fn delete(db: &Connection, blob: i64) -> Result<(), StoreError> {
    let outside: bool = db
        .prepare_cached("SELECT content IS NULL FROM blobs WHERE id = ?1")?
        .query_row([blob], |row| row.get(0))?;
    let pieces = if outside {
        pieces(db, blob)?
    } else {
        Vec::new()
    };
    if !pieces.is_empty() {
        db.prepare_cached("DELETE FROM pieces WHERE blob = ?1")?
            .execute([blob])?;
    }
    db.prepare_cached("DELETE FROM blobs WHERE id = ?1")?
        .execute([blob])?;
    if outside && pieces.is_empty() {
        db.prepare_cached("INSERT INTO garbage (blob) VALUES (?1)")?
            .execute([blob])?;
        GARBAGE_MADE.fetch_add(1, Ordering::Relaxed);
        GARBAGE.notify_waiters();
    }
    for (piece, _) in pieces {
        release(db, piece)?;
    }
    Ok(())
}

/// The pieces of a blob with their sizes, in order; none for a blob of its own.
pub(super) fn pieces(db: &Connection, blob: i64) -> Result<Vec<(i64, u64)>, StoreError> {
    let mut query =
        db.prepare_cached("SELECT piece, size FROM pieces WHERE blob = ?1 ORDER BY start")?;
    let rows = query.query_map([blob], |row| Ok((row.get(0)?, unsigned(row.get(1)?))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// As `SQLite` keeps sizes. No file reaches 2⁶³ bytes.
pub(crate) fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// As we use sizes. None is ever stored below zero.
pub(crate) fn unsigned(size: i64) -> u64 {
    u64::try_from(size).unwrap_or(0)
}
