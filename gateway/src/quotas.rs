//! What users may use: buckets, bytes in each, volumes. The settings say what holds for everybody, a row in the
//! table `quotas` what holds for one user instead. The administrator has no quotas.
//!
//! The defaults lie in the database as well (the table `settings`), so that whoever is inside a transaction can ask
//! with nothing but the connection.

mod change;

use rusqlite::{Connection, OptionalExtension as _, Row};
use serde::{Deserialize, Serialize};

use crate::store::StoreError;

pub(crate) use change::{Change, Refused, change};

/// Key, in the table of settings, of the defaults as JSON.
const DEFAULTS: &str = "quota_defaults";

/// The limits of one user. 0 means no limit, for each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Quotas {
    /// Buckets the user may own.
    pub buckets: u64,
    /// Bytes that each of those may hold.
    pub bucket_bytes: u64,
    /// Volumes the user may have.
    pub volumes: u64,
    /// Bytes of all of them together.
    pub volumes_disk: u64,
    /// Bytes of the largest and of the smallest.
    pub volume_max: u64,
    pub volume_min: u64,
}

impl Default for Quotas {
    /// OSCAR's defaults; buckets are not limited.
    fn default() -> Self {
        Self {
            volumes: 5,
            volumes_disk: 7 << 30,
            volume_max: 5 << 30,
            volume_min: 200 << 20,
            ..Self::NONE
        }
    }
}

impl Quotas {
    /// No limits at all.
    pub(crate) const NONE: Self = Self {
        buckets: 0,
        bucket_bytes: 0,
        volumes: 0,
        volumes_disk: 0,
        volume_max: 0,
        volume_min: 0,
    };
}

/// What the user uses now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) buckets: u64,
    pub(crate) bucket_bytes: u64,
    pub(crate) volumes: u64,
    pub(crate) volumes_disk: u64,
}

/// The limits of a user; none for the administrator, whose `uid` is empty.
pub(crate) fn of(db: &Connection, uid: &str) -> Result<Quotas, StoreError> {
    if uid.is_empty() {
        return Ok(Quotas::NONE);
    }
    let usual = defaults(db)?.unwrap_or_default();
    let mut query = db.prepare_cached(
        "SELECT buckets, bucket_bytes, volumes, volumes_disk, volume_max, volume_min FROM quotas WHERE uid = ?1",
    )?;
    let own = query.query_row([uid], |row| with(usual, row)).optional()?;
    Ok(own.unwrap_or(usual))
}

fn with(usual: Quotas, row: &Row<'_>) -> rusqlite::Result<Quotas> {
    let number = |column: usize, usual: u64| {
        let set: Option<i64> = row.get(column)?;
        Ok::<_, rusqlite::Error>(set.map_or(usual, |set| u64::try_from(set).unwrap_or(0)))
    };
    Ok(Quotas {
        buckets: number(0, usual.buckets)?,
        bucket_bytes: number(1, usual.bucket_bytes)?,
        volumes: number(2, usual.volumes)?,
        volumes_disk: number(3, usual.volumes_disk)?,
        volume_max: number(4, usual.volume_max)?,
        volume_min: number(5, usual.volume_min)?,
    })
}

/// What the user's buckets and volumes take.
pub(crate) fn used(db: &Connection, uid: &str) -> Result<Used, StoreError> {
    let number = |row: &Row<'_>, column: usize| {
        let number: i64 = row.get(column)?;
        Ok::<_, rusqlite::Error>(u64::try_from(number).unwrap_or(0))
    };
    let mut buckets = db.prepare_cached(
        "SELECT (SELECT count(*) FROM buckets WHERE owner = ?1),
                (SELECT coalesce(sum(bytes), 0) FROM bucket_usage
                 WHERE bucket IN (SELECT name FROM buckets WHERE owner = ?1))",
    )?;
    let used = buckets.query_row([uid], |row| {
        Ok(Used {
            buckets: number(row, 0)?,
            bucket_bytes: number(row, 1)?,
            ..Used::default()
        })
    })?;
    let (volumes, volumes_disk) = crate::volumes::used(db, uid)?;
    Ok(Used {
        volumes,
        volumes_disk,
        ..used
    })
}

/// Writes down what the settings say now, if that is something else than before.
pub(crate) fn settle(db: &Connection, settings: &Quotas) -> Result<(), StoreError> {
    if defaults(db)?.as_ref() == Some(settings) {
        return Ok(());
    }
    let text = serde_json::to_string(settings).unwrap_or_default();
    db.execute(
        "INSERT OR REPLACE INTO settings (key, value) VALUES (?1, ?2)",
        [DEFAULTS, &text],
    )?;
    Ok(())
}

fn defaults(db: &Connection) -> Result<Option<Quotas>, StoreError> {
    let text: Option<String> = db
        .prepare_cached("SELECT value FROM settings WHERE key = ?1")?
        .query_row([DEFAULTS], |row| row.get(0))
        .optional()?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

#[cfg(test)]
mod tests;
