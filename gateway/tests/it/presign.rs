//! URLs that the API signs, used as whoever gets them would.

use reqwest::{Client, Method};
use serde_json::json;

use crate::harness::{TestGateway, send};

async fn with_bucket() -> TestGateway {
    let gateway = TestGateway::start().await;
    let made = gateway
        .post("/system/buckets", json!({ "bucket_name": "plants" }))
        .await;
    assert_eq!(made.said(), (201, ""));
    gateway
}

#[tokio::test]
async fn a_presigned_url_uploads_and_downloads_and_nothing_else() {
    let gateway = with_bucket().await;
    let at = "/system/buckets/plants/presign";
    let upload = json!({
        "object_key": " /in/ä b+c.txt ", "operation": "UPLOAD", "content_type": "text/x-leaf", "expires": 60,
        "extra_headers": { "X-Amz-Meta-Colour": "green" },
    });
    let upload = gateway.post(at, upload).await.json();
    assert_eq!(upload["object_key"], "in/ä b+c.txt");
    assert_eq!(
        (&upload["operation"], &upload["method"]),
        (&json!("upload"), &json!("PUT"))
    );
    let headers = json!({ "content-type": "text/x-leaf", "x-amz-meta-colour": "green" });
    assert_eq!(upload["headers"], headers);
    let ends: jiff::Timestamp = upload["expires_at"].as_str().unwrap().parse().unwrap();
    let left = ends.as_second() - jiff::Timestamp::now().as_second();
    assert!((30..=60).contains(&left), "{left}");

    let client = Client::new();
    let url = upload["url"].as_str().unwrap();
    let without = client.put(url).header("content-type", "text/x-leaf");
    assert_eq!(send(without.body("leaf")).await.status, 403);
    let put = client
        .put(url)
        .header("content-type", "text/x-leaf")
        .header("x-amz-meta-colour", "green");
    assert_eq!(send(put.body("leaf")).await.status, 200);
    assert_eq!(send(client.get(url)).await.status, 403);

    let download = json!({
        "object_key": "in/ä b+c.txt", "operation": "download", "content_type": "text/plain; charset=utf-8",
        "expires_in": 0, "extra_headers": null,
    });
    let download = gateway.post(at, download).await.json();
    assert!(download.get("headers").is_none(), "{download}");
    let got = send(client.get(download["url"].as_str().unwrap())).await;
    assert_eq!(got.said(), (200, "leaf"));
    assert_eq!(got.content_type, "text/plain; charset=utf-8");
    assert_eq!(got.headers["x-amz-meta-colour"], "green");
    let other = download["url"].as_str().unwrap().replace("b%2Bc", "other");
    assert_eq!(send(client.get(other)).await.status, 403);
}

#[tokio::test]
async fn what_cannot_be_presigned_is_refused_in_words() {
    let gateway = with_bucket().await;
    let at = "/system/buckets/plants/presign";
    for (body, expected) in [
        ("", "the request is not valid: EOF"),
        ("[1]", "the request is not valid: "),
        (
            r#"{"object_key":" / ","operation":"upload"}"#,
            "object_key: it is missing",
        ),
        (
            r#"{"object_key":"k","operation":"delete"}"#,
            "operation: \"delete\" is not supported; expected upload or download",
        ),
        (
            r#"{"object_key":"k","operation":"upload","expires_in":604801}"#,
            "expires_in: 604801 is out of range",
        ),
        (
            r#"{"object_key":"k","operation":"upload","expires_in":-1}"#,
            "expires_in: -1 is out of range",
        ),
        (
            r#"{"object_key":"k","operation":"upload","extra_headers":{"Host":"elsewhere"}}"#,
            "extra_headers: \"host\" cannot be signed",
        ),
        (
            r#"{"object_key":"k","operation":"upload","extra_headers":{"x-a":"b\nc"}}"#,
            "extra_headers: \"x-a\" cannot be signed",
        ),
    ] {
        let answer = gateway.post(at, body).await;
        assert!(
            answer.status == 400 && answer.text.starts_with(expected),
            "for {body}: {answer:?}"
        );
    }
    let long = json!({ "object_key": "k".repeat(1025), "operation": "upload" });
    assert_eq!(gateway.post(at, long).await.status, 400);
    let elsewhere = gateway
        .post(
            "/system/buckets/none/presign",
            json!({ "object_key": "k", "operation": "upload" }),
        )
        .await;
    assert_eq!(elsewhere.said(), (404, "Bucket 'none' not found"));
    let stranger = gateway.anonymous(Method::POST, at).body("{}");
    assert_eq!(send(stranger).await.status, 401);
}
