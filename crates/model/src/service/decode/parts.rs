//! Reading the parts of a service.

use crate::service::{
    Edge, Environment, Expose, Federation, Replica, StorageIo, Synchronous, Volume, VolumeStatus,
};
use crate::written::{Members, Notes, What, Written};

pub(super) fn synchronous(notes: &mut Notes, value: &Written, path: &str) -> Synchronous {
    let mut it = notes.members(value, path);
    let synchronous = Synchronous {
        min_scale: it.count("min_scale"),
        max_scale: it.count("max_scale"),
    };
    it.finish();
    synchronous
}

pub(super) fn storage_io(notes: &mut Notes, value: &Written, path: &str) -> StorageIo {
    let mut it = notes.members(value, path);
    let io = StorageIo {
        storage_provider: it.text("storage_provider"),
        path: it.text("path"),
        suffix: it.texts("suffix"),
        prefix: it.texts("prefix"),
        options: it.text("options"),
    };
    it.finish();
    io
}

pub(super) fn expose(notes: &mut Notes, value: &Written, path: &str) -> Expose {
    let mut it = notes.members(value, path);
    let mut expose = Expose {
        min_scale: it.count("min_scale"),
        max_scale: it.count("max_scale"),
        api_port: ports(&mut it, "api_port"),
        cpu_threshold: it.count("cpu_threshold"),
        rewrite_target: it.flag("rewrite_target"),
        node_port: ports(&mut it, "nodePort"),
        default_command: it.flag("default_command"),
        set_auth: it.flag("set_auth"),
        auth_type: it.text("auth_type"),
        health_path: it.text("health_path"),
        probe_mode: it.text("probe_mode"),
    };
    it.finish();
    // In `nodePort` a 0 means "choose one"; a port of the container has to be known.
    expose.api_port.retain(|port| *port != 0);
    expose
}

/// One port or a list of them; the single number 0 is none.
fn ports(it: &mut Members<'_, '_>, name: &'static str) -> Vec<u16> {
    let expected = "a port number, 1 to 65535, or a list of them";
    let Some(value) = it.get(name) else {
        return Vec::new();
    };
    let path = it.path(name);
    match &value.what {
        What::List(items) => {
            it.notes.places.insert(path.clone(), value.place);
            let numbered = items.iter().enumerate();
            numbered
                .filter_map(|(at, item)| it.notes.whole(item, &format!("{path}[{at}]"), expected))
                .collect()
        }
        _ => it
            .notes
            .whole(value, &path, expected)
            .filter(|port| *port != 0)
            .into_iter()
            .collect(),
    }
}

pub(super) fn environment(notes: &mut Notes, value: &Written, path: &str) -> Environment {
    let mut it = notes.members(value, path);
    let environment = Environment {
        variables: it.strings("variables"),
        secrets: it.strings("secrets"),
    };
    it.finish();
    environment
}

pub(super) fn federation(notes: &mut Notes, value: &Written, path: &str) -> Federation {
    let mut it = notes.members(value, path);
    let federation = Federation {
        group_id: it.text("group_id"),
        topology: it.text("topology"),
        delegation: it.text("delegation"),
        rescheduler_threshold: threshold(&mut it),
        members: it.list("members", replica),
    };
    it.finish();
    federation
}

/// Seconds; one dashboard sends them as text.
pub(super) fn threshold(it: &mut Members<'_, '_>) -> u32 {
    let name = "rescheduler_threshold";
    let Some(value) = it.get(name) else { return 0 };
    let path = it.path(name);
    if let What::Text(text) = &value.what {
        if text.trim().is_empty() {
            return 0;
        }
        let number = Written {
            what: What::Number(text.trim().to_owned()),
            place: value.place,
        };
        return it
            .notes
            .whole(&number, &path, "a whole number of seconds")
            .unwrap_or_default();
    }
    it.notes
        .whole(value, &path, "a whole number of seconds")
        .unwrap_or_default()
}

pub(super) fn replica(notes: &mut Notes, value: &Written, path: &str) -> Replica {
    let mut it = notes.members(value, path);
    let replica = Replica {
        kind: it.text("type"),
        cluster_id: it.text("cluster_id"),
        service_name: it.text("service_name"),
        url: it.text("url"),
        ssl_verify: it.flag("ssl_verify"),
        priority: it.count("priority"),
        headers: it.strings("headers"),
    };
    it.finish();
    replica
}

pub(super) fn volume(notes: &mut Notes, value: &Written, path: &str) -> Volume {
    let mut it = notes.members(value, path);
    let volume = Volume {
        name: it.text("name"),
        size: it.text("size"),
        mount_path: it.text("mount_path"),
        lifecycle_policy: it.text("lifecycle_policy"),
    };
    it.finish();
    volume
}

pub(super) fn volume_status(notes: &mut Notes, value: &Written, path: &str) -> VolumeStatus {
    let mut it = notes.members(value, path);
    let status = VolumeStatus {
        enabled: it.flag("enabled"),
        name: it.text("name"),
        phase: it.text("phase"),
        error: it.text("error"),
    };
    it.finish();
    status
}

pub(super) fn edge(notes: &mut Notes, value: &Written, path: &str) -> Edge {
    let mut it = notes.members(value, path);
    let edge = Edge {
        node_selector: it.strings("node_selector"),
        devices: it.texts("devices"),
        priority: it.optional_whole("priority", "a whole number; higher runs first"),
        deadline: it.optional_text("deadline"),
        timeout: it.optional_text("timeout"),
        retries: it.optional_whole("retries", "a whole number, 0 or more"),
        reuse: it.optional_flag("reuse"),
        offload: it.optional_text("offload"),
        after: it.optional_text("after"),
        read_only: it.optional_flag("read_only"),
        network: it.optional_text("network"),
    };
    it.finish();
    edge
}
