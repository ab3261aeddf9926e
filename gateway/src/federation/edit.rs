//! Changes of the list of members: added, replaced, removed.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use spillway_model::service::{Cluster, Federation, Replica, Service, StorageProviders};

/// What is done with the members of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// Appended.
    Add,
    /// They select entries, which become `update[0]`.
    Replace,
    /// They select entries, which go.
    Remove,
}

/// A change, as the body of a request says it.
#[derive(Debug, Clone)]
pub(crate) struct Edit {
    pub(crate) how: How,
    pub(crate) members: Vec<Replica>,
    update: Option<Replica>,
    /// Merged into those of the service.
    pub(crate) clusters: BTreeMap<String, Cluster>,
    /// Replace those of the service.
    storage_providers: Option<StorageProviders>,
    /// Copies of removed members are deleted, too.
    pub(crate) delete: bool,
}

impl Edit {
    /// Reads a body, with the leniency that definitions enjoy. The error says which member is wrong.
    pub(crate) fn read(how: How, mut body: Map<String, Value>) -> Result<Self, String> {
        let mut take = |name: &str| body.remove(name).filter(|value| !value.is_null());
        let (clusters, providers) = (take("clusters"), take("storage_providers"));
        let update = members(take("update"), "update")?;
        let delete = take("delete").is_some_and(|value| value == Value::Bool(true));
        let parts = decode(&json!({
            "clusters": clusters.unwrap_or(Value::Null),
            "storage_providers": providers.clone().unwrap_or(Value::Null),
        }))?;
        let edit = Self {
            how,
            members: members(take("members"), "members")?,
            update: update.into_iter().next(),
            clusters: parts.clusters,
            storage_providers: providers.map(|_| parts.storage_providers),
            delete,
        };
        if how == How::Replace && !edit.members.is_empty() && edit.update.is_none() {
            return Err("update: it is missing; expected an array with the new member".to_owned());
        }
        Ok(edit)
    }

    /// Changes the definition; returns the members that are no longer in it.
    pub(crate) fn apply(&self, service: &mut Service) -> Vec<Replica> {
        service.clusters.extend(self.clusters.clone());
        if let Some(providers) = &self.storage_providers {
            service.storage_providers = providers.clone();
        }
        let name = service.name.clone();
        let federation = service.federation.get_or_insert_with(|| Federation {
            group_id: name,
            topology: "none".to_owned(),
            ..Federation::default()
        });
        let members = &mut federation.members;
        match self.how {
            How::Add => {
                // Adding what is there twice would run its jobs twice as often.
                members.retain(|old| !self.selects(old));
                members.extend(self.members.iter().cloned());
                Vec::new()
            }
            How::Replace => {
                let Some(new) = &self.update else {
                    return Vec::new();
                };
                let mut gone = Vec::new();
                for old in members.iter_mut().filter(|old| self.selects(old)) {
                    gone.push(std::mem::replace(old, new.clone()));
                }
                gone.retain(|old| !same(old, new));
                gone
            }
            How::Remove => {
                let (gone, stay) = std::mem::take(members)
                    .into_iter()
                    .partition(|old| self.selects(old));
                *members = stay;
                gone
            }
        }
    }

    fn selects(&self, old: &Replica) -> bool {
        self.members.iter().any(|named| same(named, old))
    }
}

/// Whether two entries mean the same member.
fn same(left: &Replica, right: &Replica) -> bool {
    left.kind.eq_ignore_ascii_case(&right.kind)
        && left.cluster_id == right.cluster_id
        && left.service_name == right.service_name
}

fn members(value: Option<Value>, field: &str) -> Result<Vec<Replica>, String> {
    let Some(value) = value else {
        return Ok(Vec::new());
    };
    let parts = decode(&json!({ "federation": { "members": value } }))
        .map_err(|error| error.replace("federation.members", field))?;
    Ok(parts
        .federation
        .map(|federation| federation.members)
        .unwrap_or_default())
}

fn decode(parts: &Value) -> Result<Service, String> {
    let decoded = Service::from_json(parts.to_string().as_bytes());
    Ok(decoded.map_err(|error| error.to_string())?.service)
}
