//! What is written is what is read, whatever the service.

use proptest::prelude::*;
use spillway_model::fdl;
use spillway_model::service::{MinioProvider, Service};

use crate::services::service;

proptest! {
    #[test]
    fn a_service_survives_the_api(service in service()) {
        let body = serde_json::to_vec(&service).unwrap();
        let decoded = Service::from_json(&body).unwrap();
        prop_assert_eq!(decoded.warnings, vec![]);
        prop_assert_eq!(&decoded.service, &service);
        let plain: Service = serde_json::from_slice(&body).unwrap();
        prop_assert_eq!(plain, service);
    }

    #[test]
    fn services_survive_a_file(services in prop::collection::vec(service(), 1..3)) {
        let text = fdl::to_yaml(&services).unwrap();
        let fdl = fdl::parse(&text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        let again: Vec<Service> = fdl.services.into_iter().map(|service| service.service).collect();
        prop_assert_eq!(again, services, "{}", text);
    }

    #[test]
    fn a_file_survives_the_api(service in service()) {
        let text = fdl::to_yaml(std::slice::from_ref(&service)).unwrap();
        let sent = fdl::parse(&text).unwrap().services.remove(0).service;
        let received = Service::from_json(&serde_json::to_vec(&sent).unwrap()).unwrap().service;
        prop_assert_eq!(fdl::to_yaml(&[received]).unwrap(), text);
    }

    #[test]
    fn normalising_twice_changes_nothing_more(mut service in service()) {
        if service.normalise().is_ok() {
            let once = service.clone();
            prop_assert_eq!(service.normalise(), Ok(()));
            prop_assert_eq!(service, once);
        }
    }

    #[test]
    fn no_text_makes_the_readers_panic(text in "\\PC{0,80}", lines in "([a-z:\\- \\[\\]{}&*<\"'|>#\t]{0,8}\n){0,8}") {
        let _ = fdl::parse(&text);
        let _ = fdl::parse(&lines);
        let _ = fdl::parse(&format!("functions:\n  oscar:\n  - a:\n      {}", lines.replace('\n', "\n      ")));
        let _ = Service::from_json(text.as_bytes());
        let _ = spillway_model::event::stage(text.as_bytes(), &Service::default());
    }
}

#[test]
fn depth_and_repetition_have_an_end() {
    let brackets = "[".repeat(100_000);
    assert!(fdl::parse(&brackets).is_err());
    assert!(fdl::parse(&"a:\n ".repeat(10_000)).is_err());
    assert!(Service::from_json(brackets.as_bytes()).is_err());
    let event = "{\"event\":".repeat(100_000);
    spillway_model::event::stage(event.as_bytes(), &Service::default());
    let wide = format!(
        "functions: {{oscar: [{}]}}",
        "{a: {name: a, image: i, script: s}},".repeat(20_000)
    );
    assert!(
        fdl::parse(&wide)
            .unwrap_err()
            .to_string()
            .contains("at most 1000 are possible in one file")
    );
}

#[test]
fn the_configuration_in_the_container_opens_no_doors() {
    let text = r#"{"name": "a", "script": "s3cr3t", "token": "s3cr3t",
        "environment": {"variables": {"ANSWER": "no"}, "secrets": {"KEY": "s3cr3t"}},
        "replicas": [{"type": "endpoint", "headers": {"X-Key": "s3cr3t"}}],
        "storage_providers": {"minio": {"far": {"endpoint": "https://x", "access_key": "s3cr3t", "secret_key": "s3cr3t"}}},
        "clusters": {"c": {"endpoint": "https://y", "auth_user": "s3cr3t", "auth_password": "s3cr3t"}}}"#;
    let service = Service::from_json(text.as_bytes()).unwrap().service;
    let text = fdl::function_config(&service).unwrap();
    assert!(
        text.starts_with("name: a\n")
            && text.contains("ANSWER: \"no\"")
            && text.contains("KEY: \"\""),
        "{text}"
    );
    assert!(!text.contains("s3cr3t"), "{text}");
}

#[test]
fn what_the_server_set_is_left_out_of_a_file_and_set_again_the_same() {
    let text = r#"{"name": "a", "image": "i", "script": "echo hello", "cluster_id": "farm",
        "input": [{"storage_provider": "minio", "path": "in"}], "labels": {"team": "x"}}"#;
    let mut stored = Service::from_json(text.as_bytes()).unwrap().service;
    stored.normalise().unwrap();
    let expected = Service {
        script: "echo hello\n".to_owned(),
        ..stored.clone()
    };
    stored.token = "t".repeat(64);
    stored.owner = "cluster_admin".to_owned();
    stored
        .storage_providers
        .minio
        .insert("default".to_owned(), MinioProvider::default());
    let text = fdl::to_yaml(&[stored]).unwrap();
    let mut again = fdl::parse(&text).unwrap().services.remove(0).service;
    again.normalise().unwrap();
    assert_eq!(again, expected, "{text}");
    insta::assert_snapshot!(text);
}
