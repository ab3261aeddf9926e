//! Where the files of blobs are, how their ids are made, and how much room is left for them.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::objects::ObjectError;

/// Bits below the milliseconds in an id: as many blobs as can be numbered in one of them before ids run ahead.
const COUNTER_BITS: u32 = 15;

/// Bits of an id below those that name its folder: blobs of the same few seconds share a folder, so that few
/// blocks of directories are written.
const FOLDER_SHIFT: u32 = COUNTER_BITS + 12;

/// How old a measurement of the free space may be while only small contents arrive.
const SPACE_AGE: Duration = Duration::from_secs(1);

/// The folder of blobs: `tmp/<id>` while they arrive, `<2 hex>/<id>` once they are whole.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    /// Bytes that stay free on the disk whatever is uploaded.
    reserve: u64,
    last_id: AtomicI64,
    free: AtomicU64,
    measured: Mutex<Option<Instant>>,
}

impl Folder {
    /// Creates what is missing. Blocks.
    pub(super) fn open(root: &Path, reserve: u64) -> Result<Self, ObjectError> {
        let tmp = root.join("tmp");
        std::fs::create_dir_all(&tmp)
            .map_err(|error| ObjectError::file("creating the folder", &tmp, error))?;
        Ok(Self {
            root: root.to_owned(),
            reserve,
            last_id: AtomicI64::new(0),
            free: AtomicU64::new(0),
            measured: Mutex::new(None),
        })
    }

    /// No id at or below `id` is given out from now on.
    pub(super) fn skip_ids_to(&self, id: i64) {
        self.last_id.fetch_max(id, Ordering::Relaxed);
    }

    /// A fresh id: strictly rising, also when the clock of a board without a battery jumps back.
    pub(super) fn next_id(&self) -> i64 {
        let now = Timestamp::now().as_millisecond().max(0) << COUNTER_BITS;
        let next = |last: i64| now.max(last + 1);
        match self
            .last_id
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
                Some(next(last))
            }) {
            Ok(last) | Err(last) => next(last),
        }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn temporary(&self, id: i64) -> PathBuf {
        self.root.join("tmp").join(id.to_string())
    }

    pub(super) fn file(&self, id: i64) -> PathBuf {
        self.root
            .join(format!("{:02x}", (id >> FOLDER_SHIFT) & 0xff))
            .join(id.to_string())
    }

    /// Gives a synced temporary file its final name, durably. Blocks.
    pub(super) fn publish(&self, id: i64) -> Result<(), ObjectError> {
        let (from, to) = (self.temporary(id), self.file(id));
        let folder = to.parent().unwrap_or(&self.root);
        let mut renamed = std::fs::rename(&from, &to);
        if renamed
            .as_ref()
            .is_err_and(|error| error.kind() == ErrorKind::NotFound)
        {
            create_folder(folder)?;
            sync_folder(&self.root)?;
            renamed = std::fs::rename(&from, &to);
        }
        renamed.map_err(|error| ObjectError::file("renaming a blob to", &to, error))?;
        sync_folder(folder)
    }

    /// Refuses `more` bytes that would eat into the reserve. Measures now. Blocks shortly.
    pub(super) fn require_room(&self, more: u64) -> Result<(), ObjectError> {
        let stat = rustix::fs::statvfs(&self.root).map_err(|error| {
            ObjectError::file("measuring the free space of", &self.root, error.into())
        })?;
        self.free.store(
            stat.f_bavail.saturating_mul(stat.f_frsize),
            Ordering::Relaxed,
        );
        if let Ok(mut measured) = self.measured.lock() {
            *measured = Some(Instant::now());
        }
        self.compare(more)
    }

    /// The same with a measurement that may be a second old.
    pub(super) fn probably_require_room(&self, more: u64) -> Result<(), ObjectError> {
        let fresh = self
            .measured
            .lock()
            .is_ok_and(|at| at.is_some_and(|at| at.elapsed() < SPACE_AGE));
        if fresh {
            self.compare(more)
        } else {
            self.require_room(more)
        }
    }

    fn compare(&self, more: u64) -> Result<(), ObjectError> {
        let free = self.free.load(Ordering::Relaxed);
        if free < self.reserve.saturating_add(more) {
            return Err(ObjectError::StorageFull {
                free,
                reserve: self.reserve,
            });
        }
        Ok(())
    }
}

fn create_folder(path: &Path) -> Result<(), ObjectError> {
    match std::fs::create_dir(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(ObjectError::file("creating the folder", path, error))
        }
        _ => Ok(()),
    }
}

fn sync_folder(path: &Path) -> Result<(), ObjectError> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| ObjectError::file("syncing the folder", path, error))
}

/// Deletes a file; that it is gone already is fine. Blocks.
pub(super) fn unlink(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_rise_even_when_the_clock_is_behind_the_last_of_them() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::open(root.path(), 0).unwrap();
        let first = folder.next_id();
        let ahead = first + (1 << 40);
        folder.skip_ids_to(ahead);
        let ids: Vec<i64> = (0..1000).map(|_| folder.next_id()).collect();
        assert_eq!(ids[0], ahead + 1);
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(folder.next_id() > 0);
    }

    #[test]
    fn the_reserve_stays_free() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::open(root.path(), u64::MAX / 2).unwrap();
        assert!(matches!(
            folder.require_room(1),
            Err(ObjectError::StorageFull { .. })
        ));
        assert!(matches!(
            folder.probably_require_room(1),
            Err(ObjectError::StorageFull { .. })
        ));
        let folder = Folder::open(root.path(), 0).unwrap();
        folder.probably_require_room(1).unwrap();
    }
}
