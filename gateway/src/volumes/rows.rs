//! The tables of volumes and of who mounts them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::Wanted;
use crate::store::StoreError;

/// A volume with those who mount it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Volume {
    pub(crate) id: String,
    pub(crate) owner: String,
    pub(crate) name: String,
    pub(crate) size: String,
    pub(crate) bytes: u64,
    pub(crate) service: String,
    pub(crate) policy: String,
    pub(crate) node: String,
    /// As stored; see [`Volume::phase`].
    pub(super) stored_phase: String,
    pub(crate) message: String,
    pub(crate) attachments: Vec<Attachment>,
}

/// A service that mounts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attachment {
    pub(crate) service: String,
    pub(crate) mount_path: String,
}

/// Where a service's volume is, for the scheduler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pin {
    pub(crate) volume: String,
    /// Empty: nowhere yet.
    pub(crate) node: String,
    pub(crate) phase: String,
    pub(crate) message: String,
}

impl Pin {
    /// Whether jobs may use it, there.
    pub(crate) fn is_on(&self, node: &str) -> bool {
        self.node == node && self.phase == "ready"
    }
}

impl Volume {
    pub(crate) fn is_going(&self) -> bool {
        self.stored_phase == "deleting"
    }

    /// As OSCAR says it. One that nothing has mounted yet is ready to be.
    pub(crate) fn phase(&self) -> &str {
        match self.stored_phase.as_str() {
            "pending" if self.attachments.is_empty() => "ready",
            "ready" if !self.attachments.is_empty() => "in_use",
            phase => phase,
        }
    }
}

const COLUMNS: &str = "id, owner, name, size, bytes, service, policy, node, phase, message";

fn volume(row: &Row<'_>) -> rusqlite::Result<Volume> {
    Ok(Volume {
        id: row.get(0)?,
        owner: row.get(1)?,
        name: row.get(2)?,
        size: row.get(3)?,
        bytes: u64::try_from(row.get::<_, i64>(4)?).unwrap_or(0),
        service: row.get(5)?,
        policy: row.get(6)?,
        node: row.get(7)?,
        stored_phase: row.get(8)?,
        message: row.get(9)?,
        attachments: Vec::new(),
    })
}

fn select(
    db: &Connection,
    condition: &str,
    parameters: impl rusqlite::Params,
) -> Result<Vec<Volume>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM volumes WHERE {condition} ORDER BY name, created_ms");
    let mut query = db.prepare_cached(&sql)?;
    let mut volumes = query
        .query_map(parameters, volume)?
        .collect::<Result<Vec<_>, _>>()?;
    for volume in &mut volumes {
        volume.attachments = attachments(db, &volume.id)?;
    }
    Ok(volumes)
}

/// All of an owner.
pub(crate) fn list(db: &Connection, owner: &str) -> Result<Vec<Volume>, StoreError> {
    select(db, "owner = ?1", [owner])
}

/// Those of that name: one, and perhaps others that are being deleted.
pub(super) fn named(db: &Connection, owner: &str, name: &str) -> Result<Vec<Volume>, StoreError> {
    select(db, "owner = ?1 AND name = ?2", [owner, name])
}

pub(super) fn find(db: &Connection, id: &str) -> Result<Option<Volume>, StoreError> {
    Ok(select(db, "id = ?1", [id])?.pop())
}

/// Those on a node.
pub(super) fn on_node(db: &Connection, node: &str) -> Result<Vec<Volume>, StoreError> {
    select(db, "node = ?1 AND node <> ''", [node])
}

/// Those that services mount, or want to, and that are on no node.
pub(super) fn homeless(db: &Connection) -> Result<Vec<Volume>, StoreError> {
    select(
        db,
        "node = '' AND phase = 'pending' AND id IN (SELECT volume FROM volume_attachments)",
        [],
    )
}

fn attachments(db: &Connection, id: &str) -> Result<Vec<Attachment>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT service, mount_path FROM volume_attachments WHERE volume = ?1 ORDER BY service",
    )?;
    let rows = query.query_map([id], |row| {
        Ok(Attachment {
            service: row.get(0)?,
            mount_path: row.get(1)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The volume that a service mounts.
pub(super) fn of_service(db: &Connection, service: &str) -> Result<Option<Volume>, StoreError> {
    let id: Option<String> = db
        .prepare_cached("SELECT volume FROM volume_attachments WHERE service = ?1")?
        .query_row([service], |row| row.get(0))
        .optional()?;
    match id {
        Some(id) => find(db, &id),
        None => Ok(None),
    }
}

/// How many volumes the owner has, and their bytes together. Those that are being deleted do not count.
pub(crate) fn used(db: &Connection, owner: &str) -> Result<(u64, u64), StoreError> {
    let mut query = db.prepare_cached(
        "SELECT count(*), coalesce(sum(bytes), 0) FROM volumes WHERE owner = ?1 AND phase <> 'deleting'",
    )?;
    let number = |value: i64| u64::try_from(value).unwrap_or(0);
    Ok(query.query_row([owner], |row| {
        Ok((number(row.get(0)?), number(row.get(1)?)))
    })?)
}

/// For each service that mounts a volume: where that is.
pub(crate) fn pins(db: &Connection) -> Result<BTreeMap<String, Pin>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT a.service, v.name, v.node, v.phase, v.message
         FROM volume_attachments a JOIN volumes v ON v.id = a.volume",
    )?;
    let rows = query.query_map([], |row| {
        let pin = Pin {
            volume: row.get(1)?,
            node: row.get(2)?,
            phase: row.get(3)?,
            message: row.get(4)?,
        };
        Ok((row.get(0)?, pin))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn insert(
    db: &Connection,
    id: &str,
    wanted: &Wanted<'_>,
    bytes: u64,
    now: Timestamp,
) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO volumes (id, owner, name, size, bytes, service, policy, node, phase, message, created_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, '', 'pending', '', ?8)",
    )?
    .execute(params![
        id,
        wanted.owner,
        wanted.name,
        wanted.size,
        i64::try_from(bytes).unwrap_or(i64::MAX),
        wanted.service,
        wanted.policy,
        now.as_millisecond()
    ])?;
    Ok(())
}

pub(super) fn mount(
    db: &Connection,
    service: &str,
    id: &str,
    path: &str,
) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO volume_attachments (service, volume, mount_path) VALUES (?1, ?2, ?3)",
    )?
    .execute([service, id, path])?;
    Ok(())
}

pub(super) fn unmount(db: &Connection, service: &str) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM volume_attachments WHERE service = ?1")?
        .execute([service])?;
    Ok(())
}

/// Puts it on a node, unless it is on one.
pub(super) fn put_on(db: &Connection, id: &str, node: &str) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE volumes SET node = ?2 WHERE id = ?1 AND node = ''")?
        .execute([id, node])?;
    Ok(())
}

pub(super) fn set_phase(
    db: &Connection,
    id: &str,
    phase: &str,
    message: &str,
) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE volumes SET phase = ?2, message = ?3 WHERE id = ?1")?
        .execute([id, phase, message])?;
    Ok(())
}

/// One that was never on a node is gone at once; the others wait for their node's word.
pub(super) fn begin_deletion(db: &Connection, id: &str) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM volumes WHERE id = ?1 AND node = ''")?
        .execute([id])?;
    db.prepare_cached(
        "UPDATE volumes SET phase = 'deleting', message = 'waiting for the node ' || node
         WHERE id = ?1 AND phase <> 'deleting'",
    )?
    .execute([id])?;
    Ok(())
}

pub(super) fn remove(db: &Connection, id: &str) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM volumes WHERE id = ?1")?
        .execute([id])?;
    Ok(())
}
