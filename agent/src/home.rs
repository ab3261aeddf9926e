//! The agent's data folder: held by one process at a time, with the identity that names our containers.
//!
//! `identity` (random, 0600), `agent.lock`, `staging/` (inputs before their container is known), `outbox/` (what
//! runs left behind, until the gateway has it); the runtime keeps `services/`, `members/` and `engine.json` beside.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use spillway_model::wire::link::Attempt;

/// The data folder, held until dropped.
#[derive(Debug)]
pub(crate) struct Home {
    data: PathBuf,
    identity: String,
    _lock: File,
}

/// Why the data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HomeError {
    #[error("the data folder {} is in use by another agent (process {pid}); stop that one or give another --data", data.display())]
    InUse { data: PathBuf, pid: String },
    #[error("cannot {doing} {}", path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

impl Home {
    /// Takes the folder, making it if need be, and clears what a former process was in the midst of: its leases
    /// are void.
    pub(crate) fn open(data: &Path) -> Result<Self, HomeError> {
        make_folder(data)?;
        let lock = lock(data)?;
        let identity = identity(&data.join("identity"))?;
        for name in ["staging", "outbox"] {
            let folder = data.join(name);
            match fs::remove_dir_all(&folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(HomeError::Io {
                        doing: "clear the leftovers in",
                        path: folder,
                        source: error,
                    });
                }
                _ => make_folder(&folder)?,
            }
        }
        Ok(Self {
            data: data.to_owned(),
            identity,
            _lock: lock,
        })
    }

    /// The folder itself.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// Random name of this installation.
    pub(crate) fn identity(&self) -> &str {
        &self.identity
    }

    /// Where run number `run` is made ready.
    pub(crate) fn staging(&self, run: u64) -> PathBuf {
        self.data.join("staging").join(run.to_string())
    }

    /// Where the folder of an attempt waits for the gateway.
    pub(crate) fn outbox(&self, attempt: &Attempt) -> PathBuf {
        self.data
            .join("outbox")
            .join(format!("{}-{}", attempt.job, attempt.attempt))
    }

    /// Free bytes on the disk of the data folder.
    pub(crate) fn free_bytes(&self) -> io::Result<u64> {
        free_bytes(&self.data)
    }
}

/// Free bytes, for whoever is not privileged, on the disk of `folder`.
pub(crate) fn free_bytes(folder: &Path) -> io::Result<u64> {
    let about = rustix::fs::statvfs(folder)?;
    Ok(about.f_bavail.saturating_mul(about.f_frsize))
}

fn make_folder(path: &Path) -> Result<(), HomeError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o711) // Containers of any user pass through to their own folder, and list nothing.
        .create(path)
        .map_err(|source| HomeError::Io {
            doing: "make the folder",
            path: path.to_owned(),
            source,
        })
}

fn lock(data: &Path) -> Result<File, HomeError> {
    let path = data.join("agent.lock");
    let wrong = |doing: &'static str| {
        let path = path.clone();
        move |source: io::Error| HomeError::Io {
            doing,
            path,
            source,
        }
    };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(wrong("open the lock file"))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut pid = String::new();
            let _ = (&file).take(32).read_to_string(&mut pid);
            let pid = if pid.trim().is_empty() {
                "unknown".to_owned()
            } else {
                pid.trim().to_owned()
            };
            return Err(HomeError::InUse {
                data: data.to_owned(),
                pid,
            });
        }
        Err(error) => return Err(wrong("lock")(error.into())),
    }
    file.set_len(0)
        .and_then(|()| file.write_all(std::process::id().to_string().as_bytes()))
        .map_err(wrong("write the lock file"))?;
    Ok(file)
}

/// Reads the identity, or makes one.
fn identity(path: &Path) -> Result<String, HomeError> {
    let wrong = |doing: &'static str| {
        move |source: io::Error| HomeError::Io {
            doing,
            path: path.to_owned(),
            source,
        }
    };
    match fs::read_to_string(path) {
        // A power cut may have left an empty file; nothing can be labelled with that, so a new one is as good.
        Ok(text) if uuid::Uuid::parse_str(text.trim()).is_ok() => {
            return Ok(text.trim().to_owned());
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(wrong("read the identity")(error)),
    }
    let identity = uuid::Uuid::new_v4().simple().to_string();
    let new = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)
        .map_err(wrong("write the identity"))?;
    file.write_all(identity.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&new, path))
        .map_err(wrong("write the identity"))?;
    Ok(identity)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_identity_is_kept_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let first = Home::open(folder.path()).unwrap().identity().to_owned();
        assert_eq!(Home::open(folder.path()).unwrap().identity(), first);
        let mode = fs::metadata(folder.path().join("identity"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_second_agent_is_told_who_holds_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let _held = Home::open(folder.path()).unwrap();
        let error = Home::open(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains(&folder.path().display().to_string()),
            "{error}"
        );
        assert!(
            error.contains(&format!("process {}", std::process::id())),
            "{error}"
        );
    }

    #[test]
    fn what_a_former_process_left_is_cleared() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(folder.path()).unwrap();
        let attempt = Attempt {
            job: "s-1".to_owned(),
            attempt: 2,
        };
        fs::create_dir_all(home.outbox(&attempt).join("output")).unwrap();
        fs::create_dir_all(home.staging(7)).unwrap();
        drop(home);
        let home = Home::open(folder.path()).unwrap();
        assert!(!home.outbox(&attempt).exists() && !home.staging(7).exists());
        assert!(home.free_bytes().unwrap() > 0);
    }
}
