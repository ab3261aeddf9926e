//! Writing services as YAML.

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use super::DEFAULT_CLUSTER;
use crate::Place;
use crate::service::{DEFAULT_PROVIDER, PROVIDER_TYPES, Service};
use crate::written::{self, Key, What, Written};

/// A service that cannot be written. None is known that could not.
#[derive(Debug, thiserror::Error)]
#[error("writing YAML: {0}")]
pub struct WriteError(String);

/// Members that the server sets and no file says.
const SERVER_SET: [&str; 6] = [
    "token",
    "owner",
    "namespace",
    "bucket_list",
    "volume_status",
    "cluster_id",
];

/// Labels that the server sets.
const SERVER_LABELS: [&str; 5] = [
    "oscar.grycap/user-service",
    "oscar_service",
    "applicationId",
    "queue",
    "owner_name",
];

/// Members with names of the user's: nothing in them is a default.
const USERS_MAPS: [&str; 7] = [
    "variables",
    "secrets",
    "annotations",
    "labels",
    "headers",
    "node_selector",
    "kserve",
];

/// Members whose presence says something even when they are empty or false.
const TELLING: [&str; 5] = ["federation", "volume", "edge", "verify", "members"];

/// One FDL file with these services: what the server set and what is at its default is left out, scripts are written
/// out in full, and what [`super::parse`] makes of it are the same services again.
pub fn to_yaml(services: &[Service]) -> Result<String, WriteError> {
    let mut trees = services.iter().map(tree).collect::<Result<Vec<_>, _>>()?;
    let mut top = Vec::new();
    for name in ["storage_providers", "clusters"] {
        let all: Vec<Option<&Written>> = trees.iter().map(|tree| member(tree, name)).collect();
        // The same for all: it goes to the top of the file, where OSCAR's client reads it.
        if let Some(Some(shared)) = all
            .first()
            .filter(|first| all.iter().all(|other| other == *first))
        {
            top.push((key(name), (*shared).clone()));
            for tree in &mut trees {
                remove(tree, &[name]);
            }
        }
    }
    let entries = services.iter().zip(trees).map(|(service, tree)| {
        let cluster = if service.cluster_id.is_empty() {
            DEFAULT_CLUSTER
        } else {
            &service.cluster_id
        };
        map(vec![(key(cluster), tree)])
    });
    let oscar = Written {
        what: What::List(entries.collect()),
        place: Place::default(),
    };
    let mut file = vec![(key("functions"), map(vec![(key("oscar"), oscar)]))];
    file.append(&mut top);
    text(&map(file))
}

/// The definition as scripts read it in a container, one flat map: without the script, which is a file of its own, and
/// without anything that opens a door (token, secrets, credentials of providers and clusters).
pub fn function_config(service: &Service) -> Result<String, WriteError> {
    let mut shown = service.clone();
    shown.blank_secrets();
    shown.mask_credentials();
    let mut tree = whole_tree(&shown)?;
    remove(&mut tree, &["script", "token"]);
    text(&tree)
}

/// The service's members in the documented order.
fn whole_tree(service: &Service) -> Result<Written, WriteError> {
    let json = serde_json::to_vec(service).map_err(|error| WriteError(error.to_string()))?;
    written::read_json(&json).map_err(|error| WriteError(error.to_string()))
}

/// The same without what a file need not say.
fn tree(service: &Service) -> Result<Written, WriteError> {
    let mut tree = whole_tree(service)?;
    remove(&mut tree, &SERVER_SET);
    if let Some(Written {
        what: What::Text(script),
        ..
    }) = member_mut(&mut tree, "script")
    {
        // Without a line end it would be read as the name of a file.
        if !script.contains('\n') {
            script.push('\n');
        }
    }
    if let Some(labels) = member_mut(&mut tree, "labels") {
        remove(labels, &SERVER_LABELS);
    }
    let providers = member_mut(&mut tree, "storage_providers");
    if let Some(minio) = providers.and_then(|providers| member_mut(providers, "minio")) {
        // The server fills in its own store, whatever a file says.
        remove(minio, &[DEFAULT_PROVIDER]);
    }
    prune(&mut tree, "");
    Ok(tree)
}

/// Removes members that are at their default.
fn prune(value: &mut Written, name: &str) {
    match &mut value.what {
        What::List(items) => items.iter_mut().for_each(|item| prune(item, "")),
        What::Map(_) if USERS_MAPS.contains(&name) => {}
        What::Map(members) => {
            let by_id = name == "clusters" || PROVIDER_TYPES.contains(&name);
            for (key, value) in members.iter_mut() {
                prune(value, if by_id { "" } else { &key.name });
            }
            if name != "edge" && !by_id {
                members.retain(|(key, value)| {
                    TELLING.contains(&key.name.as_str()) && !is_null_list(value)
                        || says_something(value)
                });
            }
        }
        _ => {}
    }
}

fn is_null_list(value: &Written) -> bool {
    matches!(&value.what, What::List(items) if items.is_empty())
}

fn says_something(value: &Written) -> bool {
    match &value.what {
        What::Null => false,
        What::Bool(flag, _) => *flag,
        What::Number(text) => text != "0",
        What::Text(text) => !text.is_empty(),
        What::List(items) => !items.is_empty(),
        What::Map(members) => !members.is_empty(),
    }
}

fn key(name: &str) -> Key {
    Key {
        name: name.to_owned(),
        place: Place::default(),
    }
}

fn map(members: Vec<(Key, Written)>) -> Written {
    Written {
        what: What::Map(members),
        place: Place::default(),
    }
}

fn member<'a>(value: &'a Written, name: &str) -> Option<&'a Written> {
    let What::Map(members) = &value.what else {
        return None;
    };
    members
        .iter()
        .find(|(key, _)| key.name == name)
        .map(|(_, value)| value)
}

fn member_mut<'a>(value: &'a mut Written, name: &str) -> Option<&'a mut Written> {
    let What::Map(members) = &mut value.what else {
        return None;
    };
    members
        .iter_mut()
        .find(|(key, _)| key.name == name)
        .map(|(_, value)| value)
}

fn remove(value: &mut Written, names: &[&str]) {
    if let What::Map(members) = &mut value.what {
        members.retain(|(key, _)| !names.contains(&key.name.as_str()));
    }
}

fn text(value: &Written) -> Result<String, WriteError> {
    serde_saphyr::to_string(value).map_err(|error| WriteError(error.to_string()))
}

impl Serialize for Written {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.what {
            What::Null => serializer.serialize_unit(),
            What::Bool(flag, _) => serializer.serialize_bool(*flag),
            What::Number(text) => match (text.parse::<i64>(), text.parse::<f64>()) {
                (Ok(number), _) => serializer.serialize_i64(number),
                (_, Ok(number)) => serializer.serialize_f64(number),
                _ => serializer.serialize_str(text),
            },
            What::Text(text) => serializer.serialize_str(text),
            What::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(item)?;
                }
                list.end()
            }
            What::Map(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (key, value) in members {
                    map.serialize_entry(&key.name, value)?;
                }
                map.end()
            }
        }
    }
}
