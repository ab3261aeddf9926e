//! What users may use, as the administrator sees and sets it.

use serde_json::json;
use spillway_gateway::Config;

use crate::harness::TestGateway;

#[tokio::test]
async fn quotas_of_a_user_are_shown_set_and_kept() {
    let mut gateway = TestGateway::start().await;
    let usual = concat!(
        r#"{"user_id":"ann@idp","volumes":{"disk":{"max":"7Gi","used":"0"},"volumes":{"max":"5","used":"0"},"#,
        r#""max_disk_per_volume":"5Gi","min_disk_per_volume":"200Mi"}}"#
    );
    let path = "/system/quotas/user/ann%40idp";
    assert_eq!(gateway.get(path).await.said(), (200, usual));
    let set = json!({ "volumes": { "volumes": "2" }, "minio": { "buckets": "3", "storage_per_bucket": "1Gi" } });
    let expected = concat!(
        r#"{"user_id":"ann@idp","volumes":{"disk":{"max":"7Gi","used":"0"},"volumes":{"max":"2","used":"0"},"#,
        r#""max_disk_per_volume":"5Gi","min_disk_per_volume":"200Mi"},"minio":{"buckets":{"max":3,"used":0},"#,
        r#""storage_per_bucket":{"max":"1Gi"},"storage_total":{"used":"0"}}}"#
    );
    assert_eq!(gateway.put(path, set).await.said(), (200, expected));
    gateway.restart().await;
    assert_eq!(gateway.get(path).await.said(), (200, expected));
    // Nothing of it touches anybody else.
    assert_eq!(
        gateway.get("/system/quotas/user/bob").await.text,
        usual.replace("ann@idp", "bob")
    );
}

#[tokio::test]
async fn what_quotas_cannot_do_is_said() {
    let gateway = TestGateway::start().await;
    let answer = gateway.get("/system/quotas/user").await;
    assert_eq!(answer.status, 401);
    assert!(
        answer.text.starts_with("missing user identificator: "),
        "{answer:?}"
    );
    let path = "/system/quotas/user/ann";
    let nothing = "cpu, memory, ephemeral_storage, volumes or minio must be provided";
    assert_eq!(gateway.put(path, "{}").await.said(), (400, nothing));
    for body in [
        json!({ "cpu": "2", "memory": "2Gi" }),
        json!({ "ephemeral-storage": "1Gi", "volumes": { "volumes": "1" } }),
    ] {
        let answer = gateway.put(path, &body).await;
        assert_eq!(answer.status, 503, "for {body}");
        assert!(answer.text.contains("need Kueue"), "{answer:?}");
    }
    assert_eq!(gateway.put(path, "").await.said(), (400, "EOF"));
    assert_eq!(gateway.count("SELECT count(*) FROM quotas"), 0);
}

#[tokio::test]
async fn the_usual_quotas_are_settings() {
    let quotas = spillway_gateway::config::QuotaConfig {
        volumes_disk: Some("1Gi".parse().unwrap()),
        buckets_enabled: Some(true),
        buckets: Some(7),
        ..Default::default()
    };
    let gateway = TestGateway::start_with(Config {
        quotas,
        ..Config::default()
    })
    .await;
    let shown = gateway.get("/system/quotas/user/ann").await.json();
    assert_eq!(shown["volumes"]["disk"]["max"], "1Gi");
    assert_eq!(
        shown["minio"],
        json!({ "buckets": { "max": 7, "used": 0 }, "storage_per_bucket": { "max": "5Gi" }, "storage_total": { "used": "0" } })
    );
    let config = gateway.get("/system/config").await.json();
    assert_eq!(config["config"]["minio_quota_enabled"], true);
}
