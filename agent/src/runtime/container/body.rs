//! What the engine is told about a service's container: limits, isolation, mounts, labels.

use std::path::Path;

use bollard::models::{
    ContainerCreateBody, DeviceMapping, HealthConfig, HostConfig, HostConfigLogConfig, Mount,
    MountType, MountVolumeOptions,
};
use spillway_model::wire::link::{MountedVolume, Resources};

use crate::runtime::core::Core;
use crate::runtime::folders::{INSIDE_MEMBER, INSIDE_SERVICE};
use crate::runtime::holder::Holder;
use crate::runtime::labels;
use crate::runtime::plan::Plan;

/// Most processes and threads in one container.
const PIDS: i64 = 512;

/// The container of a plan, whose folder is `folder`, named `id`.
pub(super) fn body(
    core: &Core,
    plan: &Plan,
    id: &str,
    folder: &Path,
    holder: Option<&Holder>,
) -> ContainerCreateBody {
    let service = &plan.definition.service;
    let mut all_labels = labels::common(&core.settings, labels::MEMBER);
    all_labels.extend(
        [
            (labels::SERVICE, plan.key.service.clone()),
            (labels::REVISION, plan.key.revision.to_string()),
            (labels::DIGEST, plan.key.digest.clone()),
            (labels::FOLDER, id.to_owned()),
            (labels::MILLICORES, plan.resources.millicores.to_string()),
            (labels::MEMORY, plan.resources.memory_bytes.to_string()),
            (
                labels::JOINED,
                holder
                    .map(|holder| holder.container.clone())
                    .unwrap_or_default(),
            ),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    let network = match holder {
        Some(holder) => format!("container:{}", holder.container),
        None => plan.network.policy.mode().to_owned(),
    };
    let device = |path: &String| DeviceMapping {
        path_on_host: Some(path.clone()),
        path_in_container: Some(path.clone()),
        cgroup_permissions: Some("rwm".into()),
    };
    let (cpus, memory) = engine_numbers(plan.resources);
    ContainerCreateBody {
        image: Some(service.image.clone()),
        entrypoint: Some(vec![format!("{INSIDE_SERVICE}/bin/supervisor")]),
        env: Some(plan.environment(&core.settings.node)),
        labels: Some(all_labels),
        healthcheck: Some(HealthConfig {
            test: Some(vec!["NONE".into()]),
            ..HealthConfig::default()
        }),
        host_config: Some(HostConfig {
            network_mode: Some(network),
            nano_cpus: Some(cpus),
            memory: Some(memory),
            memory_swap: Some(memory),
            pids_limit: Some(PIDS),
            cap_drop: Some(vec!["ALL".into()]),
            security_opt: Some(vec!["no-new-privileges".into()]),
            readonly_rootfs: Some(service.read_only()),
            devices: Some(service.devices().iter().map(device).collect()),
            log_config: Some(HostConfigLogConfig {
                typ: Some("none".into()),
                config: None,
            }),
            binds: Some(vec![
                format!("{}:{INSIDE_SERVICE}:ro", plan.folder.display()),
                format!("{}:{INSIDE_MEMBER}:rw", folder.display()),
            ]),
            mounts: plan
                .definition
                .volume
                .as_ref()
                .map(|volume| vec![mount(volume)]),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}

/// The managed volume. What the image has at that place is not copied into it, as on Kubernetes.
fn mount(volume: &MountedVolume) -> Mount {
    Mount {
        typ: Some(MountType::VOLUME),
        source: Some(volume.id.clone()),
        target: Some(volume.mount_path.clone()),
        volume_options: Some(MountVolumeOptions {
            no_copy: Some(true),
            ..MountVolumeOptions::default()
        }),
        ..Mount::default()
    }
}

/// Billionths of a core and bytes, as the engine takes them.
fn engine_numbers(resources: Resources) -> (i64, i64) {
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    (
        number(resources.millicores.saturating_mul(1_000_000)),
        number(resources.memory_bytes),
    )
}
