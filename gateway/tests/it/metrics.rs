//! What is counted of requests, and the log of calls.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{TestGateway, send, service};

/// A service that was called twice and got one upload.
async fn busy() -> TestGateway {
    let gateway = TestGateway::start().await;
    gateway.create(service("grey")).await;
    let token = gateway.get("/system/services/grey").await.json()["token"].clone();
    assert_eq!(gateway.post("/job/grey", "eA==").await.status, 201);
    let call = gateway
        .anonymous(Method::POST, "/job/grey")
        .bearer_auth(token.as_str().unwrap());
    assert_eq!(send(call).await.status, 201);
    assert_eq!(
        send(
            gateway
                .anonymous(Method::POST, "/job/grey")
                .bearer_auth("0".repeat(64))
        )
        .await
        .status,
        401
    );
    gateway
}

#[tokio::test]
async fn calls_are_counted_and_survive_a_restart() {
    let mut gateway = busy().await;
    let before = gateway.get("/system/metrics").await.json();
    gateway.restart().await;
    let summary = gateway.get("/system/metrics").await.json();
    assert_eq!(summary["totals"], before["totals"]);
    assert_eq!(
        summary["totals"],
        json!({
            "services_count_active": 1, "services_count_total": 1, "cpu_hours_total": 0.0, "gpu_hours_total": 0.0,
            "requests_count_total": 2, "requests_count_sync": 0, "requests_count_async": 2, "requests_count_exposed": 0,
            "countries_count": 0, "countries": [], "users_count": 0, "users": []
        })
    );
    let source = |name: &str| -> Value {
        let sources = summary["sources"].as_array().unwrap();
        sources
            .iter()
            .find(|source| source["name"] == name)
            .unwrap()["status"]
            .clone()
    };
    assert_eq!(
        (source("request-logs"), source("country-attribution")),
        (json!("ok"), json!("missing"))
    );

    let services = "/system/metrics/breakdown?group_by=service&include_users=true";
    assert_eq!(
        gateway.get(services).await.json()["items"],
        json!([{ "key": "grey", "requests_count_total": 2, "requests_count_sync": 0, "requests_count_async": 2,
            "requests_count_exposed": 0, "unique_users_count": 0, "users": [], "countries": [] }])
    );
    let csv = gateway
        .get("/system/metrics/breakdown?group_by=user&format=csv")
        .await;
    assert_eq!(
        csv.said(),
        (200, "key,membership,executions_count,countries\n")
    );
    assert!(csv.content_type.starts_with("text/csv"));
    assert_eq!(
        gateway
            .get("/system/metrics/breakdown?group_by=country")
            .await
            .json()["items"],
        json!([])
    );
    let one = gateway
        .get("/system/metrics/grey?metric=requests-async-per-service")
        .await
        .json();
    assert_eq!(
        (&one["service_id"], &one["value"], one.get("unit")),
        (&json!("grey"), &json!(2), None)
    );
    let all = gateway.get("/system/metrics/none").await.json();
    assert_eq!(all["metrics"].as_array().unwrap().len(), 6);
    assert_eq!(all["metrics"][0]["unit"], "hours");
    let past = "/system/metrics?start=2020-01-01T00:00:00Z&end=2020-01-02T00:00:00%2B01:00";
    let past = gateway.get(past).await.json();
    assert_eq!(past["end"], "2020-01-02T00:00:00+01:00");
    assert_eq!(past["totals"]["requests_count_total"], 0);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_as_json() {
    let gateway = TestGateway::start().await;
    for (path, text) in [
        ("?start=x", "invalid start timestamp"),
        ("?end=yesterday", "invalid end timestamp"),
        (
            "?start=2026-01-02T00:00:00Z&end=2026-01-01T00:00:00Z",
            "end must be after start",
        ),
        ("/breakdown", "group_by is required"),
        ("/breakdown?group_by=planet", "unsupported group_by"),
        ("/breakdown?group_by=user&format=xml", "invalid format"),
        (
            "/breakdown?group_by=user&format=csv&include_users=true",
            "include_users is not supported for csv",
        ),
        ("/grey?metric=beauty", "invalid metric key"),
        (
            "/grey?metric=services-count",
            "unsupported metric for value query",
        ),
    ] {
        let answer = gateway.get(&format!("/system/metrics{path}")).await;
        let expected = json!({ "error": text }).to_string();
        assert_eq!(answer.said(), (400, expected.as_str()), "for {path}");
    }
}

#[tokio::test]
async fn the_log_of_calls_can_be_read_also_after_a_restart() {
    let mut gateway = busy().await;
    let none = gateway.get("/system/logs?previous=true").await;
    assert_eq!(none.status, 400, "{none:?}");
    let logs = gateway.get("/system/logs?timestamps=true").await.json();
    let logs = logs["logs"].as_array().unwrap();
    let told: Vec<_> = logs
        .iter()
        .map(|log| (log["status"].clone(), log["user"].clone()))
        .collect();
    assert_eq!(
        told,
        [
            (json!(201), json!("oscar")),
            (json!(201), json!("nil")),
            (json!(401), json!("oscar"))
        ]
    );
    assert_eq!(logs[0]["path"], "/job/grey");
    assert!(
        logs[0]["raw"]
            .as_str()
            .unwrap()
            .starts_with("[GIN-EXECUTIONS-LOGGER] ")
    );
    gateway.restart().await;
    assert_eq!(
        gateway.get("/system/logs").await.said(),
        (200, r#"{"logs":[]}"#)
    );
    let previous = gateway.get("/system/logs?previous=true").await.json();
    assert_eq!(previous["logs"].as_array().unwrap(), logs);
}
