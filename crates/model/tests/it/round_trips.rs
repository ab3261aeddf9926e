//! What is written is what is read, whatever the service.

use proptest::prelude::*;
use spillway_model::fdl;
use spillway_model::service::Service;

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
fn the_configuration_in_the_container_is_the_service_without_its_script() {
    let mut service = Service {
        name: "a".to_owned(),
        script: "x".to_owned(),
        token: "t".to_owned(),
        ..Service::default()
    };
    service
        .environment
        .variables
        .insert("ANSWER".to_owned(), "no".to_owned());
    let text = fdl::function_config(&service).unwrap();
    assert!(
        text.starts_with("name: a\n") && text.contains("token: t\n") && !text.contains("script:"),
        "{text}"
    );
    assert!(
        text.contains("ANSWER: \"no\"") || text.contains("ANSWER: 'no'"),
        "{text}"
    );
}
