//! Managed volumes: local volumes of the container engine. Unlike containers they are nobody's leftovers: only what the
//! gateway names is ever removed.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bollard::models::VolumeCreateRequest;
use bollard::query_parameters::RemoveVolumeOptions;
use spillway_model::wire::link::{VolumeIs, VolumeReport, VolumeShall, WantedVolume};
use tracing::{info, warn};

use super::core::Core;
use super::engine::EngineError;
use super::labels;

/// Files that are looked at when a volume is measured; a volume with more has at least that many bytes.
const MEASURED_FILES: usize = 200_000;

/// A volume is measured at most so often.
const MEASURE_EVERY: Duration = Duration::from_mins(5);

/// What was measured, by volume.
pub(crate) type Measured = HashMap<String, (Instant, u64)>;

/// Does what shall be done with each of them, and says how they are then.
pub(crate) async fn carry_out(
    core: &Core,
    wanted: &[WantedVolume],
    measured: &mut Measured,
) -> Vec<VolumeReport> {
    measured.retain(|id, _| wanted.iter().any(|volume| volume.id == *id));
    let mut reports = Vec::with_capacity(wanted.len());
    for volume in wanted {
        let done = match volume.shall {
            VolumeShall::BeMade => make(core, volume).await.map(|()| VolumeIs::Present),
            VolumeShall::Stay => is_there(core, &volume.id).await.map(|there| {
                if there {
                    VolumeIs::Present
                } else {
                    VolumeIs::Absent
                }
            }),
            VolumeShall::BeGone => remove(core, &volume.id).await.map(|()| VolumeIs::Absent),
        };
        let is = match done {
            Ok(is) => is,
            // Nothing is known while the engine is away.
            Err(EngineError::Away { .. }) => continue,
            Err(error) => VolumeIs::Failed {
                message: error.to_string(),
            },
        };
        let used_bytes = if is == VolumeIs::Present {
            used(core, &volume.id, measured).await
        } else {
            None
        };
        reports.push(VolumeReport {
            id: volume.id.clone(),
            is,
            used_bytes,
        });
    }
    reports
}

/// Whether the engine has it.
pub(crate) async fn is_there(core: &Core, id: &str) -> Result<bool, EngineError> {
    Ok(mountpoint(core, id).await?.is_some())
}

async fn mountpoint(core: &Core, id: &str) -> Result<Option<PathBuf>, EngineError> {
    let docker = core.engine.docker();
    let found = core
        .engine
        .call("looking at a volume", docker.inspect_volume(id))
        .await;
    match found {
        Ok(volume) => Ok(Some(volume.mountpoint.into())),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

async fn make(core: &Core, volume: &WantedVolume) -> Result<(), EngineError> {
    if is_there(core, &volume.id).await? {
        return Ok(());
    }
    let mut marks = labels::common(&core.settings, labels::VOLUME);
    marks.insert(labels::NAME.to_owned(), volume.name.clone());
    let request = VolumeCreateRequest {
        name: Some(volume.id.clone()),
        labels: Some(marks),
        ..VolumeCreateRequest::default()
    };
    let docker = core.engine.docker();
    let made = core
        .engine
        .call("making a volume", docker.create_volume(request))
        .await?;
    info!(volume = volume.name, id = volume.id, "made a volume");
    // Images may run as any user.
    let folder = PathBuf::from(made.mountpoint);
    let opened = crate::staging::blocking(move || {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o1777))
    })
    .await;
    if let Ok(Err(error)) | Err(error) = opened {
        warn!(%error, volume = volume.name, "only root of a container can write to the volume");
    }
    Ok(())
}

async fn remove(core: &Core, id: &str) -> Result<(), EngineError> {
    let docker = core.engine.docker();
    let removed = core
        .engine
        .call(
            "removing a volume",
            docker.remove_volume(id, None::<RemoveVolumeOptions>),
        )
        .await;
    match removed {
        Err(error) if !error.is_not_found() => Err(error),
        _ => {
            info!(id, "removed a volume");
            Ok(())
        }
    }
}

/// Bytes in it, as far as this process can look into it.
async fn used(core: &Core, id: &str, measured: &mut Measured) -> Option<u64> {
    if let Some((at, bytes)) = measured.get(id)
        && at.elapsed() < MEASURE_EVERY
    {
        return Some(*bytes);
    }
    let folder = mountpoint(core, id).await.ok()??;
    let bytes = crate::staging::blocking(move || measure(&folder))
        .await
        .ok()?
        .ok()?;
    measured.insert(id.to_owned(), (Instant::now(), bytes));
    Some(bytes)
}

/// Space that the files take on the disk; links are not followed.
fn measure(folder: &Path) -> std::io::Result<u64> {
    use std::os::unix::fs::MetadataExt as _;

    let mut folders = vec![folder.to_owned()];
    let (mut bytes, mut files) = (0_u64, 0);
    let mut first = true;
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if first => return Err(error),
            Err(_) => continue, // Deleted meanwhile.
        };
        first = false;
        for entry in entries.flatten() {
            files += 1;
            if files > MEASURED_FILES {
                return Ok(bytes);
            }
            let Ok(facts) = entry.metadata() else {
                continue;
            };
            bytes += facts.blocks() * 512;
            if facts.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_out_of_a_volume_are_not_measured() {
        let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(outside.path().join("large"), vec![1; 1 << 20]).unwrap();
        fs::create_dir(inside.path().join("deep")).unwrap();
        fs::write(inside.path().join("deep/small"), vec![1; 5000]).unwrap();
        std::os::unix::fs::symlink(outside.path(), inside.path().join("link")).unwrap();
        let bytes = measure(inside.path()).unwrap();
        assert!((5000..500_000).contains(&bytes), "{bytes}");
        assert!(measure(Path::new("/nowhere at all")).is_err());
    }
}
