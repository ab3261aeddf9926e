//! What is accepted stays, and many at once do not get in each other's way.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;
use spillway_gateway::{Config, Gateway};

use crate::harness::{TestGateway, service};

#[tokio::test]
async fn a_restart_keeps_everything() {
    let mut gateway = TestGateway::start().await;
    gateway.create(service("grey")).await;
    gateway
        .post("/system/buckets", json!({ "bucket_name": "plants/in" }))
        .await;
    gateway.post("/job/grey", "x").await;
    let show = async |gateway: &TestGateway| {
        let mut service = gateway.get("/system/services/grey").await.json();
        service["storage_providers"] = json!(null); // The port is another one.
        let rest = [
            gateway.get("/system/buckets").await.text,
            gateway.get("/system/logs/grey").await.text,
        ];
        (service, rest)
    };
    let before = show(&gateway).await;
    gateway.restart().await;
    assert_eq!(show(&gateway).await, before);
    let service = gateway.get("/system/services/grey").await.json();
    assert_eq!(
        service["storage_providers"]["minio"]["default"]["endpoint"],
        gateway.s3_url()
    );
}

#[tokio::test]
async fn fifty_services_are_created_at_once() {
    let gateway = TestGateway::start().await;
    let names: Vec<_> = (0..50)
        .map(|number| format!("service-{number:02}"))
        .collect();
    let creates = names
        .iter()
        .map(|name| gateway.post("/system/services", service(name)));
    for answer in futures::future::join_all(creates).await {
        assert_eq!(answer.said(), (201, ""));
    }
    let listed = gateway.get("/system/services").await.json();
    let listed: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|service| service["name"].as_str().unwrap())
        .collect();
    assert_eq!(listed, names);
    assert_eq!(
        gateway.count("SELECT count(DISTINCT revision) FROM services"),
        50
    );
}

#[tokio::test]
async fn of_fifty_with_one_name_one_wins() {
    let gateway = TestGateway::start().await;
    let creates = (0..50).map(|_| gateway.post("/system/services", service("grey")));
    let answers = futures::future::join_all(creates).await;
    assert_eq!(
        answers.iter().filter(|answer| answer.status == 201).count(),
        1
    );
    assert_eq!(
        answers.iter().filter(|answer| answer.status == 409).count(),
        49
    );
}

#[tokio::test]
async fn deletions_that_a_crash_cut_short_are_completed() {
    let mut gateway = TestGateway::start().await;
    gateway.create(service("grey")).await;
    gateway.post("/job/grey", "x").await;
    gateway.stop().await;
    let db = rusqlite::Connection::open(gateway.data().join("spillway.db")).unwrap();
    db.execute("DELETE FROM services", []).unwrap();
    let again = Gateway::start(gateway.config()).await.unwrap();
    assert_eq!(
        db.query_row("SELECT count(*) FROM jobs", [], |row| row.get::<_, i64>(0))
            .unwrap(),
        0
    );
    again.stop().await;
}

#[tokio::test]
async fn the_data_folder_tells_where_we_listen_and_keeps_our_secrets() {
    let mut gateway = TestGateway::start().await;
    let read = |name: &str| std::fs::read(gateway.data().join(name)).ok();
    let addresses: serde_json::Value =
        serde_json::from_slice(&read("addresses.json").unwrap()).unwrap();
    let (api, s3) = (
        gateway.gateway().api_address(),
        gateway.gateway().s3_address(),
    );
    assert_eq!(
        addresses,
        json!({ "api": api.to_string(), "s3": s3.to_string() })
    );
    let credentials: serde_json::Value =
        serde_json::from_slice(&read("credentials.json").unwrap()).unwrap();
    assert_eq!(credentials["join_token"], gateway.gateway().join_token());
    let mode = |name: &str| {
        std::fs::metadata(gateway.data().join(name))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!((mode(""), mode("credentials.json")), (0o700, 0o600));
    gateway.stop().await;
    assert!(!gateway.data().join("addresses.json").exists());
}

#[tokio::test]
async fn a_second_gateway_on_the_same_folder_is_refused() {
    let gateway = TestGateway::start().await;
    let error = Gateway::start(gateway.config())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("another gateway is running on the data folder"),
        "{error}"
    );
    let elsewhere = tempfile::tempdir().unwrap();
    let taken = Config {
        data: Some(elsewhere.path().into()),
        listen: Some(gateway.gateway().api_address()),
        ..Config::default()
    };
    let error = format!("{:#}", Gateway::start(taken).await.unwrap_err());
    assert!(
        error.starts_with("listening on 127.0.0.1:") && error.contains("for the API"),
        "{error}"
    );
}
