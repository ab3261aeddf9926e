//! What the runtime keeps on disk: one folder per service revision (seen as `/oscar`), one per container (seen as
//! `/spillway`), and the supervisor's binary.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ring::digest::{SHA256, digest};
use uuid::Uuid;

use super::plan::Plan;

/// Where a container sees its revision's folder.
pub(crate) const INSIDE_SERVICE: &str = "/oscar";

/// Where a container sees its own folder.
pub(crate) const INSIDE_MEMBER: &str = "/spillway";

/// The supervisor's socket in the member's folder.
pub(crate) const SOCKET: &str = "supervisor.sock";

/// Folders below the agent's data folder.
#[derive(Debug, Clone)]
pub(crate) struct Folders {
    pub(crate) services: PathBuf,
    pub(crate) members: PathBuf,
    /// Our copy of the binary: its original may be replaced by an update at any time.
    supervisor: PathBuf,
    /// Content of the binary, hashed.
    pub(crate) supervisor_digest: String,
}

impl Folders {
    /// Makes them, and copies the supervisor in.
    pub(crate) fn prepare(data: &Path, supervisor: &Path) -> io::Result<Self> {
        let binary = fs::read(supervisor)?;
        let supervisor_digest = hex::encode(&digest(&SHA256, &binary).as_ref()[..8]);
        let (services, members) = (data.join("services"), data.join("members"));
        // Containers run as any user: they must get through to their own folder, and no further.
        for (folder, mode) in [(&services, 0o711), (&members, 0o711)] {
            fs::create_dir_all(folder)?;
            fs::set_permissions(folder, Permissions::from_mode(mode))?;
        }
        let kept = services.join(format!(".supervisor-{supervisor_digest}"));
        if fs::read(&kept).ok().as_ref() != Some(&binary) {
            let fresh = services.join(format!(".new-{}", Uuid::new_v4().simple()));
            fs::write(&fresh, &binary)?;
            fs::set_permissions(&fresh, Permissions::from_mode(0o755))?;
            fs::rename(&fresh, &kept)?;
        }
        Ok(Self {
            services,
            members,
            supervisor: kept,
            supervisor_digest,
        })
    }

    /// The supervisor's binary.
    pub(crate) fn supervisor(&self) -> io::Result<Vec<u8>> {
        fs::read(&self.supervisor)
    }

    /// Writes the folder of a revision, unless it is there already.
    pub(crate) async fn write_service(&self, plan: &Arc<Plan>) -> io::Result<()> {
        let (plan, supervisor) = (Arc::clone(plan), self.supervisor.clone());
        blocking(move || write_service(&plan, &supervisor)).await
    }

    /// Makes the folder of a new container.
    pub(crate) async fn make_member(&self, folder: &Path) -> io::Result<()> {
        let folder = folder.to_owned();
        blocking(move || {
            fs::create_dir(&folder)?;
            fs::set_permissions(&folder, Permissions::from_mode(0o777))
        })
        .await
    }

    /// Removes a folder with all that is in it; one that is not there is fine.
    pub(crate) async fn remove(&self, folder: PathBuf) -> io::Result<()> {
        blocking(move || match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        })
        .await
    }

    /// Removes every revision's folder but those `in_use`, and every container's folder but those in `members`.
    pub(crate) async fn clean(
        &self,
        in_use: Vec<PathBuf>,
        members: Vec<PathBuf>,
    ) -> io::Result<()> {
        let folders = self.clone();
        blocking(move || {
            for service in entries(&folders.services)?
                .into_iter()
                .filter(|entry| entry.is_dir())
            {
                remove_all_but(&service, &in_use)?;
                // Fails while there is still a revision in it, which is what we want.
                let _ = fs::remove_dir(&service);
            }
            for file in entries(&folders.services)?
                .into_iter()
                .filter(|entry| entry.is_file())
            {
                if file != folders.supervisor {
                    fs::remove_file(file)?;
                }
            }
            remove_all_but(&folders.members, &members)
        })
        .await
    }
}

fn write_service(plan: &Plan, supervisor: &Path) -> io::Result<()> {
    if plan.folder.exists() {
        return Ok(());
    }
    let Some(parent) = plan.folder.parent() else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    fs::create_dir_all(parent)?;
    fs::set_permissions(parent, Permissions::from_mode(0o711))?;
    let fresh = parent.join(format!(".new-{}", Uuid::new_v4().simple()));
    let (bin, config) = (fresh.join("bin"), fresh.join("config"));
    for folder in [&fresh, &bin, &config] {
        fs::create_dir(folder)?;
        fs::set_permissions(folder, Permissions::from_mode(0o755))?;
    }
    let binary = bin.join("supervisor");
    if fs::hard_link(supervisor, &binary).is_err() {
        fs::copy(supervisor, &binary)?;
        fs::set_permissions(&binary, Permissions::from_mode(0o755))?;
    }
    for (name, content) in [
        ("script.sh", plan.definition.service.script.clone()),
        ("function_config.yaml", plan.public_definition()),
    ] {
        let file = config.join(name);
        fs::write(&file, content)?;
        fs::set_permissions(&file, Permissions::from_mode(0o644))?;
    }
    match fs::rename(&fresh, &plan.folder) {
        // Another claim of the same revision was faster.
        Err(_) if plan.folder.exists() => fs::remove_dir_all(&fresh),
        result => result,
    }
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect()
}

fn remove_all_but(folder: &Path, kept: &[PathBuf]) -> io::Result<()> {
    for entry in entries(folder)?
        .into_iter()
        .filter(|entry| !kept.contains(entry))
    {
        if entry.is_dir() {
            fs::remove_dir_all(entry)?;
        } else {
            fs::remove_file(entry)?;
        }
    }
    Ok(())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}
