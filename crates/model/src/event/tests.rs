//! Bodies of events, what they are taken for, and what the script gets.

use serde_json::json;

use super::*;
use crate::service::{OnedataProvider, Service, StorageIo};

fn created() -> Created<'static> {
    Created {
        event: "s3:ObjectCreated:Put",
        bucket: "leaves",
        key: "in/row 7/leaf(1).png",
        size: 48213,
        etag: "9f86d081884c7d659a2feaa0c55ad015",
        content_type: "image/png",
        principal: "ana",
        region: "us-east-1",
        source_ip: "192.0.2.9",
        user_agent: "aws-cli/2",
        endpoint: "http://10.0.0.5:9000",
        time: "2026-03-01T08:15:30.1234Z".parse().unwrap(),
    }
}

#[test]
fn the_notification_is_that_of_the_documentation() {
    let expected = concat!(
        r#"{"EventName":"s3:ObjectCreated:Put","Key":"leaves/in/row+7/leaf%281%29.png","Records":[{"#,
        r#""eventVersion":"2.0","eventSource":"minio:s3","awsRegion":"us-east-1","#,
        r#""eventTime":"2026-03-01T08:15:30.123Z","eventName":"s3:ObjectCreated:Put","#,
        r#""userIdentity":{"principalId":"ana"},"#,
        r#""requestParameters":{"principalId":"ana","region":"us-east-1","sourceIPAddress":"192.0.2.9"},"#,
        r#""responseElements":{"x-amz-request-id":"1898A99980A0C340","x-minio-origin-endpoint":"http://10.0.0.5:9000"},"#,
        r#""s3":{"s3SchemaVersion":"1.0","configurationId":"Config","#,
        r#""bucket":{"name":"leaves","ownerIdentity":{"principalId":"ana"},"arn":"arn:aws:s3:::leaves"},"#,
        r#""object":{"key":"in%2Frow+7%2Fleaf%281%29.png","size":48213,"eTag":"9f86d081884c7d659a2feaa0c55ad015","#,
        r#""contentType":"image/png","userMetadata":{"content-type":"image/png"},"sequencer":"1898A99980A0C340"}},"#,
        r#""source":{"host":"192.0.2.9","port":"","userAgent":"aws-cli/2"}}]}"#,
    );
    assert_eq!(created().to_json(), expected);
}

#[test]
fn keys_survive_encoding() {
    for key in ["a b+c%2F/é~-_.!*'()&=", "100%", "新/文 件.txt", ""] {
        assert_eq!(decode_key(&encode_key(key)), key);
    }
    assert_eq!(
        decode_key("in%2fphoto%20one+two.jpg"),
        "in/photo one two.jpg"
    );
    assert_eq!(decode_key("a%ZZ%"), "a%ZZ%");
}

#[test]
fn the_first_test_that_holds_decides() {
    let stored = serde_json::from_str::<serde_json::Value>(&created().to_json()).unwrap();
    let kind = |body: serde_json::Value| match recognise(body.to_string().as_bytes()) {
        Event::Storage(event) => {
            format!("storage {} {} {}", event.provider, event.bucket, event.key)
        }
        Event::Delegated { inner, .. } => format!("delegated {}", name(&inner)),
        Event::ApiGateway {
            inner, variables, ..
        } => format!("gateway {variables:?} {}", name(&inner)),
        Event::DCache { name } => format!("dcache {name}"),
        Event::Rucio { scope, name } => format!("rucio {scope} {name}"),
        Event::OneData { space, path, .. } => format!("onedata {space} {path}"),
        Event::Unknown { raw } => format!("unknown {}", raw.len()),
    };
    fn name(event: &Event) -> String {
        match event {
            Event::Storage(event) => format!("storage {}", event.provider),
            Event::Unknown { raw } => format!("unknown {}", String::from_utf8_lossy(raw)),
            other => format!("{other:?}"),
        }
    }
    assert_eq!(
        kind(stored.clone()),
        "storage minio.default leaves in/row 7/leaf(1).png"
    );
    let wrapped =
        |provider: &str| json!({ "storage_provider": provider, "event": stored.to_string() });
    assert_eq!(
        kind(wrapped("minio.default")),
        "delegated storage minio.default"
    );
    assert_eq!(kind(wrapped("farm-pi")), "delegated storage minio.farm-pi");
    assert_eq!(
        kind(wrapped("minio.farm-pi")),
        "delegated storage minio.farm-pi"
    );
    assert_eq!(
        kind(json!({ "event": stored })),
        "delegated storage minio.default"
    );
    assert_eq!(kind(json!({ "event": "aGk=" })), "delegated unknown aGk=");
    let gateway = json!({ "httpMethod": "POST", "queryStringParameters": { "n": "3" }, "body": stored.to_string() });
    assert_eq!(
        kind(gateway),
        "gateway {\"CONT_VAR_n\": \"3\"} storage minio.default"
    );
    assert_eq!(
        kind(json!({ "httpMethod": "GET", "queryStringParameters": null, "body": null })),
        "gateway {} unknown "
    );
    assert_eq!(
        kind(
            json!({ "event": { "name": "image.jpg", "mask": ["IN_CREATE"] }, "subscription": "https://x" })
        ),
        "dcache image.jpg"
    );
    assert_eq!(
        kind(
            json!({ "event_type": "transfer", "payload": { "scope": "user.ana", "name": "runs" } })
        ),
        "rucio user.ana runs"
    );
    let one = json!({ "Key": "/waves/runs/1.dat", "Records": [{ "eventSource": "OneTrigger", "objectKey": "x" }] });
    assert_eq!(kind(one), "onedata waves runs/1.dat");
    assert_eq!(
        kind(
            json!({ "Records": [{ "eventSource": "aws:s3", "s3": { "bucket": { "name": "b" }, "object": { "key": "k" } } }] })
        ),
        "storage s3.default b k"
    );
    assert_eq!(kind(json!({ "message": "hi" })), "unknown 16");
}

#[test]
fn what_is_malformed_is_taken_as_it_is() {
    for raw in [
        "",
        "12",
        "null",
        "[1]",
        "true",
        "\"text\"",
        "{",
        "no json",
        r#"{"event_type": "x"}"#,
        r#"{"Records": []}"#,
        r#"{"Records": [{"eventSource": "minio:s3"}]}"#,
        r#"{"Records": {"a": 1}}"#,
        r#"{"event": {}, "subscription": 1}"#,
        r#"{"Key": "/space", "Records": [{"eventSource": "OneTrigger"}]}"#,
    ] {
        assert_eq!(
            recognise(raw.as_bytes()),
            Event::Unknown {
                raw: raw.as_bytes().to_vec()
            },
            "for {raw}"
        );
    }
    let mut deep = json!({ "event": "x" });
    for _ in 0..40 {
        deep = json!({ "event": deep });
    }
    assert!(matches!(
        recognise(deep.to_string().as_bytes()),
        Event::Delegated { .. }
    ));
}

#[test]
fn a_stored_object_is_fetched_and_named_after_the_last_segment() {
    let raw = created().to_json();
    let staged = stage(raw.as_bytes(), &Service::default());
    let expected = StagedInput::Object {
        provider: "minio.default".to_owned(),
        bucket: "leaves".to_owned(),
        key: "in/row 7/leaf(1).png".to_owned(),
        file_name: "leaf(1).png".to_owned(),
    };
    assert_eq!(staged.input, expected);
    assert_eq!(
        staged.environment["STORAGE_OBJECT_KEY"],
        "in/row 7/leaf(1).png"
    );
    assert_eq!(staged.environment["EVENT_TIME"], "2026-03-01T08:15:30.123Z");
    assert_eq!(staged.event_text, raw);

    let wrapped = json!({ "storage_provider": "minio.farm-pi", "event": raw }).to_string();
    let staged = stage(wrapped.as_bytes(), &Service::default());
    assert!(
        matches!(staged.input, StagedInput::Object { provider, .. } if provider == "minio.farm-pi")
    );
    assert_eq!(staged.event_text, raw);

    let service = Service {
        file_stage_in: true,
        ..Service::default()
    };
    let staged = stage(raw.as_bytes(), &service);
    assert_eq!(staged.input, StagedInput::None);
    assert_eq!(
        staged.environment["STORAGE_OBJECT_KEY"],
        "in/row 7/leaf(1).png"
    );
}

#[test]
fn the_body_of_a_direct_call_becomes_the_input() {
    check("aGVsbG8=", b"hello");
    check("aGVs\nbG8=\r\n", b"hello");
    check("not base64!", b"not base64!");
    check("aGVsbG8", b"aGVsbG8");
    check("", b"");
    check(r#"{"message": "hi"}"#, br#"{"message": "hi"}"#);
    check("1234", b"1234");
    check(r#"{"httpMethod": "POST", "body": "aGVsbG8="}"#, b"hello");
    check(r#"{"httpMethod": "POST", "body": {"a": 1}}"#, br#"{"a":1}"#);
    check(r#"{"event": "aGVsbG8="}"#, b"hello");

    #[track_caller]
    fn check(raw: &str, expected: &[u8]) {
        let staged = stage(raw.as_bytes(), &Service::default());
        let StagedInput::Content { file_name, bytes } = staged.input else {
            panic!("{raw}: {:?}", staged.input)
        };
        assert_eq!(
            String::from_utf8_lossy(&bytes),
            String::from_utf8_lossy(expected),
            "for {raw}"
        );
        assert_eq!(staged.event_text, raw);
        assert!(
            file_name
                .strip_prefix("event-file-")
                .is_some_and(|id| id.parse::<uuid::Uuid>().is_ok())
        );
    }
}

#[test]
fn the_query_of_a_gateway_becomes_variables() {
    let raw =
        json!({ "httpMethod": "GET", "queryStringParameters": { "a": "1", "b": "", "c=d": "2" } })
            .to_string();
    let staged = stage(raw.as_bytes(), &Service::default());
    assert_eq!(
        staged.environment,
        StringMap::from([("CONT_VAR_a".to_owned(), "1".to_owned())])
    );
}

#[test]
fn other_sources_need_a_provider_of_the_service() {
    let mut service = Service::default();
    service.input.push(StorageIo {
        storage_provider: "webdav.dcache".to_owned(),
        path: "runs/new".to_owned(),
        ..StorageIo::default()
    });
    let provider = OnedataProvider {
        space: "waves".to_owned(),
        ..OnedataProvider::default()
    };
    service
        .storage_providers
        .onedata
        .insert("lab".to_owned(), provider);

    let dcache = json!({ "event": { "name": "a.dat" }, "subscription": "s" }).to_string();
    let onedata = json!({ "Key": "/waves/in/a.dat", "Records": [{ "eventSource": "OneTrigger", "eventTime": "t" }] }).to_string();
    let place = |raw: &str, service: &Service| match stage(raw.as_bytes(), service).input {
        StagedInput::Object {
            provider,
            bucket,
            key,
            file_name,
        } => format!("{provider} {bucket:?} {key} {file_name}"),
        other => format!("{}", matches!(other, StagedInput::Content { .. })),
    };
    assert_eq!(
        place(&dcache, &service),
        "webdav.dcache \"\" runs/new/a.dat a.dat"
    );
    assert_eq!(
        place(&onedata, &service),
        "onedata.lab \"waves\" in/a.dat a.dat"
    );
    assert_eq!(place(&dcache, &Service::default()), "true");
    let outside = json!({ "event": { "name": "../a.dat" }, "subscription": "s" }).to_string();
    assert_eq!(place(&outside, &service), "true");
    assert_eq!(place(&onedata, &Service::default()), "true");
    assert_eq!(
        stage(onedata.as_bytes(), &service).environment["STORAGE_OBJECT_KEY"],
        "/waves/in/a.dat"
    );
}

#[test]
fn file_names_never_leave_their_folder() {
    assert_eq!(safe_file_name("a/b.txt"), "b.txt");
    assert_eq!(safe_file_name("a/b/"), "b");
    assert!(safe_file_name("a/..").starts_with("object-"));
    assert!(safe_file_name("/").starts_with("object-"));
    assert!(safe_file_name("").starts_with("object-"));
    let long = format!("{}é.png", "é".repeat(200));
    let name = safe_file_name(&long);
    assert!(name.len() <= 255 && name.ends_with("é.png"), "{name}");
}
