//! Triggers of a bucket, as its notification configuration shows and sets them. `services` makes those of inputs.

use rusqlite::Connection;

use super::ObjectError;

/// A service that hears of changes in a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trigger {
    pub(super) prefix: String,
    pub(super) suffix: String,
    /// Commas between them.
    pub(super) events: String,
    pub(super) service: String,
    /// What the configuration calls it; empty for a service's input.
    pub(super) id: String,
}

impl Trigger {
    /// Whether both are the same row.
    fn is(&self, other: &Self) -> bool {
        (&self.prefix, &self.suffix, &self.events, &self.service)
            == (&other.prefix, &other.suffix, &other.events, &other.service)
    }
}

/// All of a bucket.
pub(super) fn list(db: &Connection, bucket: &str) -> Result<Vec<Trigger>, ObjectError> {
    let mut query = db.prepare_cached(
        "SELECT prefix, suffix, events, service, id FROM triggers WHERE bucket = ?1
         ORDER BY service, prefix, suffix, events",
    )?;
    let rows = query.query_map([bucket], |row| {
        Ok(Trigger {
            prefix: row.get(0)?,
            suffix: row.get(1)?,
            events: row.get(2)?,
            service: row.get(3)?,
            id: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Makes these the triggers of a bucket. One that is there already stays what it is: a service's input, or configured.
pub(super) fn replace(
    db: &Connection,
    bucket: &str,
    wanted: &[Trigger],
) -> Result<(), ObjectError> {
    for old in list(db, bucket)? {
        if !wanted.iter().any(|new| new.is(&old)) {
            db.execute(
                "DELETE FROM triggers WHERE bucket = ?1 AND prefix = ?2 AND suffix = ?3 AND events = ?4 AND service = ?5",
                (bucket, &old.prefix, &old.suffix, &old.events, &old.service),
            )?;
        }
    }
    for new in wanted {
        db.execute(
            "INSERT OR IGNORE INTO triggers (bucket, prefix, suffix, events, service, id, configured)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1)",
            (bucket, &new.prefix, &new.suffix, &new.events, &new.service, &new.id),
        )?;
    }
    Ok(())
}
