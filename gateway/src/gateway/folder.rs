//! The data folder: made when missing, and locked, because two gateways on one database would each think that
//! they alone decide.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use anyhow::Context as _;

/// As long as this lives, no other gateway can use the folder. The kernel lets go of it however we end.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// Makes the folder, readable by us alone, and locks it.
pub(super) fn open(data: &Path) -> anyhow::Result<Lock> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data)
        .with_context(|| {
            format!(
                "making the data folder {}; name another one with --data",
                data.display()
            )
        })?;
    let path = data.join("lock");
    let file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .with_context(|| format!("opening {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock { _file: file }),
        Err(TryLockError::WouldBlock) => {
            anyhow::bail!(
                "another gateway is running on the data folder {}; stop it first",
                data.display()
            )
        }
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("locking {}", path.display()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_gateway_at_a_time() {
        let parent = tempfile::tempdir().unwrap();
        let data = parent.path().join("deep/data");
        let first = open(&data).unwrap();
        let error = open(&data).unwrap_err().to_string();
        assert!(
            error.starts_with("another gateway is running on the data folder"),
            "{error}"
        );
        drop(first);
        open(&data).unwrap();
    }
}
