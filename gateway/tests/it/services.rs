//! Services: what is stored, what is refused, what comes back.

use serde_json::json;

use crate::harness::{TestGateway, service};

/// Creates the service of the reference's worked example and reads it back.
#[tokio::test]
async fn a_service_comes_back_as_the_reference_shows_it() {
    let gateway = TestGateway::start().await;
    gateway
        .create(concat!(
            r##"{"name":"grey","image":"example/imagetool:1","memory":"128Mi","cpu":"0.5","script":"#!/bin/sh\nconvert"##,
            r##" \"$INPUT_FILE_PATH\" -colorspace gray \"$TMP_OUTPUT_DIR/out.png\"\n","input":[{"storage_provider":"##,
            r##""minio","path":"in"}],"output":[{"storage_provider":"minio.default","path":"grey/out"}],"##,
            r##""environment":{"Variables":{"MODE":"fast"}}}"##
        ))
        .await;
    let answer = gateway.get("/system/services/grey").await;
    assert_eq!(
        (answer.status, answer.content_type.as_str()),
        (200, "application/json; charset=utf-8")
    );
    let token = answer.json()["token"].as_str().unwrap().to_owned();
    assert!(
        token.len() == 64
            && token
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    );
    let expected = format!(
        concat!(
            r##"{{"name":"grey","cluster_id":"","memory":"128Mi","cpu":"0.5","total_memory":"","total_cpu":"","##,
            r##""ephemeral_storage_request":"","enable_gpu":false,"enable_sgx":false,"image_prefetch":false,"##,
            r##""synchronous":{{"min_scale":0,"max_scale":0}},"log_level":"INFO","image":"example/imagetool:1","##,
            r##""alpine":false,"token":"{token}","file_stage_in":false,"input":[{{"storage_provider":"minio","path":"##,
            r##""grey/in"}}],"output":[{{"storage_provider":"minio.default","path":"grey/out"}}],"script":"##,
            r##""#!/bin/sh\nconvert \"$INPUT_FILE_PATH\" -colorspace gray \"$TMP_OUTPUT_DIR/out.png\"\n","##,
            r##""expose":{{"min_scale":0,"max_scale":0,"cpu_threshold":0,"rewrite_target":false,"default_command":"##,
            r##"false,"set_auth":false,"health_path":""}},"environment":{{"variables":{{"MODE":"fast"}},"secrets":"##,
            r##"{{}}}},"annotations":{{}},"vo":"","labels":{{"applicationId":"grey","oscar.grycap/user-service":"##,
            r##""true","oscar_service":"grey","owner_name":"oscar","queue":"root.oscar-queue.grey"}},"##,
            r##""storage_providers":{{"minio":{{"default":{{"endpoint":"{url}","verify":false,"access_key":"##,
            r##""hidden","secret_key":"hidden","region":"us-east-1"}}}}}},"owner":"cluster_admin","namespace":"##,
            r##""oscar-svc","interlink_node_name":"","visibility":"private","allowed_users":[],"isolation_level":"","##,
            r##""bucket_list":[],"mount":{{"storage_provider":"","path":""}},"volume_status":{{"enabled":false}}}}"##
        ),
        token = token,
        url = gateway.s3_url()
    );
    assert_eq!(answer.text, expected);
    assert_eq!(
        gateway.get("/system/services").await.text,
        format!("[{expected}]")
    );
}

#[tokio::test]
async fn creating_makes_buckets_folders_and_triggers() {
    let gateway = TestGateway::start().await;
    gateway
        .create(json!({
            "name": "pipe", "image": "i", "script": "s",
            "input": [{ "storage_provider": "minio", "path": "shared/in/deep" }, { "storage_provider": "minio", "path": "in" }],
            "output": [{ "storage_provider": "minio", "path": "results/out" }],
        }))
        .await;
    let names: Vec<_> = gateway
        .get("/system/buckets")
        .await
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|bucket| (bucket["bucket_name"].clone(), bucket["metadata"].clone()))
        .collect();
    let tags = json!({ "from_service": "pipe", "owner_name": "oscar" });
    assert_eq!(
        names,
        [
            ("pipe".into(), tags.clone()),
            ("results".into(), tags.clone()),
            ("shared".into(), tags)
        ]
    );
    let objects = gateway.get("/system/buckets/shared").await.json()["objects"].clone();
    assert_eq!(objects.as_array().unwrap().len(), 1);
    assert_eq!(objects[0]["object_name"], "in/deep/");
    assert_eq!(gateway.count("SELECT count(*) FROM triggers WHERE service = 'pipe' AND bucket = 'shared' AND prefix = 'in/deep/'"), 1);
    assert_eq!(gateway.count("SELECT count(*) FROM triggers"), 2);
    assert_eq!(gateway.count("SELECT count(*) FROM jobs"), 0);
}

#[tokio::test]
async fn an_empty_cluster_lists_an_empty_array() {
    let gateway = TestGateway::start().await;
    assert_eq!(gateway.get("/system/services").await.said(), (200, "[]"));
    assert_eq!(gateway.get("/system/services/none").await.said(), (404, ""));
    assert_eq!(
        gateway.get("/system/services/no%20name").await.said(),
        (400, "invalid serviceName")
    );
    assert_eq!(
        gateway.delete("/system/services/none").await.said(),
        (404, "")
    );
    assert_eq!(
        gateway
            .put("/system/services", service("none"))
            .await
            .said(),
        (404, "")
    );
}

#[tokio::test]
async fn an_update_replaces_everything_but_token_and_owner() {
    let gateway = TestGateway::start().await;
    let mut body = service("grey");
    body["memory"] = json!("1Gi");
    body["annotations"] = json!({ "a": "b" });
    gateway.create(&body).await;
    let before = gateway.get("/system/services/grey").await.json();
    let mut changed = service("grey");
    changed["token"] = json!("0".repeat(64));
    changed["owner"] = json!("");
    changed["namespace"] = json!("elsewhere");
    changed["input"] = json!([{ "storage_provider": "minio", "path": "fresh/in" }]);
    assert_eq!(
        gateway.put("/system/services", changed).await.said(),
        (204, "")
    );
    let after = gateway.get("/system/services/grey").await.json();
    assert_eq!(after["token"], before["token"]);
    assert_eq!(after["owner"], "cluster_admin");
    assert_eq!(after["namespace"], "oscar-svc");
    assert_eq!(after["memory"], "256Mi");
    assert_eq!(after["annotations"], json!({}));
    assert_eq!(after["labels"]["owner_name"], "oscar");
    assert_eq!(
        gateway.count("SELECT count(*) FROM triggers WHERE bucket = 'fresh'"),
        1
    );
    assert_eq!(gateway.count("SELECT count(*) FROM triggers"), 1);
    assert_eq!(gateway.get("/system/buckets/fresh").await.status, 200);
    assert_eq!(
        gateway.get("/system/buckets/grey").await.status,
        200,
        "buckets no longer used are kept"
    );
}

#[tokio::test]
async fn a_revision_number_is_never_used_twice() {
    let gateway = TestGateway::start().await;
    gateway.create(service("grey")).await;
    let first = gateway.count("SELECT revision FROM services");
    gateway.put("/system/services", service("grey")).await;
    let second = gateway.count("SELECT revision FROM services");
    gateway.delete("/system/services/grey").await;
    gateway.create(service("grey")).await;
    let third = gateway.count("SELECT revision FROM services");
    assert!(first < second && second < third, "{first} {second} {third}");
}

#[tokio::test]
async fn what_is_read_can_be_written_back_and_nothing_changes() {
    let gateway = TestGateway::start().await;
    gateway
        .create(json!({
            "name": "all", "cluster_id": "edge", "memory": "1Gi", "cpu": "1", "total_memory": "4Gi", "total_cpu": "4",
            "ephemeral_storage_request": "2Gi", "image_prefetch": true, "synchronous": { "min_scale": 1, "max_scale": 3 },
            "log_level": "debug", "image": "example/tool:1", "alpine": true, "file_stage_in": true,
            "input": [{ "storage_provider": "minio.default", "path": "all/in" }],
            "output": [{ "storage_provider": "minio", "path": "all/out", "suffix": [".png"], "prefix": ["a"] }],
            "script": "#!/bin/sh\r\necho '<&>'\r\n", "image_pull_secrets": [],
            "expose": { "min_scale": 0, "max_scale": 0, "cpu_threshold": 80, "health_path": "/h" },
            "environment": { "variables": { "A": "1" }, "secrets": { "KEY": "swordfish", "OTHER": "x" } },
            "annotations": { "note": "n" }, "labels": { "team": "blue" }, "vo": "/group/sub",
            "storage_providers": { "s3": { "aws": { "access_key": "a", "secret_key": "s", "region": "r" } } },
            "clusters": { "cloud": { "endpoint": "https://cloud.example.org", "auth_user": "u", "auth_password": "p", "ssl_verify": true } },
            "visibility": "restricted", "allowed_users": [" ana ", ""], "isolation_level": "SERVICE",
            "federation": { "group_id": "g", "topology": "star", "delegation": "static", "rescheduler_threshold": 30 },
            "edge": { "priority": 3, "timeout": "60s", "retries": 1, "node_selector": { "camera": "true" } },
        }))
        .await;
    let before = gateway.get("/system/services/all").await;
    assert!(
        before.text.contains(r"echo '\u003c\u0026\u003e'\n"),
        "{}",
        before.text
    );
    assert!(
        !before.text.contains("swordfish") && !before.text.contains("null"),
        "{}",
        before.text
    );
    assert_eq!(
        before.json()["environment"]["secrets"],
        json!({ "KEY": "", "OTHER": "" })
    );
    assert_eq!(
        gateway.put("/system/services", &before.text).await.said(),
        (204, "")
    );
    assert_eq!(gateway.get("/system/services/all").await.text, before.text);
    let after = gateway.definition("all").await;
    assert_eq!(after.secrets["KEY"], "swordfish");
    // What agents get has no credentials of other storages and clusters; what was stored still has.
    assert!(after.service.storage_providers.is_empty() && after.service.clusters.is_empty());
    let stored = before.json();
    assert_eq!(stored["storage_providers"]["s3"]["aws"]["secret_key"], "s");
    assert_eq!(stored["clusters"]["cloud"]["auth_password"], "p");
}

#[tokio::test]
async fn secrets_are_kept_replaced_or_dropped_as_they_are_sent() {
    let gateway = TestGateway::start().await;
    let with = |secrets: serde_json::Value| {
        let mut body = service("grey");
        body["environment"] = json!({ "secrets": secrets });
        body
    };
    let stored = async || json!(gateway.definition("grey").await.secrets);
    gateway.create(with(json!({ "A": "1", "B": "2" }))).await;
    assert_eq!(stored().await, json!({ "A": "1", "B": "2" }));
    for keeps in [with(json!(null)), with(json!({})), service("grey")] {
        assert_eq!(gateway.put("/system/services", keeps).await.status, 204);
        assert_eq!(stored().await, json!({ "A": "1", "B": "2" }));
        let shown = gateway.get("/system/services/grey").await.json();
        assert_eq!(shown["environment"]["secrets"], json!({ "A": "", "B": "" }));
    }
    gateway
        .put("/system/services", with(json!({ "A": "", "C": "3" })))
        .await;
    assert_eq!(stored().await, json!({ "A": "1", "C": "3" }));
    gateway.delete("/system/services/grey").await;
    assert_eq!(gateway.count("SELECT count(*) FROM secrets"), 0);
    gateway.create(service("grey")).await;
}

#[tokio::test]
async fn deleting_takes_the_services_own_buckets_and_leaves_the_shared_ones() {
    let gateway = TestGateway::start().await;
    assert_eq!(
        gateway
            .post("/system/buckets", json!({ "bucket_name": "mine" }))
            .await
            .status,
        201
    );
    gateway.create(json!({
        "name": "first", "image": "i", "script": "s",
        "input": [{ "storage_provider": "minio", "path": "first/in" }],
        "output": [{ "storage_provider": "minio", "path": "middle/a" }, { "storage_provider": "minio", "path": "mine/b" }],
    })).await;
    gateway
        .create(json!({
            "name": "second", "image": "i", "script": "s",
            "input": [{ "storage_provider": "minio", "path": "middle/a" }], "output": [],
        }))
        .await;
    gateway.post("/job/first", "x").await;
    assert_eq!(
        gateway.delete("/system/services/first").await.said(),
        (204, "")
    );
    assert_eq!(gateway.get("/system/services/first").await.status, 404);
    assert_eq!(gateway.get("/system/buckets/first").await.status, 404);
    assert_eq!(
        gateway.get("/system/buckets/middle").await.status,
        200,
        "another service uses it"
    );
    assert_eq!(
        gateway.get("/system/buckets/mine").await.status,
        200,
        "the service did not make it"
    );
    assert_eq!(gateway.count("SELECT count(*) FROM jobs"), 0);
    assert_eq!(
        gateway.count("SELECT count(*) FROM triggers WHERE service = 'first'"),
        0
    );
    assert_eq!(gateway.delete("/system/services/second").await.status, 204);
    assert_eq!(
        gateway.get("/system/buckets/middle").await.status,
        200,
        "it was made by the first"
    );
}

#[tokio::test]
async fn a_create_that_fails_half_way_leaves_nothing() {
    let gateway = TestGateway::start().await;
    let answer = gateway.post("/system/services", json!({
        "name": "grey", "image": "i", "script": "s", "environment": { "secrets": { "A": "1" } },
        "input": [{ "storage_provider": "minio", "path": "good/in" }],
        "output": [{ "storage_provider": "minio", "path": "X/out" }],
    })).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(answer.text.contains("\"X\""), "{}", answer.text);
    for table in ["services", "secrets", "buckets", "objects", "triggers"] {
        assert_eq!(
            gateway.count(&format!("SELECT count(*) FROM {table}")),
            0,
            "in {table}"
        );
    }
}

#[tokio::test]
async fn a_changed_visibility_reaches_the_services_own_buckets() {
    let gateway = TestGateway::start().await;
    gateway.create(service("grey")).await;
    let mut body = service("grey");
    body["visibility"] = json!("restricted");
    body["allowed_users"] = json!(["ana"]);
    gateway.put("/system/services", &body).await;
    let bucket = gateway.get("/system/buckets/grey").await.json();
    assert_eq!(
        (&bucket["visibility"], &bucket["allowed_users"]),
        (&json!("restricted"), &json!(["ana"]))
    );
    body["input"] = json!([]);
    body["output"] = json!([]);
    gateway.put("/system/services", &body).await;
    let bucket = gateway.get("/system/buckets/grey").await.json();
    assert_eq!(
        (&bucket["visibility"], &bucket["allowed_users"]),
        (&json!("private"), &json!([]))
    );
}

#[tokio::test]
async fn a_definition_has_at_most_four_mebibytes() {
    let gateway = TestGateway::start().await;
    let mut body = service("grey");
    body["script"] = json!("x".repeat(4 * 1024 * 1024));
    let text = "the request body is larger than 4194304 bytes, which is the limit";
    assert_eq!(
        gateway.post("/system/services", body).await.said(),
        (413, text)
    );
}
