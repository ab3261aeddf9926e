//! Buckets over the API.

use serde_json::json;
use spillway_gateway::Config;

use crate::harness::{TestGateway, service};

#[tokio::test]
async fn a_bucket_lives() {
    let gateway = TestGateway::start().await;
    assert_eq!(gateway.get("/system/buckets").await.said(), (200, "[]"));
    assert_eq!(
        gateway
            .post("/system/buckets", json!({ "bucket_name": "plants" }))
            .await
            .said(),
        (201, "")
    );
    let expected = concat!(
        r#"[{"bucket_name":"plants","visibility":"private","allowed_users":[],"owner":"oscar","metadata":"#,
        r#"{"owner_name":"oscar"},"storage_quota":{"source":"unset"},"storage_usage":{"used":"0","used_bytes":0,"#,
        r#""objects":0},"attribution":"complete"}]"#
    );
    assert_eq!(
        gateway.get("/system/buckets/").await.said(),
        (200, expected)
    );
    let changed = json!({ "bucket_name": "plants", "visibility": "restricted", "allowed_users": [" ana ", ""] });
    assert_eq!(
        gateway.put("/system/buckets", changed).await.said(),
        (204, "")
    );
    let expected = concat!(
        r#"{"bucket_name":"plants","visibility":"restricted","allowed_users":["ana"],"owner":"oscar","metadata":"#,
        r#"{"owner":"oscar","owner_name":"oscar"},"objects":[],"storage_quota":{"source":"unset"},"storage_usage":"#,
        r#"{"used":"0","used_bytes":0,"objects":0},"attribution":"complete","is_truncated":false,"returned_items":0}"#
    );
    assert_eq!(
        gateway
            .get("/system/buckets/plants?limit=&page=")
            .await
            .said(),
        (200, expected)
    );
    assert_eq!(
        gateway.delete("/system/buckets/plants").await.said(),
        (204, "")
    );
    let gone = "The bucket 'plants' does not exist";
    assert_eq!(
        gateway.get("/system/buckets/plants").await.said(),
        (404, gone)
    );
    assert_eq!(
        gateway.delete("/system/buckets/plants").await.said(),
        (404, gone)
    );
    assert_eq!(
        gateway
            .put("/system/buckets", json!({ "bucket_name": "plants" }))
            .await
            .said(),
        (404, gone)
    );
}

#[tokio::test]
async fn a_name_with_a_folder_makes_both() {
    let gateway = TestGateway::start().await;
    assert_eq!(
        gateway
            .post(
                "/system/buckets",
                json!({ "Bucket_Name": "plants/in/deep" })
            )
            .await
            .said(),
        (201, "")
    );
    let objects = gateway.get("/system/buckets/plants").await.json()["objects"].clone();
    assert_eq!(
        (&objects[0]["object_name"], &objects[0]["size_bytes"]),
        (&json!("in/deep/"), &json!(0))
    );
    let modified = objects[0]["last_modified"].as_str().unwrap();
    assert!(
        modified.len() == 20 && modified.parse::<jiff::Timestamp>().is_ok(),
        "{modified}"
    );
}

#[tokio::test]
async fn a_bucket_that_cannot_be_is_refused_in_words() {
    let gateway = TestGateway::start().await;
    gateway
        .post("/system/buckets", json!({ "bucket_name": "plants" }))
        .await;
    let taken = "Error creating bucket with name 'plants': the bucket \"plants\" already exists";
    assert_eq!(
        gateway
            .post("/system/buckets", json!({ "bucket_name": "plants" }))
            .await
            .said(),
        (409, taken)
    );
    let answer = gateway
        .post("/system/buckets", json!({ "bucket_name": "Plants" }))
        .await;
    assert_eq!(answer.status, 400);
    assert!(
        answer
            .text
            .starts_with("Error creating bucket with name 'Plants': \"Plants\" is no valid"),
        "{}",
        answer.text
    );
    let invalid = "The Bucket specification is not valid: ";
    for (body, expected) in [
        ("", "EOF"),
        ("{", "EOF while parsing"),
        ("{}", "bucket_name: it is missing"),
        (
            r#"{"bucket_name":"b","visibility":"secret"}"#,
            "visibility: \"secret\" is not known",
        ),
        (r#"{"bucket_name":7}"#, "expected a string"),
    ] {
        for answer in [
            gateway.post("/system/buckets", body).await,
            gateway.put("/system/buckets", body).await,
        ] {
            assert_eq!(answer.status, 400, "for {body}");
            assert!(
                answer.text.starts_with(invalid) && answer.text.contains(expected),
                "for {body}: {}",
                answer.text
            );
        }
    }
}

#[tokio::test]
async fn objects_come_in_pages() {
    let gateway = TestGateway::start_with(Config {
        listing_limit: Some(2),
        ..Config::default()
    })
    .await;
    for folder in ["a", "b", "c", "ünï/x y", "z"] {
        let answer = gateway
            .post("/system/services", {
                let mut body = service(&format!("s{}", folder.len()));
                body["name"] = json!(format!(
                    "s-{}",
                    folder
                        .bytes()
                        .map(|byte| byte.to_string())
                        .collect::<String>()
                ));
                body["input"] =
                    json!([{ "storage_provider": "minio", "path": format!("paged/{folder}") }]);
                body["output"] = json!([]);
                body
            })
            .await;
        assert_eq!(answer.said(), (201, ""));
    }
    let mut names = Vec::new();
    let mut page = String::new();
    let mut sizes = Vec::new();
    loop {
        let answer = gateway
            .get(&format!("/system/buckets/paged?page={page}"))
            .await
            .json();
        let objects = answer["objects"].as_array().unwrap().clone();
        sizes.push((
            answer["returned_items"].as_u64().unwrap(),
            answer["is_truncated"].as_bool().unwrap(),
        ));
        names.extend(
            objects
                .into_iter()
                .map(|object| object["object_name"].as_str().unwrap().to_owned()),
        );
        match answer.get("next_page") {
            Some(next) => next.as_str().unwrap().clone_into(&mut page),
            None => break,
        }
    }
    assert_eq!(names, ["a/", "b/", "c/", "z/", "ünï/x y/"]);
    assert_eq!(sizes, [(2, true), (2, true), (1, false)]);
    assert_eq!(
        gateway.get("/system/buckets/paged?page=%25").await.status,
        400
    );
}
