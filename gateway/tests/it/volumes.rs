//! Managed volumes, as far as a gateway without nodes goes.

use serde_json::{Value, json};

use crate::harness::{TestGateway, service};

fn with_volume(name: &str, volume: Value) -> Value {
    let mut service = service(name);
    service["volume"] = volume;
    service
}

#[tokio::test]
async fn a_volume_is_made_mounted_and_deleted() {
    let mut gateway = TestGateway::start().await;
    assert_eq!(gateway.get("/system/volumes").await.said(), (200, "[]"));
    let made = gateway
        .post("/system/volumes", r#"{"Name":"data","size":"1Gi"}"#)
        .await;
    assert_eq!(made.status, 201);
    let shown = made.json();
    let id = shown["pvc_name"].as_str().unwrap().to_owned();
    assert_eq!(
        shown,
        json!({ "name": "data", "namespace": "oscar-svc", "pvc_name": id, "size": "1Gi", "owner_user": "cluster_admin",
            "creation_mode": "api", "status": { "phase": "ready" } })
    );
    let again = gateway
        .post("/system/volumes", r#"{"name":"data","size":"1Gi"}"#)
        .await;
    assert_eq!(
        again.said(),
        (409, "volume already exists in caller namespace")
    );

    gateway
        .create(with_volume(
            "grey",
            json!({ "name": "data", "mount_path": "/data" }),
        ))
        .await;
    gateway.restart().await;
    let shown = gateway.get("/system/volumes/data").await.json();
    assert_eq!(
        shown["status"],
        json!({ "phase": "pending", "attachment_count": 1 })
    );
    let grey = gateway.get("/system/services/grey").await.json();
    assert_eq!(
        grey["volume_status"],
        json!({ "enabled": true, "name": "data", "phase": "pending" })
    );
    assert_eq!(
        gateway.get("/system/services").await.json()[0]["volume_status"],
        grey["volume_status"]
    );
    assert_eq!(
        gateway.delete("/system/volumes/data").await.said(),
        (
            400,
            "managed volume is still attached to one or more services"
        )
    );
    // What is read can be written back; anything else about the volume cannot.
    assert_eq!(
        gateway.put("/system/services", &grey).await.said(),
        (204, "")
    );
    for other in [
        json!({ "name": "data", "mount_path": "/elsewhere" }),
        Value::Null,
    ] {
        let answer = gateway
            .put("/system/services", with_volume("grey", other))
            .await;
        assert_eq!(
            answer.said(),
            (
                400,
                "volume updates are not supported after service creation"
            )
        );
    }
    gateway.delete("/system/services/grey").await;
    assert_eq!(
        gateway.delete("/system/volumes/data").await.said(),
        (204, "")
    );
    assert_eq!(gateway.get("/system/volumes/data").await.said(), (404, ""));
    assert_eq!(
        gateway.delete("/system/volumes/data").await.said(),
        (204, "")
    );
}

#[tokio::test]
async fn a_volume_of_a_service_goes_or_stays_as_its_policy_says() {
    let gateway = TestGateway::start().await;
    for (policy, left) in [("delete", 0), ("retain", 1)] {
        let volume = json!({ "size": "1Gi", "mount_path": "/data", "lifecycle_policy": policy });
        gateway.create(with_volume(policy, volume)).await;
        let shown = gateway
            .get(&format!("/system/volumes/{policy}"))
            .await
            .json();
        assert_eq!(shown["created_by_service"], policy);
        // Somebody else mounts it, too, and outlives the maker.
        gateway
            .create(with_volume(
                "other",
                json!({ "name": policy, "mount_path": "/x" }),
            ))
            .await;
        gateway.delete(&format!("/system/services/{policy}")).await;
        assert_eq!(gateway.count("SELECT count(*) FROM volumes"), 1, "{policy}");
        gateway.delete("/system/services/other").await;
        assert_eq!(
            gateway.count("SELECT count(*) FROM volumes"),
            left,
            "{policy}"
        );
    }
    let taken = with_volume("retain", json!({ "size": "1Gi", "mount_path": "/data" }));
    assert_eq!(
        gateway.post("/system/services", taken).await.said(),
        (
            409,
            "A managed volume with the provided name already exists"
        )
    );
    assert_eq!(gateway.count("SELECT count(*) FROM services"), 0);
}

#[tokio::test]
async fn what_a_volume_must_be_is_said() {
    let gateway = TestGateway::start().await;
    let start = "The service specification is not valid: ";
    for (volume, text) in [
        (
            json!({ "mount_path": "/d" }),
            "volume.name is required when volume.size is not set",
        ),
        (json!({ "size": "1Gi" }), "volume.mount_path"),
        (json!({ "size": "lots", "mount_path": "/d" }), "volume.size"),
        (
            json!({ "name": "A_b", "size": "1Gi", "mount_path": "/d" }),
            "volume.name",
        ),
        (
            json!({ "size": "1Gi", "mount_path": "/oscar/bin/x" }),
            "volume.mount_path",
        ),
        (
            json!({ "size": "1Gi", "mount_path": "/d", "lifecycle_policy": "x" }),
            "volume.lifecycle_policy",
        ),
    ] {
        let answer = gateway
            .post("/system/services", with_volume("grey", volume.clone()))
            .await;
        assert_eq!(answer.status, 400, "{volume}");
        assert!(
            answer.text.starts_with(&format!("{start}{text}")),
            "{answer:?}"
        );
    }
    let missing = with_volume("grey", json!({ "name": "none", "mount_path": "/d" }));
    assert_eq!(
        gateway.post("/system/services", missing).await.said(),
        (
            400,
            "Referenced volume does not exist in the caller namespace"
        )
    );
    for (body, text) in [
        (
            "{}",
            "volume.name must satisfy Kubernetes DNS-1123 naming rules",
        ),
        (
            r#"{"name":"a","size":"-1"}"#,
            "volume.size must be a valid positive quantity",
        ),
        ("", "EOF"),
    ] {
        assert_eq!(
            gateway.post("/system/volumes", body).await.said(),
            (400, text)
        );
    }
}
