//! Which node a volume is put on.

use spillway_model::report::NodeReport;
use tracing::info;

use super::rows;
use crate::queue::{Needs, Queue};
use crate::store::{Store, StoreError};

/// Puts volumes that services want to mount on nodes; returns whether any has to wait.
pub(super) async fn place(store: &Store, queue: &Queue) -> Result<bool, StoreError> {
    let homeless = store.read(rows::homeless).await?;
    if homeless.is_empty() {
        return Ok(false);
    }
    let nodes = queue.nodes().await;
    let mut chosen = Vec::new();
    for volume in &homeless {
        let services: Vec<_> = volume
            .attachments
            .iter()
            .filter_map(|attachment| queue.needs(&attachment.service))
            .collect();
        // A service that the queue has not heard of yet has to be asked again.
        if services.len() < volume.attachments.len() {
            continue;
        }
        if let Some(node) = best(&nodes, &services, volume.bytes) {
            info!(
                volume = volume.name,
                id = volume.id,
                node,
                "a volume has its node"
            );
            chosen.push((volume.id.clone(), node.to_owned()));
        }
    }
    let waits = chosen.len() < homeless.len();
    if !chosen.is_empty() {
        store
            .write(move |db| {
                chosen
                    .iter()
                    .try_for_each(|(id, node)| rows::put_on(db, id, node))
            })
            .await?;
        queue.services_changed();
    }
    Ok(waits)
}

/// The ready node that all of the services fit, with the most disk space: first of all enough of it.
fn best<'a>(nodes: &'a [NodeReport], services: &[Needs], bytes: u64) -> Option<&'a str> {
    let fits = |node: &NodeReport| {
        node.ready
            && node.heartbeat.engine_ready
            && services.iter().all(|service| {
                node.about.capacity.covers(service.resources) && service.selects(&node.about.labels)
            })
    };
    nodes
        .iter()
        .filter(|node| fits(node))
        .max_by_key(|node| {
            let free = node.heartbeat.disk_free_bytes;
            (free >= bytes, free)
        })
        .map(|node| node.about.node.as_str())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use spillway_model::wire::link::{Engine, Heartbeat, Join, Resources};

    use super::*;

    fn node(name: &str, zone: &str, memory: u64, free: u64, ready: bool) -> NodeReport {
        let capacity = Resources {
            millicores: 4000,
            memory_bytes: memory,
        };
        NodeReport {
            about: Join {
                node: name.to_owned(),
                architecture: "arm64".to_owned(),
                version: String::new(),
                capacity,
                labels: BTreeMap::from([("zone".to_owned(), zone.to_owned())]),
                engine: Engine::default(),
                running: Vec::new(),
            },
            ready,
            last_seen: jiff::Timestamp::UNIX_EPOCH,
            leased: Resources::default(),
            running: Vec::new(),
            heartbeat: Heartbeat {
                disk_free_bytes: free,
                engine_ready: true,
                ..Heartbeat::default()
            },
        }
    }

    #[test]
    fn a_volume_goes_where_its_services_fit_and_space_is() {
        let room = |memory: u64, zone: Option<&str>| Needs {
            resources: Resources {
                millicores: 100,
                memory_bytes: memory,
            },
            selector: zone
                .map(|zone| ("zone".to_owned(), zone.to_owned()))
                .into_iter()
                .collect(),
        };
        let nodes = [
            node("small", "a", 10, 900, true),
            node("large", "a", 100, 500, true),
            node("away", "a", 100, 999, false),
            node("far", "b", 100, 100, true),
        ];
        let best = |services: &[Needs]| best(&nodes, services, 300);
        assert_eq!(best(&[room(5, None)]), Some("small"));
        assert_eq!(best(&[room(50, None)]), Some("large"));
        assert_eq!(best(&[room(5, Some("b"))]), Some("far"));
        assert_eq!(best(&[room(5, None), room(50, Some("b"))]), Some("far"));
        assert_eq!(best(&[room(500, None)]), None);
    }
}
