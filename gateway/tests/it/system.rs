//! What the cluster tells about itself, and the answers for what is not built.

use spillway_gateway::Config;

use crate::harness::{TestGateway, service};

#[tokio::test]
async fn info_names_a_version_that_the_dashboard_understands() {
    let gateway = TestGateway::start().await;
    let answer = gateway.get("/system/info").await;
    assert_eq!(answer.content_type, "application/json; charset=utf-8");
    let architecture = if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "amd64"
    };
    let expected = format!(
        r#"{{"version":"v4.2.0","git_commit":"spillway-{}","architecture":"{architecture}","kubernetes_version":""}}"#,
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(answer.said(), (200, expected.as_str()));
}

#[tokio::test]
async fn config_holds_the_keys_of_the_store() {
    let keys = Config {
        access_key: Some("AK".into()),
        secret_key: Some("S<K".into()),
        ..Config::default()
    };
    let gateway = TestGateway::start_with(keys).await;
    let expected = format!(
        concat!(
            r#"{{"config":{{"name":"oscar","namespace":"oscar","services_namespace":"oscar-svc","#,
            r#""controller_service_account":"oscar-sa","gpu_available":false,"interLink_available":false,"#,
            r#""yunikorn_enable":false,"kueue_enable":false,"volume_enable":true,"oidc_groups":[],"#,
            r#""minio_quota_enabled":false}},"minio_provider":{{"endpoint":"{}","verify":false,"#,
            r#""access_key":"AK","secret_key":"S\u003cK","region":"us-east-1"}},"allowed_image_repositories":[]}}"#
        ),
        gateway.s3_url()
    );
    assert_eq!(
        gateway.get("/system/config/").await.said(),
        (200, expected.as_str())
    );
}

#[tokio::test]
async fn only_allowed_images_can_be_used() {
    let gateway = TestGateway::start().await;
    let answer = gateway
        .put(
            "/system/config",
            r#"{"allowed_image_repositories":["registry.local/"]}"#,
        )
        .await;
    assert_eq!(answer.said(), (200, r#"["registry.local/"]"#));
    let refused = "Error creating the service: image example/tool:1 is not allowed for pull";
    assert_eq!(
        gateway
            .post("/system/services", service("grey"))
            .await
            .said(),
        (500, refused)
    );
    let config = gateway.get("/system/config").await.json();
    assert_eq!(
        config["allowed_image_repositories"],
        serde_json::json!(["registry.local/"])
    );
    assert_eq!(
        gateway.put("/system/config", "{}").await.said(),
        (200, "null")
    );
    assert_eq!(gateway.put("/system/config", "nonsense").await.status, 400);
    for bad in [
        r#"{"allowed_image_repositories":["a",""]}"#,
        r#"{"allowed_image_repositories":"a"}"#,
        "",
    ] {
        assert_eq!(
            gateway.put("/system/config", bad).await.status,
            400,
            "{bad}"
        );
    }
    assert_eq!(
        gateway
            .put("/system/config", r#"{"allowed_image_repositories":[]}"#)
            .await
            .said(),
        (200, "[]")
    );
    gateway.create(service("grey")).await;
}

#[tokio::test]
async fn status_of_an_empty_cluster_has_all_its_numbers() {
    let gateway = TestGateway::start().await;
    let answer = gateway.get("/system/status").await;
    let started = answer.json()["oscar"]["deployment"]["creation_timestamp"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(started.parse::<jiff::Timestamp>().is_ok());
    let expected = format!(
        concat!(
            r#"{{"cluster":{{"nodes_count":0,"metrics":{{"cpu":{{"total_free_cores":0,"max_free_on_node_cores":0,"#,
            r#""total_schedulable_cores":0,"total_schedulable_on_node_cores":0}},"memory":{{"total_free_bytes":0,"#,
            r#""max_free_on_node_bytes":0,"total_schedulable_bytes":0,"max_schedulable_on_node_bytes":0}},"#,
            r#""gpu":{{"total_gpu":0}}}},"nodes":[]}},"oscar":{{"deployment_name":"oscar","ready":true,"#,
            r#""deployment":{{"available_replicas":1,"ready_replicas":1,"replicas":1,"creation_timestamp":"{}","#,
            r#""strategy":"Recreate","labels":{{"app":"oscar"}}}},"jobs_count":0,"pods":{{"total":0,"states":"#,
            r#"{{"Pending":0,"Running":0,"Succeeded":0,"Failed":0,"Unknown":0}}}},"oidc":{{"enabled":false,"#,
            r#""issuers":[],"groups":[]}}}},"minio":{{"buckets_count":0,"total_objects":0}}}}"#
        ),
        started
    );
    assert_eq!(answer.said(), (200, expected.as_str()));
}

#[tokio::test]
async fn status_counts_jobs_buckets_and_objects() {
    let gateway = TestGateway::start().await;
    gateway.create(service("grey")).await;
    gateway.post("/job/grey", "x").await;
    let status = gateway.get("/system/status").await.json();
    assert_eq!(status["oscar"]["jobs_count"], 1);
    assert_eq!(status["oscar"]["pods"]["states"]["Pending"], 1);
    assert_eq!(
        status["minio"],
        serde_json::json!({ "buckets_count": 1, "total_objects": 2 })
    );
}

#[tokio::test]
async fn only_what_is_exposed_can_be_stopped() {
    let gateway = TestGateway::start().await;
    gateway.create(service("grey")).await;
    for action in ["stop", "start", "restart"] {
        let answer = gateway
            .post(&format!("/system/services/grey/{action}"), "")
            .await;
        assert_eq!(answer.said(), (400, r#"service "grey" is not exposed"#));
    }
    assert_eq!(
        gateway.post("/system/services/none/stop", "").await.said(),
        (404, "")
    );
    assert_eq!(
        gateway.post("/system/services/grey/dance", "").await.said(),
        (404, "404 page not found")
    );
}

#[tokio::test]
async fn what_a_small_cluster_does_not_have_is_refused_or_kept_as_the_reference_marks_say() {
    let gateway = TestGateway::start().await;
    let with = |member: &str, value: serde_json::Value| {
        let mut grey = service("grey");
        grey[member] = value;
        grey
    };
    let start = "The service specification is not valid: ";
    for (member, value, text) in [
        (
            "kserve",
            serde_json::json!({ "type": "inference", "storage_uri": "s3://m", "inference": { "model_format": "onnx" } }),
            "kserve: serving a model is not available in this version; leave it out",
        ),
        (
            "enable_sgx",
            true.into(),
            "enable_sgx: true: an enclave is not available in this version; leave it out",
        ),
        (
            "enable_gpu",
            true.into(),
            "enable_gpu: true: no node of this cluster offers a GPU to services; set it to false",
        ),
        (
            "mount",
            serde_json::json!({ "storage_provider": "minio", "path": "b/models" }),
            "mount of \"minio\" (path \"b/models\"): a mount is not available in this version; leave it out",
        ),
    ] {
        let answer = gateway.post("/system/services", with(member, value)).await;
        assert_eq!(answer.said(), (400, format!("{start}{text}").as_str()));
    }
    // What changes nothing is kept and given back.
    for (member, value) in [
        ("interlink_node_name", serde_json::json!("hpc")),
        ("total_cpu", serde_json::json!("2")),
        ("total_memory", serde_json::json!("1Gi")),
        ("enable_gpu", serde_json::json!(false)),
        ("enable_sgx", serde_json::json!(false)),
        ("alpine", serde_json::json!(true)),
    ] {
        gateway.create(with(member, value.clone())).await;
        let shown = gateway.get("/system/services/grey").await.json();
        assert_eq!(shown[member], value, "{member}");
        gateway.delete("/system/services/grey").await;
    }
    gateway
        .create(with("kserve", serde_json::Value::Null))
        .await;
}

#[tokio::test]
async fn deployment_logs_are_the_last_lines_of_the_newest_jobs() {
    let gateway = TestGateway::start().await;
    gateway.create(service("grey")).await;
    for _ in 0..2 {
        gateway.post("/job/grey", "x").await;
    }
    let path = "/system/services/grey/deployment/logs";
    let logs = gateway.get(path).await.json();
    assert_eq!(logs["message"], "Deployment logs are not yet available.");
    gateway.execute(
        "INSERT INTO logs (job, attempt, bytes, text)
         SELECT id, 1, 0, '2026-02-01T10:20:31.5Z one' || id || char(10) || '2026-02-01T10:20:32.5Z two' || id || char(10) FROM jobs",
    );
    let messages = |logs: &serde_json::Value| -> Vec<String> {
        let entries = logs["entries"].as_array().unwrap().iter();
        entries
            .map(|entry| entry["message"].as_str().unwrap().to_owned())
            .collect()
    };
    let logs = gateway
        .get(&format!("{path}?tailLines=3&timestamps=true"))
        .await
        .json();
    assert_eq!(messages(&logs), ["two1", "one2", "two2"]);
    assert_eq!(logs["entries"][0]["timestamp"], "2026-02-01T10:20:32.5Z");
    assert_eq!(logs["available"], true);
    let logs = gateway.get(path).await.json();
    assert_eq!(messages(&logs).len(), 4);
    assert_eq!(logs["entries"][0].get("timestamp"), None);
}

#[tokio::test]
async fn deployment_of_a_batch_service_is_unavailable() {
    let gateway = TestGateway::start().await;
    gateway.create(service("grey")).await;
    let expected = concat!(
        r#"{"service_name":"grey","namespace":"oscar-svc","state":"unavailable","reason":"Current deployment "#,
        r#"visibility is unavailable for this service runtime.","active_instances":0,"affected_instances":0,"#,
        r#""resource_kind":"unavailable"}"#
    );
    assert_eq!(
        gateway.get("/system/services/grey/deployment").await.said(),
        (200, expected)
    );
    assert_eq!(
        gateway.get("/system/services/none/deployment").await.said(),
        (404, "")
    );
    assert_eq!(
        gateway.get("/system/services/-x/deployment").await.said(),
        (400, "invalid serviceName")
    );
    let expected = concat!(
        r#"{"service_name":"grey","available":false,"message":"Deployment logs are unavailable for this service.","#,
        r#""entries":[]}"#
    );
    let path = "/system/services/grey/deployment/logs?timestamps=false&tailLines=200";
    assert_eq!(gateway.get(path).await.said(), (200, expected));
    let listed = gateway
        .get("/system/services?include=Deployment")
        .await
        .json();
    assert_eq!(listed[0]["deployment"]["state"], "unavailable");
    assert_eq!(listed[0]["deployment"].get("service_name"), None);
}
