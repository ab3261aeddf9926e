//! Managed volumes: folders that survive their jobs. A volume is a volume of the container engine on one node, so
//! the services that mount it run there and nowhere else.
//!
//! The rows say what shall be. A node is chosen when a service first mounts the volume, and written down before any
//! job is granted; the node's agent makes the volume, says so, and only then are jobs granted. A deletion is a row in
//! the phase `deleting` until the agent has confirmed it.

mod agents;
mod attach;
mod nodes;
mod rows;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::Connection;
use spillway_model::quantity::Memory;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::auth::{NoRandomness, random};
use crate::queue::Queue;
use crate::quotas;
use crate::store::{Store, StoreError};

pub(crate) use attach::{attach, detach, keeps_its_volume, mounted, status, statuses};
pub(crate) use rows::{Pin, Volume, list, pins, used};

/// While a volume waits for a node, nodes are looked at this often.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Volumes of one owner at most, whatever the quota says.
const MOST: u64 = 1000;

/// Why a volume is not made, mounted or deleted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VolumeError {
    #[error("volume already exists in caller namespace")]
    Exists,
    #[error("Referenced volume does not exist in the caller namespace")]
    Missing,
    #[error("managed volume is still attached to one or more services")]
    Attached,
    #[error("volume updates are not supported after service creation")]
    Changed,
    #[error("{0}")]
    Invalid(String),
    /// The text has the word quota in it, which clients look for.
    #[error("{0}")]
    Quota(String),
    #[error("naming a volume")]
    Name(#[from] NoRandomness),
    #[error("the database")]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for VolumeError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

/// A volume to be made.
#[derive(Debug, Clone)]
pub(crate) struct Wanted<'a> {
    /// Empty: the administrator.
    pub(crate) owner: &'a str,
    pub(crate) name: &'a str,
    /// A quantity.
    pub(crate) size: &'a str,
    /// The service that makes it; empty: the API does.
    pub(crate) service: &'a str,
    /// `delete` or `retain`; empty when the API makes it.
    pub(crate) policy: &'a str,
}

/// Clonable handle.
#[derive(Debug, Clone)]
pub(crate) struct Volumes(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Store,
    queue: Queue,
    /// Something has changed that a volume may have waited for.
    wake: Notify,
    /// Bytes that volumes hold, as their nodes measured last.
    used: Mutex<HashMap<String, u64>>,
}

impl Volumes {
    pub(crate) fn new(store: Store, queue: Queue) -> Self {
        Self(Arc::new(Shared {
            store,
            queue,
            wake: Notify::new(),
            used: Mutex::default(),
        }))
    }

    /// A change is committed: places may be needed, and agents have something to do.
    pub(crate) fn changed(&self) {
        self.0.wake.notify_one();
    }

    /// Makes a volume that no service mounts yet.
    pub(crate) async fn create(
        &self,
        owner: &str,
        name: &str,
        size: &str,
    ) -> Result<Volume, VolumeError> {
        let (owner, name, size) = (owner.to_owned(), name.to_owned(), size.to_owned());
        let made = self.0.store.write(move |db| {
            let wanted = Wanted {
                owner: &owner,
                name: &name,
                size: &size,
                service: "",
                policy: "",
            };
            let id = insert(db, &wanted)?;
            rows::find(db, &id)?.ok_or(VolumeError::Missing)
        });
        made.await
    }

    /// Deletes a volume that nothing mounts. One that is not there is as good as deleted. With `forget`, its node is
    /// not waited for: it is gone for good.
    pub(crate) async fn delete(
        &self,
        owner: &str,
        name: &str,
        forget: bool,
    ) -> Result<(), VolumeError> {
        let (owner, name) = (owner.to_owned(), name.to_owned());
        let (store, this) = (&self.0.store, self.clone());
        store
            .write(move |db| {
                for volume in rows::named(db, &owner, &name)? {
                    if !volume.attachments.is_empty() {
                        return Err(VolumeError::Attached);
                    }
                    if forget {
                        rows::remove(db, &volume.id)?;
                    } else {
                        rows::begin_deletion(db, &volume.id)?;
                    }
                }
                Ok(())
            })
            .await?;
        this.0.queue.services_changed();
        Ok(())
    }

    /// Bytes that it held when its node last looked.
    pub(crate) fn bytes_in(&self, id: &str) -> Option<u64> {
        let used = self.0.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.get(id).copied()
    }

    /// Finds nodes for volumes that have none, until told to stop.
    pub(crate) async fn run(self, stop: CancellationToken) {
        loop {
            let waiting = match nodes::place(&self.0.store, &self.0.queue).await {
                Ok(waiting) => waiting,
                Err(error) => {
                    warn!(%error, "no nodes could be chosen for volumes; trying again");
                    true
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.0.wake.notified() => (),
                () = tokio::time::sleep(LOOK_AGAIN), if waiting => (),
            }
        }
    }
}

/// Inside a write: a new volume, without a node; its id.
fn insert(db: &Connection, wanted: &Wanted<'_>) -> Result<String, VolumeError> {
    let bytes = check(wanted)?;
    if rows::named(db, wanted.owner, wanted.name)?
        .iter()
        .any(|volume| !volume.is_going())
    {
        return Err(VolumeError::Exists);
    }
    admit(db, wanted, bytes)?;
    let id = format!("spillway-volume-{}", hex::encode(random::<8>()?));
    rows::insert(db, &id, wanted, bytes, Timestamp::now())?;
    info!(volume = wanted.name, id, "a volume is to be made");
    Ok(id)
}

fn check(wanted: &Wanted<'_>) -> Result<u64, VolumeError> {
    let name = wanted.name;
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_label = (1..=63).contains(&name.len())
        && name.bytes().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-');
    if !is_label {
        let text = "volume.name must satisfy Kubernetes DNS-1123 naming rules";
        return Err(VolumeError::Invalid(text.to_owned()));
    }
    let size = wanted.size.parse::<Memory>().map_or(0, Memory::bytes);
    if size == 0 || i64::try_from(size).is_err() {
        let text = "volume.size must be a valid positive quantity";
        return Err(VolumeError::Invalid(text.to_owned()));
    }
    Ok(size)
}

/// Whether the owner may have one more of that size.
fn admit(db: &Connection, wanted: &Wanted<'_>, bytes: u64) -> Result<(), VolumeError> {
    let quota = quotas::of(db, wanted.owner)?;
    let (count, taken) = used(db, wanted.owner)?;
    let size = |bytes: u64| Memory::from_bytes(bytes);
    let over = |limit: u64, value: u64| limit > 0 && value > limit;
    let refuse = |text: String| Err(VolumeError::Quota(text));
    if over(quota.volumes, count + 1) || count >= MOST {
        let limit = if quota.volumes == 0 {
            MOST
        } else {
            quota.volumes
        };
        return refuse(format!(
            "volume quota exceeded: {count} of {limit} volumes are used"
        ));
    }
    if over(quota.volume_max, bytes) {
        return refuse(format!(
            "volume quota exceeded: {} is more than the {} that one volume may have",
            wanted.size,
            size(quota.volume_max)
        ));
    }
    if bytes < quota.volume_min {
        return refuse(format!(
            "volume quota: {} is less than the {} that a volume must have",
            wanted.size,
            size(quota.volume_min)
        ));
    }
    if over(quota.volumes_disk, taken.saturating_add(bytes)) {
        return refuse(format!(
            "volume quota exceeded: {} of {} are used, and {} are asked for",
            size(taken),
            size(quota.volumes_disk),
            wanted.size
        ));
    }
    Ok(())
}
