//! What the copy of a federated service is.

use serde_json::Value;
use spillway_model::service::{Replica, Service};

use super::{ORIGIN_CLUSTER, ORIGIN_SERVICE, REFRESH_TOKEN, WORKER};

/// The definition that the member named `member` on `cluster` gets; nothing when there is no such member.
pub(super) fn copy(
    service: &Service,
    cluster: &str,
    member: &str,
    refresh_token: Option<&str>,
) -> Option<Service> {
    let federation = service.federation.as_ref()?;
    let entry = federation
        .members
        .iter()
        .find(|entry| entry.service_name == member && entry.cluster_id == cluster)?;
    let mut copy = service.clone();
    copy.name.clone_from(&entry.service_name);
    copy.cluster_id.clone_from(&entry.cluster_id);
    copy.owner.clear();
    copy.namespace.clear();
    copy.labels.clear();
    copy.environment.secrets.clear();
    for cluster in copy.clusters.values_mut() {
        cluster.auth_user.clear();
        cluster.auth_password.clear();
    }
    let annotations = [
        (ORIGIN_CLUSTER, service.cluster_id.clone()),
        (ORIGIN_SERVICE, service.name.clone()),
        (WORKER, "true".to_owned()),
    ];
    let annotations = annotations.map(|(key, value)| (key.to_owned(), value));
    copy.annotations.extend(annotations);
    let is_mesh = federation.topology == "mesh";
    if let Some(theirs) = &mut copy.federation {
        theirs.members.clear();
        if is_mesh {
            theirs.members.push(Replica {
                kind: "oscar".to_owned(),
                cluster_id: service.cluster_id.clone(),
                service_name: service.name.clone(),
                ..Replica::default()
            });
            let others = federation.members.iter().filter(|other| *other != entry);
            theirs.members.extend(others.cloned());
        }
    }
    if let Some(token) = refresh_token.filter(|_| is_mesh) {
        copy.environment
            .secrets
            .insert(REFRESH_TOKEN.to_owned(), token.to_owned());
    }
    Some(copy)
}

/// Whether a member's service is a copy of this one.
pub(super) fn is_ours(found: &Value, service: &Service) -> bool {
    let annotation = |key: &str| found["annotations"][key].as_str();
    annotation(WORKER) == Some("true")
        && annotation(ORIGIN_SERVICE) == Some(&service.name)
        && annotation(ORIGIN_CLUSTER) == Some(&service.cluster_id)
}
