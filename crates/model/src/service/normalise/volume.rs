//! Rules of the managed volume.

use super::names;
use crate::quantity::Memory;
use crate::service::{Service, SpecError};

/// Folders of the container that are Spillway's.
const RESERVED: [&str; 4] = ["/oscar/config", "/oscar/bin", "/oscar", "/spillway"];

/// Trims and completes the volume, and checks it. The texts are the reference's where it has one.
pub(super) fn normalise(service: &mut Service, problems: &mut Vec<SpecError>) {
    let Some(volume) = &mut service.volume else {
        return;
    };
    for text in [
        &mut volume.name,
        &mut volume.size,
        &mut volume.mount_path,
        &mut volume.lifecycle_policy,
    ] {
        *text = text.trim().to_owned();
    }
    let mut wrong = |member: &str, message: String| {
        problems.push(SpecError::new(format!("volume.{member}"), message));
    };
    let creates = !volume.size.is_empty();
    if creates {
        match volume.size.parse::<Memory>() {
            Err(error) => wrong("size", error.to_string()),
            Ok(size) if size.bytes() == 0 => wrong(
                "size",
                format!("{:?} is nothing; expected more than 0", volume.size),
            ),
            Ok(_) => {}
        }
        if volume.name.is_empty() {
            volume.name.clone_from(&service.name);
        }
        if volume.lifecycle_policy.is_empty() {
            "delete".clone_into(&mut volume.lifecycle_policy);
        }
        if !["delete", "retain"].contains(&volume.lifecycle_policy.as_str()) {
            wrong(
                "lifecycle_policy",
                format!(
                    "{:?} is not known; expected delete or retain",
                    volume.lifecycle_policy
                ),
            );
        }
    } else {
        if volume.name.is_empty() {
            wrong(
                "name",
                "volume.name is required when volume.size is not set".to_owned(),
            );
        }
        if !volume.lifecycle_policy.is_empty() {
            wrong(
                "lifecycle_policy",
                "volume.lifecycle_policy is only possible together with volume.size".to_owned(),
            );
        }
    }
    if let (false, Err(message)) = (volume.name.is_empty(), names::dns_label(&volume.name)) {
        wrong("name", message);
    }
    let path = volume.mount_path.as_str();
    if path.is_empty() {
        wrong("mount_path", "volume.mount_path is required".to_owned());
    } else if !path.starts_with('/') || path.split('/').any(|segment| matches!(segment, "." | ".."))
    {
        wrong("mount_path", format!("{path:?} is no absolute path"));
    } else if path.trim_end_matches('/').is_empty() {
        wrong(
            "mount_path",
            "the root of the container cannot be a volume".to_owned(),
        );
    } else if let Some(taken) = RESERVED.into_iter().find(|taken| {
        let path = path.trim_end_matches('/');
        path == *taken
            || path
                .strip_prefix(taken)
                .is_some_and(|rest| rest.starts_with('/'))
    }) {
        wrong(
            "mount_path",
            format!("{path:?} is taken: {taken} belongs to the platform"),
        );
    }
}
