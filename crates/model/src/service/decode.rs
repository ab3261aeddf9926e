//! Reading a service from JSON or YAML, as leniently as OSCAR's API and clients do.

mod parts;
mod providers;

use super::{Federation, Replica, Service, SpecError, Warning};
use crate::written::{self, Dialect, Note, Notes, What, Written};

pub(crate) use providers::{clusters, storage_providers};

/// A service and what was odd about its text.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// The service as sent: not yet normalised.
    pub service: Service,
    /// Unknown members and the like.
    pub warnings: Vec<Warning>,
}

impl Service {
    /// Reads the body of a request: names in any case, null for "not given", unknown members as warnings, ports as
    /// one number or several, and members that lived elsewhere in older versions at their old place.
    pub fn from_json(body: &[u8]) -> Result<Decoded, SpecError> {
        if body.trim_ascii().is_empty() {
            return Err(SpecError::new("", "EOF"));
        }
        let json = written::read_json(body)
            .map_err(|error| SpecError::new("", format!("it is no JSON: {error}")))?;
        let mut notes = Notes::new(Dialect::Json);
        if !matches!(json.what, What::Map(_)) {
            return Err(SpecError::new(
                "",
                format!("found {}; expected a JSON object", json.shown()),
            ));
        }
        let service = read(&mut notes, &json, "");
        match notes.problems.into_iter().next() {
            Some(Note { field, message, .. }) => Err(SpecError { field, message }),
            None => Ok(Decoded {
                service,
                warnings: notes.warnings.into_iter().map(Warning::from).collect(),
            }),
        }
    }
}

impl From<Note> for Warning {
    fn from(note: Note) -> Self {
        Self {
            field: note.field,
            message: note.message,
        }
    }
}

/// Members the server sets or user interfaces add; reading them back is no mistake.
const IGNORED: [&str; 6] = [
    "deployment",
    "image_rules",
    "imageRules",
    "imagePullSecrets",
    "limitsMemory",
    "valid",
];

/// Reads one service. Wrong values become problems and count as absent.
pub(crate) fn read(notes: &mut Notes, value: &Written, path: &str) -> Service {
    let mut it = notes.members(value, path);
    it.ignore(&IGNORED);
    let mut service = Service {
        name: it.text("name"),
        cluster_id: it.text("cluster_id"),
        memory: it.text("memory"),
        cpu: it.text("cpu"),
        total_memory: it.text("total_memory"),
        total_cpu: it.text("total_cpu"),
        ephemeral_storage_request: it.text("ephemeral_storage_request"),
        enable_gpu: it.flag("enable_gpu"),
        enable_sgx: it.flag("enable_sgx"),
        image_prefetch: it.flag("image_prefetch"),
        synchronous: it
            .one("synchronous", parts::synchronous)
            .unwrap_or_default(),
        federation: it.one("federation", parts::federation),
        log_level: it.text("log_level"),
        image: it.text("image"),
        alpine: it.flag("alpine"),
        token: it.text("token"),
        file_stage_in: it.flag("file_stage_in"),
        input: it.list("input", parts::storage_io),
        output: it.list("output", parts::storage_io),
        script: it.text("script"),
        image_pull_secrets: it.texts("image_pull_secrets"),
        expose: it.one("expose", parts::expose).unwrap_or_default(),
        environment: it
            .one("environment", parts::environment)
            .unwrap_or_default(),
        annotations: it.strings("annotations"),
        vo: it.text("vo"),
        labels: it.strings("labels"),
        storage_providers: it
            .one("storage_providers", storage_providers)
            .unwrap_or_default(),
        clusters: it.one("clusters", clusters).unwrap_or_default(),
        owner: it.text("owner"),
        namespace: it.text("namespace"),
        interlink_node_name: it.text("interlink_node_name"),
        visibility: it.text("visibility"),
        allowed_users: it.texts("allowed_users"),
        isolation_level: it.text("isolation_level"),
        bucket_list: it.texts("bucket_list"),
        mount: it.one("mount", parts::storage_io).unwrap_or_default(),
        volume: it.one("volume", parts::volume),
        volume_status: it
            .one("volume_status", parts::volume_status)
            .unwrap_or_default(),
        kserve: it.get("kserve").map(Written::to_json),
        edge: it.one("edge", parts::edge),
    };
    let mut replicas = it.list("replicas", parts::replica);
    replicas.extend(it.list("replica", parts::replica));
    let delegation = it.text("delegation");
    let threshold = parts::threshold(&mut it);
    it.finish();
    adopt_old_members(&mut service, replicas, delegation, threshold);
    service
}

/// What versions up to 4.0 had on the service itself moves into `federation`, unless that says otherwise.
fn adopt_old_members(
    service: &mut Service,
    replicas: Vec<Replica>,
    delegation: String,
    threshold: u32,
) {
    if replicas.is_empty() && delegation.is_empty() && threshold == 0 {
        return;
    }
    let federation = service.federation.get_or_insert_with(Federation::default);
    if federation.members.is_empty() {
        federation.members = replicas;
    }
    if federation.delegation.is_empty() {
        federation.delegation = delegation;
    }
    if federation.rescheduler_threshold == 0 {
        federation.rescheduler_threshold = threshold;
    }
}

#[cfg(test)]
#[allow(clippy::items_after_statements)] // Cases first, what checks them below.
mod tests;
