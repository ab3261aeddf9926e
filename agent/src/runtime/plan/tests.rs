use std::path::Path;

use spillway_model::service::{Edge, MinioProvider};

use super::*;

fn definition(change: impl FnOnce(&mut ServiceDefinition)) -> Arc<ServiceDefinition> {
    let mut definition = ServiceDefinition {
        revision: 3,
        service: Service::default(),
        secrets: BTreeMap::new(),
        registries: Vec::new(),
        volume: None,
    };
    definition.service.name = "plants".into();
    definition.service.cpu = "250m".into();
    definition.service.memory = "64Mi".into();
    definition.service.token = "t0ken".into();
    change(&mut definition);
    Arc::new(definition)
}

fn plan(change: impl FnOnce(&mut ServiceDefinition)) -> Result<Plan, ClaimError> {
    Plan::of(
        &definition(change),
        Path::new("/data/services"),
        "supervisor",
    )
}

#[test]
fn the_environment_has_what_oscar_documents_and_nothing_empty() {
    let plan = plan(|definition| {
        definition.service.environment.variables =
            [("A", "1"), ("EMPTY", ""), ("RESOURCE_ID", "mine")]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into();
        definition.secrets = [("KEY", "s"), ("refresh_token", "r")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into();
    });
    assert_eq!(
        plan.unwrap().environment("pi-1"),
        [
            "A=1",
            "KEY=s",
            "OSCAR_SERVICE_BASE_PATH=/system/services/plants/exposed",
            "OSCAR_SERVICE_NAME=plants",
            "OSCAR_SERVICE_TOKEN=t0ken",
            "RESOURCE_ID=pi-1",
        ]
    );
}

#[test]
fn no_credential_is_written_where_the_container_sees_it() {
    let plan = plan(|definition| {
        let minio = MinioProvider {
            access_key: "AKEY".into(),
            secret_key: "SKEY".into(),
            ..Default::default()
        };
        definition
            .service
            .storage_providers
            .minio
            .insert("default".into(), minio);
        definition
            .service
            .environment
            .secrets
            .insert("PASSWORD".into(), "t0p".into());
        definition.service.script = "echo script".into();
    });
    let text = plan.unwrap().public_definition();
    for secret in ["AKEY", "SKEY", "t0p", "t0ken", "echo script"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    assert!(text.contains("plants"));
}

#[test]
fn another_content_under_the_same_revision_is_another_key() {
    let (one, two) = (
        plan(|_| ()).unwrap(),
        plan(|definition| definition.service.script = "true".into()).unwrap(),
    );
    assert_eq!(one.key.revision, two.key.revision);
    assert_ne!(one.key, two.key);
    assert_ne!(one.folder, two.folder);
}

#[test]
fn a_value_that_makes_no_sense_is_named() {
    let error = plan(|definition| definition.service.memory = "1Gib".into())
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("service \"plants\": memory: \"Gib\" is no unit"),
        "{error}"
    );
    let network = |definition: &mut ServiceDefinition| {
        definition.service.edge = Some(Edge {
            network: Some("host".into()),
            ..Edge::default()
        });
    };
    assert!(
        plan(network)
            .unwrap_err()
            .to_string()
            .contains("edge.network is \"host\"")
    );
}
