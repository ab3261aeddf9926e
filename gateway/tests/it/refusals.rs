//! Services that are not taken.

use serde_json::json;

use crate::harness::{TestGateway, service};

#[tokio::test]
async fn a_name_is_taken_once() {
    let gateway = TestGateway::start().await;
    gateway.create(service("grey")).await;
    let text = "A service with the provided name already exists";
    assert_eq!(
        gateway
            .post("/system/services", service("grey"))
            .await
            .said(),
        (409, text)
    );
}

#[tokio::test]
async fn a_specification_that_is_wrong_is_refused_in_words() {
    let gateway = TestGateway::start().await;
    let with = |member: &str, value: serde_json::Value| {
        let mut service = service("grey");
        service[member] = value;
        service.to_string()
    };
    let invalid = "The service specification is not valid: ";
    for (body, expected) in [
        (String::new(), "EOF"),
        ("{".to_owned(), "it is no JSON"),
        ("[]".to_owned(), "expected a JSON object"),
        (with("name", json!("")), "name"),
        (with("name", json!("a".repeat(40))), "at most 39"),
        (with("name", json!("Grey")), "lower-case"),
        (with("image", json!(null)), "image"),
        (with("script", json!("")), "script"),
        (with("cpu", json!("lots")), "cpu"),
        (with("memory", json!("1Gib")), "memory"),
        (with("visibility", json!("secret")), "visibility"),
        (
            with("environment", json!({ "variables": { "N": [1] } })),
            "environment.variables.N",
        ),
    ] {
        let answer = gateway.post("/system/services", &body).await;
        assert_eq!(answer.status, 400, "for {body}: {answer:?}");
        assert!(
            answer.text.starts_with(invalid) && answer.text.contains(expected),
            "for {body}: {}",
            answer.text
        );
        assert_eq!(answer.content_type, "text/plain; charset=utf-8");
    }
    let empty = |path| json!([{ "storage_provider": "minio", "path": path }]);
    assert_eq!(
        gateway
            .post("/system/services", with("input", empty(" / ")))
            .await
            .said(),
        (400, "input path cannot be empty")
    );
    assert_eq!(
        gateway
            .post("/system/services", with("output", empty("")))
            .await
            .said(),
        (400, "output path cannot be empty")
    );
    assert_eq!(gateway.get("/system/services").await.text, "[]");
}

#[tokio::test]
async fn what_is_not_built_is_refused_by_name() {
    let gateway = TestGateway::start().await;
    for (member, value, expected) in [
        (
            "input",
            json!([{ "storage_provider": "mqtt.field", "path": "a/b" }]),
            r#"input provider "mqtt.field" (path "a/b")"#,
        ),
        (
            "output",
            json!([{ "storage_provider": "file.cam", "path": "a/b" }]),
            r#"output provider "file.cam" (path "a/b")"#,
        ),
        (
            "expose",
            json!({ "api_port": 8080, "max_scale": 1, "min_scale": 1 }),
            "expose.api_port 8080",
        ),
        (
            "mount",
            json!({ "storage_provider": "minio.default", "path": "models" }),
            "mount of \"minio.default\"",
        ),
        ("enable_gpu", json!(true), "enable_gpu"),
        ("enable_sgx", json!(true), "enable_sgx"),
        (
            "kserve",
            json!({ "type": "inference", "storage_uri": "s" }),
            "kserve",
        ),
    ] {
        let mut body = service("grey");
        body[member] = value;
        body["storage_providers"] = json!({ "webdav": { "dcache": { "hostname": "h", "login": "l", "password": "p" } },
            "s3": { "aws": { "access_key": "a", "secret_key": "s", "region": "r" } } });
        let answer = gateway.post("/system/services", body).await;
        assert_eq!(answer.status, 400, "for {member}: {answer:?}");
        assert!(
            answer.text.contains(expected),
            "for {member}: {}",
            answer.text
        );
    }
}

/// The body of a call is refused before it is there; the connection must be good for the next call all the same.
#[tokio::test]
async fn a_refused_call_leaves_its_connection_usable() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let gateway = TestGateway::start().await;
    let address = gateway.gateway().api_address();
    let mut connection = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = "POST /job/nobody HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\nTransfer-Encoding: chunked\r\n\r\n";
    connection.write_all(head.as_bytes()).await.unwrap();
    // The handler has everything it needs to refuse; what follows comes while it does.
    for _ in 0..64 {
        connection.write_all(b"400\r\n").await.unwrap();
        connection.write_all(&[b'x'; 1024]).await.unwrap();
        connection.write_all(b"\r\n").await.unwrap();
    }
    connection.write_all(b"0\r\n\r\n").await.unwrap();
    let mut seen = String::new();
    for expected in ["HTTP/1.1 40", "Ok"] {
        while !seen.contains(expected) {
            let mut piece = [0; 4096];
            let length = connection.read(&mut piece).await.unwrap();
            assert_ne!(length, 0, "the connection was closed after {seen:?}");
            seen.push_str(&String::from_utf8_lossy(&piece[..length]));
        }
        let next = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n";
        connection.write_all(next).await.unwrap();
    }
}
