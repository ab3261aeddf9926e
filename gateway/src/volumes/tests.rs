use spillway_model::wire::link::{VolumeIs, VolumeReport, VolumeShall};

use super::*;
use crate::objects::Blobs;
use crate::queue::QueueSettings;

async fn volumes() -> (tempfile::TempDir, Volumes) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("spillway.db")).unwrap();
    let blobs = Blobs::open(&folder.path().join("blobs"), store.clone())
        .await
        .unwrap();
    let queue = Queue::start(store.clone(), blobs, QueueSettings::default())
        .await
        .unwrap();
    (folder, Volumes::new(store, queue))
}

async fn put_on(volumes: &Volumes, id: &str, node: &'static str) {
    let id = id.to_owned();
    let put = volumes.0.store.write(move |db| rows::put_on(db, &id, node));
    put.await.unwrap();
}

fn report(id: &str, is: VolumeIs) -> Vec<VolumeReport> {
    vec![VolumeReport {
        id: id.to_owned(),
        is,
        used_bytes: Some(7),
    }]
}

#[tokio::test]
async fn a_deletion_waits_for_the_node_and_its_name_is_free_meanwhile() {
    let (_folder, volumes) = volumes().await;
    let made = volumes.create("", "data", "1Gi").await.unwrap();
    assert!(matches!(
        volumes.create("", "data", "1Gi").await,
        Err(VolumeError::Exists)
    ));
    volumes.create("ann", "data", "1Gi").await.unwrap();
    put_on(&volumes, &made.id, "pi-1").await;
    let answer = volumes
        .report("pi-1", report(&made.id, VolumeIs::Present))
        .await
        .unwrap();
    assert_eq!(answer.wanted[0].shall, VolumeShall::Stay);
    assert_eq!(volumes.bytes_in(&made.id), Some(7));
    // Another node has no say.
    let other = volumes.report("pi-2", report(&made.id, VolumeIs::Absent));
    assert!(other.await.unwrap().wanted.is_empty());

    volumes.delete("", "data", false).await.unwrap();
    let again = volumes.create("", "data", "2Gi").await.unwrap();
    let phases = async || {
        let list = volumes.0.store.read(|db| list(db, "")).await.unwrap();
        list.iter()
            .map(|volume| volume.phase().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(phases().await, ["deleting", "ready"]);
    let answer = volumes.report("pi-1", Vec::new()).await.unwrap();
    assert_eq!(answer.wanted[0].shall, VolumeShall::BeGone);
    volumes
        .report("pi-1", report(&made.id, VolumeIs::Absent))
        .await
        .unwrap();
    assert_eq!(phases().await, ["ready"]);
    // Never on a node: gone at once. Missing: as good as gone.
    volumes.delete("", "data", false).await.unwrap();
    volumes.delete("", "data", false).await.unwrap();
    assert!(phases().await.is_empty());
    assert_ne!(made.id, again.id);
}

#[tokio::test]
async fn users_have_quotas_and_the_administrator_has_none() {
    let (_folder, volumes) = volumes().await;
    let refused = async |name: &str, size: &str| {
        let refused = volumes.create("ann", name, size).await;
        refused
            .map(|volume| volume.name)
            .map_err(|error| error.to_string())
    };
    assert_eq!(
        refused("big", "6Gi").await,
        Err("volume quota exceeded: 6Gi is more than the 5Gi that one volume may have".to_owned())
    );
    assert_eq!(
        refused("small", "1Mi").await,
        Err("volume quota: 1Mi is less than the 200Mi that a volume must have".to_owned())
    );
    assert_eq!(refused("one", "5Gi").await, Ok("one".to_owned()));
    assert_eq!(
        refused("two", "3Gi").await,
        Err("volume quota exceeded: 5Gi of 7Gi are used, and 3Gi are asked for".to_owned())
    );
    for name in ["two", "three", "four", "five"] {
        refused(name, "200Mi").await.unwrap();
    }
    assert_eq!(
        refused("six", "200Mi").await,
        Err("volume quota exceeded: 5 of 5 volumes are used".to_owned())
    );
    volumes.create("", "huge", "1Ti").await.unwrap();
    for (name, size, text) in [
        (
            "Data",
            "1Gi",
            "volume.name must satisfy Kubernetes DNS-1123 naming rules",
        ),
        (
            "",
            "1Gi",
            "volume.name must satisfy Kubernetes DNS-1123 naming rules",
        ),
        ("data", "", "volume.size must be a valid positive quantity"),
        ("data", "0", "volume.size must be a valid positive quantity"),
        (
            "data",
            "-1Gi",
            "volume.size must be a valid positive quantity",
        ),
    ] {
        assert_eq!(refused(name, size).await, Err(text.to_owned()));
    }
}
