//! Buckets, inside a write or a read.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row};

use super::blobs::{release, unsigned};
use super::rows::{NewObject, find, put_silently, require_bucket};
use super::{ObjectError, keys};
use crate::auth::Caller;

/// A bucket, as the API shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bucket {
    pub name: String,
    /// Empty: the administrator.
    pub owner: String,
    /// `private`, `restricted` or `public`.
    pub visibility: String,
    pub allowed_users: Vec<String>,
    pub tags: BTreeMap<String, String>,
}

/// How much a bucket holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    pub objects: u64,
    pub bytes: u64,
}

/// Tag with the owner's subject; the cluster's name for the administrator.
pub(crate) const OWNER: &str = "owner";

/// Tag with the owner's name to be shown.
pub(crate) const OWNER_NAME: &str = "owner_name";

impl Bucket {
    /// A new bucket of the caller's that nobody else sees. `cluster` stands for the administrator.
    pub(crate) fn private(name: String, caller: &Caller, cluster: &str) -> Self {
        let owner = caller.uid().unwrap_or_default();
        let shown = if owner.is_empty() { cluster } else { owner };
        let tags = [(OWNER, shown), (OWNER_NAME, caller.name())];
        Self {
            name,
            owner: owner.to_owned(),
            visibility: "private".to_owned(),
            allowed_users: Vec::new(),
            tags: tags
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
        }
    }
}

const COLUMNS: &str = "name, owner, visibility, allowed_users, tags";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Bucket> {
    let (allowed_users, tags): (String, String) = (row.get(3)?, row.get(4)?);
    Ok(Bucket {
        name: row.get(0)?,
        owner: row.get(1)?,
        visibility: row.get(2)?,
        allowed_users: serde_json::from_str(&allowed_users).unwrap_or_default(),
        tags: serde_json::from_str(&tags).unwrap_or_default(),
    })
}

fn json<T: serde::Serialize>(value: &T) -> Result<String, ObjectError> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()).into())
}

/// Adds a bucket; [`ObjectError::BucketExists`] when it is there, [`ObjectError::BucketName`] when it cannot be.
pub fn create(db: &Connection, bucket: &Bucket) -> Result<(), ObjectError> {
    keys::check_bucket_name(&bucket.name)?;
    let added = db
        .prepare_cached(
            "INSERT INTO buckets (name, owner, visibility, allowed_users, tags, created_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
        )?
        .execute((
            &bucket.name,
            &bucket.owner,
            &bucket.visibility,
            json(&bucket.allowed_users)?,
            json(&bucket.tags)?,
            Timestamp::now().as_millisecond(),
        ))?;
    if added == 0 {
        return Err(ObjectError::BucketExists(bucket.name.clone()));
    }
    db.prepare_cached("INSERT INTO bucket_usage (bucket, objects, bytes) VALUES (?1, 0, 0)")?
        .execute([&bucket.name])?;
    Ok(())
}

/// The bucket, if there is one.
pub fn get(db: &Connection, name: &str) -> Result<Option<Bucket>, ObjectError> {
    let sql = format!("SELECT {COLUMNS} FROM buckets WHERE name = ?1");
    Ok(db
        .prepare_cached(&sql)?
        .query_row([name], from_row)
        .optional()?)
}

/// The bucket; [`ObjectError::NoSuchBucket`] when there is none.
pub(crate) fn require(db: &Connection, name: &str) -> Result<Bucket, ObjectError> {
    get(db, name)?.ok_or_else(|| ObjectError::NoSuchBucket(name.to_owned()))
}

/// All buckets, by name.
pub fn list(db: &Connection) -> Result<Vec<Bucket>, ObjectError> {
    let sql = format!("SELECT {COLUMNS} FROM buckets ORDER BY name");
    let mut query = db.prepare_cached(&sql)?;
    let rows = query.query_map([], from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// All buckets with the time they were created, by name.
pub fn list_with_times(db: &Connection) -> Result<Vec<(Bucket, Timestamp)>, ObjectError> {
    let sql = format!("SELECT {COLUMNS}, created_ms FROM buckets ORDER BY name");
    let mut query = db.prepare_cached(&sql)?;
    let time = |row: &Row<'_>| {
        let created = Timestamp::from_millisecond(row.get(5)?).unwrap_or_default();
        Ok((from_row(row)?, created))
    };
    let rows = query.query_map([], time)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Number of buckets that this owner has.
pub fn count_of(db: &Connection, owner: &str) -> Result<u64, ObjectError> {
    let mut query = db.prepare_cached("SELECT count(*) FROM buckets WHERE owner = ?1")?;
    Ok(query.query_row([owner], |row| row.get(0).map(unsigned))?)
}

/// Replaces visibility, allowed users and tags.
pub fn update(db: &Connection, bucket: &Bucket) -> Result<(), ObjectError> {
    let changed = db
        .prepare_cached(
            "UPDATE buckets SET visibility = ?2, allowed_users = ?3, tags = ?4 WHERE name = ?1",
        )?
        .execute((
            &bucket.name,
            &bucket.visibility,
            json(&bucket.allowed_users)?,
            json(&bucket.tags)?,
        ))?;
    if changed == 0 {
        return Err(ObjectError::NoSuchBucket(bucket.name.clone()));
    }
    Ok(())
}

/// Makes the folder visible by an empty object `folder/` unless it is there; triggers nothing.
pub fn ensure_folder(db: &Connection, bucket: &str, folder: &str) -> Result<(), ObjectError> {
    require_bucket(db, bucket)?;
    let folder = folder.trim_matches('/');
    let key = format!("{folder}/");
    if folder.is_empty() || find(db, bucket, &key)?.is_some() {
        return Ok(());
    }
    let now = Timestamp::now();
    let object = NewObject {
        bucket: bucket.to_owned(),
        key,
        etag: super::EMPTY_MD5.to_owned(),
        content_type: "application/x-directory".to_owned(),
        metadata: BTreeMap::new(),
        event: "",
        principal: String::new(),
        source_ip: String::new(),
        user_agent: String::new(),
    };
    put_silently(db, &object, empty_blob(db)?, now)?;
    Ok(())
}

/// The one blob that all folder markers share: the lowest id of all, far below those made of the time.
fn empty_blob(db: &Connection) -> Result<i64, ObjectError> {
    const ID: i64 = 1;
    db.prepare_cached(
        "INSERT INTO blobs (id, size, refs, content) VALUES (?1, 0, 0, x'') ON CONFLICT DO NOTHING",
    )?
    .execute([ID])?;
    Ok(ID)
}

/// Deletes the bucket with all it holds, unfinished uploads included.
pub fn delete(db: &Connection, name: &str) -> Result<(), ObjectError> {
    require_bucket(db, name)?;
    let held = "SELECT blob FROM objects WHERE bucket = ?1
        UNION ALL SELECT blob FROM parts WHERE upload IN (SELECT id FROM uploads WHERE bucket = ?1)";
    let mut query = db.prepare_cached(held)?;
    let blobs: Vec<i64> = query
        .query_map([name], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    db.execute(
        "DELETE FROM parts WHERE upload IN (SELECT id FROM uploads WHERE bucket = ?1)",
        [name],
    )?;
    db.execute("DELETE FROM uploads WHERE bucket = ?1", [name])?;
    db.execute("DELETE FROM objects WHERE bucket = ?1", [name])?;
    db.execute(
        "DELETE FROM triggers WHERE bucket = ?1 AND configured",
        [name],
    )?;
    db.execute("DELETE FROM buckets WHERE name = ?1", [name])?;
    for blob in blobs {
        release(db, blob)?;
    }
    Ok(())
}

/// Deletes the bucket, unless it holds objects; unfinished uploads go with it.
pub fn delete_empty(db: &Connection, name: &str) -> Result<(), ObjectError> {
    require_bucket(db, name)?;
    let holds: bool = db
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM objects WHERE bucket = ?1)")?
        .query_row([name], |row| row.get(0))?;
    if holds {
        return Err(ObjectError::BucketNotEmpty(name.to_owned()));
    }
    delete(db, name)
}

/// Number of buckets and of objects.
pub fn count(db: &Connection) -> Result<(u64, u64), ObjectError> {
    let sql = "SELECT count(*), coalesce(sum(objects), 0) FROM bucket_usage";
    Ok(db.query_row(sql, [], |row| {
        Ok((unsigned(row.get(0)?), unsigned(row.get(1)?)))
    })?)
}

/// Number of objects of a bucket and their bytes, as the transactions that change them have counted.
pub fn usage(db: &Connection, name: &str) -> Result<Usage, ObjectError> {
    let sql = "SELECT objects, bytes FROM bucket_usage WHERE bucket = ?1";
    let usage = |row: &Row<'_>| {
        Ok(Usage {
            objects: unsigned(row.get(0)?),
            bytes: unsigned(row.get(1)?),
        })
    };
    let found = db.prepare_cached(sql)?.query_row([name], usage).optional();
    Ok(found?.unwrap_or_default())
}

/// Inside the write that changes objects: counts them.
pub(super) fn use_more(
    db: &Connection,
    name: &str,
    objects: i64,
    bytes: i64,
) -> Result<(), ObjectError> {
    db.prepare_cached(
        "UPDATE bucket_usage SET objects = objects + ?2, bytes = bytes + ?3 WHERE bucket = ?1",
    )?
    .execute((name, objects, bytes))?;
    Ok(())
}
