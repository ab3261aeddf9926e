//! Bodies in the shape that OSCAR's own clients send them.

use reqwest::Method;
use serde_json::json;

use crate::harness::{PASSWORD, TestGateway, send};

/// CLI 1.9 sends every member, most of them empty, ports as the number 0, and the caller's own password.
#[tokio::test]
async fn the_command_line_client_can_create_and_update() {
    let gateway = TestGateway::start().await;
    let body = json!({
        "name": "cli", "cluster_id": "edge", "memory": "256Mi", "cpu": "0.2", "total_memory": "", "total_cpu": "",
        "enable_gpu": false, "enable_sgx": false, "image_prefetch": false,
        "synchronous": { "min_scale": 0, "max_scale": 0 }, "delegation": "", "rescheduler_threshold": 0,
        "log_level": "", "image": "example/tool:1", "alpine": false, "token": "", "file_stage_in": false,
        "input": [{ "storage_provider": "minio.default", "path": "cli/in" }], "output": null,
        "script": "#!/bin/sh\ntrue\n",
        "expose": { "min_scale": 0, "max_scale": 0, "cpu_threshold": 0, "rewrite_target": false, "nodePort": 0,
            "default_command": false, "set_auth": false },
        "environment": { "Variables": { "A": "1" } }, "annotations": null, "vo": "", "labels": null,
        "storage_providers": { "minio": {} },
        "clusters": { "edge": { "endpoint": "http://edge.local", "auth_user": "oscar", "auth_password": PASSWORD,
            "ssl_verify": false } },
        "owner": "", "interlink_node_name": "", "allowed_users": null,
        "mount": { "storage_provider": "", "path": "" },
    })
    .to_string();
    let request = |method| {
        gateway
            .request(method, "/system/services")
            .header("user-agent", "Go-http-client/1.1")
    };
    assert_eq!(
        send(request(Method::POST).body(body.clone())).await.said(),
        (201, "")
    );
    assert_eq!(
        send(request(Method::PUT).body(body)).await.said(),
        (204, "")
    );
    let shown = send(request(Method::GET)).await;
    assert_eq!(
        shown.json()[0]["environment"]["variables"],
        json!({ "A": "1" })
    );
    assert!(
        !shown.text.contains(PASSWORD),
        "our own password must not be stored"
    );
    let stored = gateway.definition("cli").await.service.clusters;
    assert!(
        stored
            .values()
            .all(|cluster| cluster.auth_password.is_empty()),
        "{stored:?}"
    );
    for port in ["api_port", "nodePort"] {
        assert_eq!(shown.json()[0]["expose"].get(port), None);
    }
}

/// The dashboard sends arrays of ports, nulls, and members of its own user interface.
#[tokio::test]
async fn the_dashboard_can_create_edit_and_delete() {
    let gateway = TestGateway::start().await;
    let body = json!({
        "name": "dash", "memory": "256Mi", "cpu": "0.2", "image": "example/tool:1", "script": "true",
        "input": [{ "storage_provider": "minio.default", "path": "dash/in", "prefix": [], "suffix": null }],
        "output": [], "log_level": "INFO", "vo": null, "alpine": false, "annotations": {}, "labels": { "oscar_agent": "true" },
        "expose": { "api_port": [], "nodePort": [], "max_scale": 0, "min_scale": 0, "cpu_threshold": 80 },
        "environment": { "variables": {}, "secrets": {} }, "storage_providers": {}, "allowed_users": [],
        "image_rules": [], "imageRules": [], "imagePullSecrets": null, "limitsMemory": "Mi", "valid": true,
        "rescheduler_threshold": "15", "replicas": [], "delegation": "static", "volume": null, "federation": null,
    });
    let request = gateway
        .request(Method::POST, "/system/services")
        .header("content-type", "application/json");
    assert_eq!(send(request.body(body.to_string())).await.said(), (201, ""));
    let mut read = gateway
        .get("/system/services/dash?include=deployment")
        .await
        .json();
    read["memory"] = json!("512Mi");
    assert_eq!(
        gateway.put("/system/services", read).await.said(),
        (204, "")
    );
    let shown = gateway.get("/system/services/dash").await.json();
    assert_eq!(shown["memory"], "512Mi");
    assert_eq!(shown["labels"]["oscar_agent"], "true");
    assert_eq!(shown["expose"]["max_scale"], 0);
    assert_eq!(
        gateway.delete("/system/services/dash").await.said(),
        (204, "")
    );
}

/// Shell scripts send `text/json`, curl its form type; nobody's type matters.
#[tokio::test]
async fn json_is_read_whatever_it_is_called() {
    let gateway = TestGateway::start().await;
    for (number, content_type) in ["text/json", "application/x-www-form-urlencoded", "x"]
        .iter()
        .enumerate()
    {
        let body = crate::harness::service(&format!("name-{number}")).to_string();
        let request = gateway
            .request(Method::POST, "/system/services")
            .header("content-type", *content_type);
        assert_eq!(send(request.body(body)).await.said(), (201, ""));
    }
}

/// CLI `service job` streams base64 with chunks and no length.
#[tokio::test]
async fn a_job_body_may_come_in_chunks() {
    let gateway = TestGateway::start().await;
    gateway.create(crate::harness::service("grey")).await;
    let pieces = ["aGVs", "bG8="].map(|piece| Ok::<_, std::io::Error>(piece.as_bytes().to_vec()));
    let body = reqwest::Body::wrap_stream(futures::stream::iter(pieces));
    assert_eq!(
        send(gateway.request(Method::POST, "/job/grey").body(body))
            .await
            .said(),
        (201, "")
    );
    assert_eq!(
        gateway.count("SELECT count(*) FROM jobs WHERE service = 'grey'"),
        1
    );
}
