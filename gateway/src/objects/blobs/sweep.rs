//! Deleting files that no row needs: of deleted blobs, of uploads that came to nothing, and what a crash left.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::OptionalExtension;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::blocking;
use super::folder::{Folder, unlink};
use super::refs::{GARBAGE, GARBAGE_MADE};
use crate::objects::ObjectError;
use crate::store::{Store, StoreError};

/// Files of deleted blobs that are looked up at a time.
const BATCH: i64 = 256;

/// From the moment a transaction makes garbage to the round that clears it: it has committed by then, and its
/// neighbours come along.
const DELAY: Duration = Duration::from_secs(1);

/// A second round, should that commit have taken longer.
const SECOND_LOOK: Duration = Duration::from_secs(30);

/// What the sweeper is told by others in memory.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Published files whose [`super::NewBlob`] was dropped. As many as there are uploads at a time, at most.
    discarded: Mutex<Vec<i64>>,
    /// Files that are being read, with the number of readers.
    pinned: Mutex<BTreeMap<i64, usize>>,
    changed: Notify,
}

/// Keeps the files of blobs from being unlinked while they are read.
#[derive(Debug)]
pub(super) struct Pinned {
    shared: Arc<Shared>,
    blobs: Vec<i64>,
}

impl Shared {
    pub(super) fn discard(&self, blob: i64) {
        if let Ok(mut discarded) = self.discarded.lock() {
            discarded.push(blob);
        }
        self.changed.notify_one();
    }

    pub(super) fn pin(self: &Arc<Self>, blobs: Vec<i64>) -> Pinned {
        if let Ok(mut pinned) = self.pinned.lock() {
            for blob in &blobs {
                *pinned.entry(*blob).or_default() += 1;
            }
        }
        Pinned {
            shared: Arc::clone(self),
            blobs,
        }
    }

    fn is_pinned(&self, blob: i64) -> bool {
        self.pinned
            .lock()
            .is_ok_and(|pinned| pinned.contains_key(&blob))
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if self.blobs.is_empty() {
            return;
        }
        let Ok(mut pinned) = self.shared.pinned.lock() else {
            return;
        };
        for blob in &self.blobs {
            if let Some(readers) = pinned.get_mut(blob) {
                *readers -= 1;
                if *readers == 0 {
                    pinned.remove(blob);
                }
            }
        }
        GARBAGE_MADE.fetch_add(1, Ordering::Relaxed);
        GARBAGE.notify_waiters();
    }
}

/// Makes sure that no id is used twice, and returns the highest one of the past.
pub(super) async fn continue_ids(store: &Store, folder: &Folder) -> Result<i64, ObjectError> {
    let last: i64 = store
        .read(|db| {
            let newest = "SELECT max(coalesce((SELECT max(id) FROM blobs), 0), coalesce((SELECT max(blob) FROM garbage), 0))";
            Ok::<_, StoreError>(db.query_row(newest, [], |row| row.get(0))?)
        })
        .await?;
    folder.skip_ids_to(last);
    // A file of a crashed upload may be newer than all rows; what is given out from now on is newer than both.
    Ok(folder.next_id())
}

/// Sweeps until `stop`: first what a crash left behind (of ids up to `past`), then whatever becomes garbage.
pub(super) async fn run(
    store: Store,
    folder: Arc<Folder>,
    shared: Arc<Shared>,
    past: i64,
    stop: CancellationToken,
) {
    if let Err(error) = after_a_crash(&store, &folder, past, &stop).await {
        warn!(%error, "files that an earlier run left behind could not all be deleted");
    }
    let mut seen = GARBAGE_MADE.load(Ordering::Relaxed).wrapping_sub(1);
    let mut look_again = false;
    loop {
        let garbage = GARBAGE.notified();
        let made = GARBAGE_MADE.load(Ordering::Relaxed);
        let stopping = if made == seen {
            let woken = async {
                tokio::select! {
                    () = garbage => (),
                    () = shared.changed.notified() => (),
                }
            };
            let wait = async {
                if look_again {
                    look_again = timeout(SECOND_LOOK, woken).await.is_ok();
                } else {
                    woken.await;
                    look_again = true;
                }
            };
            stop.run_until_cancelled(wait).await.is_none()
        } else {
            look_again = true;
            false
        };
        seen = made;
        let stopping = stopping || stop.run_until_cancelled(sleep(DELAY)).await.is_none();
        if let Err(error) = round(&store, &folder, &shared).await {
            warn!(%error, "files of deleted blobs could not all be deleted; they will be later");
        }
        if stopping {
            return;
        }
    }
}

async fn round(
    store: &Store,
    folder: &Arc<Folder>,
    shared: &Arc<Shared>,
) -> Result<(), ObjectError> {
    let discarded = shared
        .discarded
        .lock()
        .map(|mut discarded| std::mem::take(&mut *discarded))
        .unwrap_or_default();
    // A row after all: whoever wrote it was cancelled before they could keep the file.
    let discarded = without_row(store, discarded.into_iter().collect()).await?;
    unlink_all(folder, discarded.into_iter().collect()).await?;
    let mut after = 0;
    loop {
        let batch: Vec<i64> = store
            .read(move |db| {
                let mut query = db.prepare_cached(
                    "SELECT blob FROM garbage WHERE blob > ?1 ORDER BY blob LIMIT ?2",
                )?;
                let rows = query.query_map((after, BATCH), |row| row.get(0))?;
                Ok::<_, StoreError>(rows.collect::<Result<_, _>>()?)
            })
            .await?;
        let Some(last) = batch.last() else {
            return Ok(());
        };
        after = *last;
        let unread: Vec<i64> = batch
            .into_iter()
            .filter(|blob| !shared.is_pinned(*blob))
            .collect();
        unlink_all(folder, unread.clone()).await?;
        // Lost in a crash, it is merely done again.
        store.write_lazily(move |db| {
            let mut forget = db.prepare_cached("DELETE FROM garbage WHERE blob = ?1")?;
            for blob in unread {
                forget.execute([blob])?;
            }
            Ok(())
        });
    }
}

async fn unlink_all(folder: &Arc<Folder>, blobs: Vec<i64>) -> Result<(), ObjectError> {
    if blobs.is_empty() {
        return Ok(());
    }
    let folder = Arc::clone(folder);
    blocking(move || {
        for blob in blobs {
            let path = folder.file(blob);
            unlink(&path).map_err(|error| ObjectError::file("deleting", &path, error))?;
        }
        Ok(())
    })
    .await
}

/// Deletes temporary files, and files that no row knows, of ids up to `past`.
async fn after_a_crash(
    store: &Store,
    folder: &Arc<Folder>,
    past: i64,
    stop: &CancellationToken,
) -> Result<(), ObjectError> {
    let mut deleted = 0;
    for name in folders(folder).await? {
        if stop.is_cancelled() {
            return Ok(());
        }
        let path = folder.root().join(&name);
        let files = blocking(move || ids_in(&path, past)).await?;
        let orphans = if name == "tmp" {
            files
        } else {
            without_row(store, files).await?
        };
        deleted += orphans.len();
        let path = folder.root().join(&name);
        blocking(move || {
            for blob in orphans {
                let path = path.join(blob.to_string());
                unlink(&path).map_err(|error| ObjectError::file("deleting", &path, error))?;
            }
            Ok(())
        })
        .await?;
    }
    if deleted > 0 {
        info!(
            files = deleted,
            "deleted files of uploads that an earlier run did not finish"
        );
    }
    Ok(())
}

async fn folders(folder: &Arc<Folder>) -> Result<Vec<String>, ObjectError> {
    let root = folder.root().to_owned();
    blocking(move || {
        let names = std::fs::read_dir(&root)
            .and_then(|entries| {
                entries
                    .map(|entry| Ok(entry?.file_name()))
                    .collect::<std::io::Result<Vec<_>>>()
            })
            .map_err(|error| ObjectError::file("reading the folder", &root, error))?;
        Ok(names
            .into_iter()
            .filter_map(|name| name.into_string().ok())
            .collect())
    })
    .await
}

/// Ids up to `past` that files in a folder are named by; other names are none of our business. Blocks.
fn ids_in(path: &Path, past: i64) -> Result<BTreeSet<i64>, ObjectError> {
    if !path.is_dir() {
        return Ok(BTreeSet::new());
    }
    let failed = |error| ObjectError::file("reading the folder", path, error);
    let mut ids = BTreeSet::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if let Some(id) = name.to_str().and_then(|name| name.parse().ok())
            && id <= past
        {
            ids.insert(id);
        }
    }
    Ok(ids)
}

async fn without_row(store: &Store, files: BTreeSet<i64>) -> Result<BTreeSet<i64>, ObjectError> {
    if files.is_empty() {
        return Ok(files);
    }
    store
        .read(move |db| {
            let mut query = db.prepare_cached("SELECT 1 FROM blobs WHERE id = ?1")?;
            let mut orphans = BTreeSet::new();
            for blob in files {
                if query.query_row([blob], |_| Ok(())).optional()?.is_none() {
                    orphans.insert(blob);
                }
            }
            Ok::<_, ObjectError>(orphans)
        })
        .await
}
