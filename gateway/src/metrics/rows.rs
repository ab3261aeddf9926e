//! The table `traffic`: added to, summed up when old, read by range.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{HOUR, Key, Kind, Metrics};
use crate::store::{Store, StoreError};

/// After so many days the hours of a day become one row.
const HOURLY_DAYS: i64 = 35;

/// Rows at most; the oldest go first.
const MAX_ROWS: i64 = 200_000;

/// Milliseconds of a day.
const DAY: i64 = 24 * HOUR;

/// From when to when, both included as far as hours go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Range {
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
}

impl Range {
    /// Whether a row that begins at `period_ms` and counts `hours` has to do with the range.
    pub(super) fn touches(&self, period_ms: i64, hours: i64) -> bool {
        period_ms <= self.end.as_millisecond()
            && period_ms + hours * HOUR > self.start.as_millisecond()
    }
}

/// A sum over a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Amount {
    pub(crate) service: String,
    pub(crate) kind: Kind,
    pub(crate) user: String,
    pub(crate) sum: u64,
}

/// All that was counted in the range.
pub(crate) async fn amounts(
    store: &Store,
    metrics: &Metrics,
    range: Range,
) -> Result<Vec<Amount>, StoreError> {
    // Those in memory first: what is written out in between is then counted twice at worst, and not at all never.
    let mut amounts = metrics.pending(&range);
    amounts.extend(store.read(move |db| read(db, range)).await?);
    Ok(amounts)
}

fn read(db: &Connection, range: Range) -> Result<Vec<Amount>, StoreError> {
    let (start, end) = (range.start.as_millisecond(), range.end.as_millisecond());
    let mut query = db.prepare_cached(
        "SELECT service, kind, user, sum(amount) FROM traffic
         WHERE period_ms > ?1 AND period_ms <= ?2 AND period_ms + hours * 3600000 > ?3
         GROUP BY service, kind, user",
    )?;
    let rows = query.query_map(params![start.saturating_sub(DAY), end, start], |row| {
        let kind: String = row.get(1)?;
        let amount: i64 = row.get(3)?;
        let kind = Kind::ALL.into_iter().find(|known| known.word() == kind);
        Ok((
            row.get(0)?,
            kind,
            row.get(2)?,
            u64::try_from(amount).unwrap_or(0),
        ))
    })?;
    let known = rows.filter_map(|row| match row {
        Ok((service, Some(kind), user, amount)) => Some(Ok(Amount {
            service,
            kind,
            user,
            sum: amount,
        })),
        Ok((_, None, _, _)) => None,
        Err(error) => Some(Err(error)),
    });
    Ok(known.collect::<Result<_, _>>()?)
}

/// Inside a write.
pub(super) fn add(db: &Connection, amounts: &BTreeMap<Key, u64>) -> Result<(), StoreError> {
    let mut insert = db.prepare_cached(
        "INSERT INTO traffic (period_ms, service, kind, user, hours, amount) VALUES (?1, ?2, ?3, ?4, 1, ?5)
         ON CONFLICT DO UPDATE SET amount = amount + excluded.amount",
    )?;
    for (key, amount) in amounts {
        let amount = i64::try_from(*amount).unwrap_or(i64::MAX);
        insert.execute(params![
            key.hour_ms,
            key.service,
            key.kind.word(),
            key.user,
            amount
        ])?;
    }
    Ok(())
}

/// Sums hours up to days, a day at a time so that no other write waits long, and forgets what is too old.
pub(super) async fn tidy(store: &Store, now: Timestamp, keep_days: u32) -> Result<(), StoreError> {
    let today = now.as_millisecond() - now.as_millisecond().rem_euclid(DAY);
    let hourly = today - HOURLY_DAYS * DAY;
    let kept = now.saturating_sub(SignedDuration::from_hours(24 * i64::from(keep_days)));
    let kept_ms = kept.map_or(i64::MIN, Timestamp::as_millisecond);
    loop {
        let oldest = store.read(move |db| oldest_hour(db, hourly)).await?;
        let Some(oldest) = oldest else { break };
        let day = oldest - oldest.rem_euclid(DAY);
        store.write(move |db| sum_up(db, day)).await?;
    }
    let has_old = store.read(move |db| is_too_much(db, kept_ms)).await?;
    if has_old {
        store.write(move |db| forget(db, kept_ms)).await?;
    }
    Ok(())
}

fn oldest_hour(db: &Connection, before: i64) -> Result<Option<i64>, StoreError> {
    let mut query = db.prepare(
        "SELECT period_ms FROM traffic WHERE hours = 1 AND period_ms < ?1 ORDER BY period_ms LIMIT 1",
    )?;
    Ok(query.query_row([before], |row| row.get(0)).optional()?)
}

fn sum_up(db: &Connection, day: i64) -> Result<(), StoreError> {
    db.execute(
        "INSERT INTO traffic (period_ms, service, kind, user, hours, amount)
         SELECT ?1, service, kind, user, 24, sum(amount) FROM traffic
         WHERE hours = 1 AND period_ms >= ?1 AND period_ms < ?2 GROUP BY service, kind, user
         ON CONFLICT DO UPDATE SET amount = amount + excluded.amount",
        params![day, day + DAY],
    )?;
    db.execute(
        "DELETE FROM traffic WHERE hours = 1 AND period_ms >= ?1 AND period_ms < ?2",
        params![day, day + DAY],
    )?;
    Ok(())
}

fn is_too_much(db: &Connection, kept_ms: i64) -> Result<bool, StoreError> {
    Ok(db.query_row(
        "SELECT EXISTS (SELECT 1 FROM traffic WHERE period_ms < ?1)
             OR EXISTS (SELECT 1 FROM traffic LIMIT 1 OFFSET ?2)",
        params![kept_ms, MAX_ROWS],
        |row| row.get(0),
    )?)
}

fn forget(db: &Connection, kept_ms: i64) -> Result<(), StoreError> {
    db.execute("DELETE FROM traffic WHERE period_ms < ?1", [kept_ms])?;
    db.execute(
        "DELETE FROM traffic WHERE period_ms <=
             (SELECT period_ms FROM traffic ORDER BY period_ms DESC LIMIT 1 OFFSET ?1)",
        [MAX_ROWS],
    )?;
    Ok(())
}
