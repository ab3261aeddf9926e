//! Volumes of services, inside the transactions that create and delete services.

use std::collections::BTreeMap;

use rusqlite::Connection;
use spillway_model::service::{Service, VolumeStatus};
use spillway_model::wire::link::MountedVolume;

use super::{VolumeError, Wanted, insert, rows};
use crate::store::StoreError;

/// Makes the volume that a new service defines, or takes the one it names. The service's row must be there.
pub(crate) fn attach(db: &Connection, owner: &str, service: &Service) -> Result<(), VolumeError> {
    let Some(volume) = &service.volume else {
        return Ok(());
    };
    let id = if volume.size.is_empty() {
        let found = rows::named(db, owner, &volume.name)?;
        let usable = found.into_iter().find(|found| !found.is_going());
        usable.ok_or(VolumeError::Missing)?.id
    } else {
        let wanted = Wanted {
            owner,
            name: &volume.name,
            size: &volume.size,
            service: &service.name,
            policy: &volume.lifecycle_policy,
        };
        insert(db, &wanted)?
    };
    rows::mount(db, &service.name, &id, &volume.mount_path)?;
    Ok(())
}

/// Lets go of the volume of a service that is being deleted. A volume that a service made with the policy `delete` goes
/// when nobody mounts it any more and its maker is gone.
pub(crate) fn detach(db: &Connection, service: &str) -> Result<(), StoreError> {
    let Some(volume) = rows::of_service(db, service)? else {
        return Ok(());
    };
    rows::unmount(db, service)?;
    let maker_stays = volume.service != service
        && db
            .prepare_cached("SELECT 1 FROM services WHERE name = ?1")?
            .exists([&volume.service])?;
    let is_last = volume.attachments.len() == 1;
    if volume.policy == "delete" && is_last && !maker_stays {
        rows::begin_deletion(db, &volume.id)?;
    }
    Ok(())
}

/// A service's volume is what it was when the service was made.
pub(crate) fn keeps_its_volume(old: &Service, new: &Service) -> Result<(), VolumeError> {
    if old.volume == new.volume {
        Ok(())
    } else {
        Err(VolumeError::Changed)
    }
}

/// What the service's `volume_status` says.
pub(crate) fn status(db: &Connection, service: &str) -> Result<VolumeStatus, StoreError> {
    Ok(rows::of_service(db, service)?
        .map(|volume| told(&volume.name, volume.phase(), &volume.message))
        .unwrap_or_default())
}

/// The same of all services that have a volume.
pub(crate) fn statuses(db: &Connection) -> Result<BTreeMap<String, VolumeStatus>, StoreError> {
    let pins = rows::pins(db)?.into_iter();
    let told = pins.map(|(service, pin)| {
        let phase = match pin.phase.as_str() {
            "ready" => "in_use",
            phase => phase,
        };
        (service, told(&pin.volume, phase, &pin.message))
    });
    Ok(told.collect())
}

fn told(name: &str, phase: &str, message: &str) -> VolumeStatus {
    VolumeStatus {
        enabled: true,
        name: name.to_owned(),
        phase: phase.to_owned(),
        error: if phase == "error" { message } else { "" }.to_owned(),
    }
}

/// What the service's containers mount.
pub(crate) fn mounted(db: &Connection, service: &str) -> Result<Option<MountedVolume>, StoreError> {
    let Some(volume) = rows::of_service(db, service)? else {
        return Ok(None);
    };
    let own = volume
        .attachments
        .into_iter()
        .find(|attachment| attachment.service == service);
    Ok(own.map(|own| MountedVolume {
        id: volume.id,
        mount_path: own.mount_path,
    }))
}
