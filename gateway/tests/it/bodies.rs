//! Bodies that are no good JSON: every one is answered with a sentence, none with a failure of ours.

use reqwest::Method;

use crate::harness::{Answer, TestGateway, send, service};

/// Everything that reads a JSON body.
const READERS: [(Method, &str); 6] = [
    (Method::POST, "/system/services"),
    (Method::PUT, "/system/services"),
    (Method::PUT, "/system/config"),
    (Method::POST, "/system/buckets"),
    (Method::PUT, "/system/buckets"),
    (Method::POST, "/system/buckets/grey/presign"),
];

async fn ask(gateway: &TestGateway, method: &Method, path: &str, body: &[u8]) -> Answer {
    send(gateway.request(method.clone(), path).body(body.to_vec())).await
}

#[tokio::test]
async fn what_is_no_json_object_is_refused_in_words() {
    let gateway = TestGateway::start().await;
    gateway.create(service("grey")).await;
    let deep = |open: &str, close: &str| [open.repeat(100_000), close.repeat(100_000)].concat();
    let bodies: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", Vec::new()),
        ("blanks", b" \n\t".to_vec()),
        ("half an object", br#"{"name": "x""#.to_vec()),
        ("a trailing comma", br#"{"name": "x",}"#.to_vec()),
        ("two objects", b"{}{}".to_vec()),
        ("a list", b"[]".to_vec()),
        ("a number", b"7".to_vec()),
        ("a string", br#""x""#.to_vec()),
        ("null", b"null".to_vec()),
        (
            "invalid UTF-8 in a value",
            b"{\"name\": \"\xff\xfe\"}".to_vec(),
        ),
        ("invalid UTF-8 in a name", b"{\"\xc3\x28\": 1}".to_vec()),
        ("half a surrogate pair", br#"{"name": "\ud800"}"#.to_vec()),
        ("a byte order mark", b"\xef\xbb\xbf{}".to_vec()),
        ("lists in lists", deep("[", "]").into_bytes()),
        ("objects in objects", deep(r#"{"a":"#, "}").into_bytes()),
        (
            "deep below a member",
            format!(r#"{{"name": {}}}"#, deep("[", "]")).into_bytes(),
        ),
        (
            "a number beyond all numbers",
            br#"{"name": 1e999999}"#.to_vec(),
        ),
        (
            "a number of many digits",
            format!(r#"{{"name": {}}}"#, "9".repeat(100_000)).into_bytes(),
        ),
        ("zero bytes", vec![0; 64]),
    ];
    for (method, path) in &READERS {
        for (what, body) in &bodies {
            let answer = ask(&gateway, method, path, body).await;
            assert_eq!(
                answer.status, 400,
                "{what} to {method} {path}: {}",
                answer.text
            );
            assert!(
                !answer.text.is_empty(),
                "{what} to {method} {path} is refused without a word"
            );
            assert!(
                answer.text.len() < 1000,
                "{what} to {method} {path} is echoed at length"
            );
            assert_eq!(
                answer.content_type, "text/plain; charset=utf-8",
                "for {what} to {method} {path}"
            );
        }
        let large = vec![b' '; 4 * 1024 * 1024 + 1];
        assert_eq!(
            ask(&gateway, method, path, &large).await.status,
            413,
            "for {method} {path}"
        );
    }
}

#[tokio::test]
async fn what_is_said_of_a_body_leads_to_the_place() {
    let gateway = TestGateway::start().await;
    let table: [(&str, &str, &[&str]); 8] = [
        (
            "/system/services",
            "{\n  \"name\": \"x\",\n  oops\n}",
            &["line 3", "column"],
        ),
        (
            "/system/services",
            r#"{"name":"x","image":"i","script":"s","memory":"1Gib"}"#,
            &["memory", "Gib", "Gi"],
        ),
        (
            "/system/services",
            r#"{"name":"x","image":"i","script":"s","cpu":1}"#,
            &["cpu", "string"],
        ),
        (
            "/system/services",
            r#"{"name":"x","image":"i","script":"s","input":[{"storage_provider":"minio","path":7}]}"#,
            &["input", "path", "string"],
        ),
        (
            "/system/services",
            r#"{"name":"x","image":"i","script":"s","synchronous":{"min_scale":99999999999999999999}}"#,
            &["synchronous.min_scale"],
        ),
        (
            "/system/buckets",
            r#"{"bucket_name":3}"#,
            &["expected a string"],
        ),
        (
            "/system/buckets",
            r#"{"bucket_name":"b","visibility":"secret"}"#,
            &["visibility", "secret", "private"],
        ),
        (
            "/system/buckets",
            "{\n\"bucket_name\": }",
            &["line 2", "column"],
        ),
    ];
    for (path, body, words) in table {
        let answer = gateway.post(path, body).await;
        assert_eq!(answer.status, 400, "for {body}: {answer:?}");
        for word in words {
            assert!(
                answer.text.contains(word),
                "{word:?} is not said of {body}: {}",
                answer.text
            );
        }
    }
}

/// Members that come twice, and members that nobody knows, are no reason to refuse: OSCAR's clients send both.
#[tokio::test]
async fn a_member_that_comes_twice_does_no_harm() {
    let gateway = TestGateway::start().await;
    for body in [
        r#"{"bucket_name":"one","bucket_name":"two"}"#,
        r#"{"bucket_name":"three","Bucket_Name":"four","x":{"y":[null]}}"#,
    ] {
        let answer = gateway.post("/system/buckets", body).await;
        assert!(matches!(answer.status, 201 | 400), "for {body}: {answer:?}");
    }
}
