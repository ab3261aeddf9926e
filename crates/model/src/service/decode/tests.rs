//! Bodies that clients really send, and bodies that are wrong.

use serde_json::json;

use crate::service::Service;

fn decode(body: &serde_json::Value) -> (Service, Vec<String>) {
    let decoded = Service::from_json(body.to_string().as_bytes()).unwrap();
    (
        decoded.service,
        decoded.warnings.iter().map(ToString::to_string).collect(),
    )
}

#[test]
fn names_count_in_any_case_and_null_is_nothing() {
    let (service, warnings) = decode(&json!({
        "Name": "a", "IMAGE": "i", "cpu": null, "input": null, "labels": null, "expose": null,
        "environment": { "Variables": { "A": "1", "B": null }, "secrets": null },
        "storage_providers": { "minio": null },
    }));
    assert_eq!(
        (
            service.name.as_str(),
            service.image.as_str(),
            service.cpu.as_str()
        ),
        ("a", "i", "")
    );
    assert_eq!(service.environment.variables["A"], "1");
    assert_eq!(service.environment.variables["B"], "");
    assert_eq!(warnings, Vec::<String>::new());
}

#[test]
fn unknown_members_are_told_with_the_nearest_known_one() {
    let (_, warnings) = decode(&json!({
        "memmory": "1Gi", "colour": 1, "input": [{ "storage_provder": "minio" }], "edge": { "dead-line": "5s" },
        "storage_providers": { "mino": {} }, "valid": true,
    }));
    assert_eq!(
        warnings,
        [
            "input[0].storage_provder: unknown key \"storage_provder\"; did you mean \"storage_provider\"?",
            "storage_providers.mino: unknown key \"mino\"; did you mean \"minio\"?",
            "edge.dead-line: unknown key \"dead-line\"; did you mean \"deadline\"?",
            "colour: unknown key \"colour\"; it is ignored",
            "memmory: unknown key \"memmory\"; did you mean \"memory\"?",
        ]
    );
}

#[test]
fn ports_are_one_or_several() {
    let ports = |expose: serde_json::Value| {
        let expose = decode(&json!({ "expose": expose })).0.expose;
        (expose.api_port, expose.node_port)
    };
    assert_eq!(
        ports(json!({ "api_port": 8080, "nodePort": 0 })),
        (vec![8080], vec![])
    );
    assert_eq!(
        ports(json!({ "api_port": [8080, 9100], "nodePort": [0, 30100] })),
        (vec![8080, 9100], vec![0, 30100])
    );
    assert_eq!(
        ports(json!({ "api_port": 0, "nodePort": null })),
        (vec![], vec![])
    );
    assert_eq!(ports(json!({ "api_port": [0] })), (vec![], vec![]));
}

#[test]
fn what_older_versions_had_on_the_service_moves_into_the_federation() {
    let replica = json!({ "type": "oscar", "cluster_id": "cloud", "service_name": "s" });
    let (service, _) = decode(
        &json!({ "replicas": [replica], "delegation": "load-based", "rescheduler_threshold": "20" }),
    );
    let federation = service.federation.unwrap();
    assert_eq!(federation.members[0].cluster_id, "cloud");
    assert_eq!(
        (
            federation.delegation.as_str(),
            federation.rescheduler_threshold
        ),
        ("load-based", 20)
    );
    let (service, _) = decode(&json!({ "replica": [replica] }));
    assert_eq!(service.federation.unwrap().members.len(), 1);
    let (service, _) =
        decode(&json!({ "replicas": [], "delegation": "", "rescheduler_threshold": 0 }));
    assert_eq!(service.federation, None);
    let (service, _) =
        decode(&json!({ "delegation": "static", "federation": { "delegation": "topsis" } }));
    assert_eq!(service.federation.unwrap().delegation, "topsis");
}

#[test]
fn wrong_types_are_told_with_field_value_and_what_was_expected() {
    check("", "EOF");
    check("  \n", "EOF");
    check(
        "{",
        "it is no JSON: EOF while parsing an object at line 1 column 1",
    );
    check("[]", "found a list; expected a JSON object");
    check("null", "found nothing; expected a JSON object");
    check(r#"{"cpu": 0.5}"#, "cpu: 0.5 is a number; expected a string");
    check(
        r#"{"enable_gpu": "yes"}"#,
        "enable_gpu: \"yes\" is a text; expected true or false",
    );
    check(
        r#"{"environment": {"variables": {"A": true}}}"#,
        "environment.variables.A: true is a choice of true or false; expected a string",
    );
    check(
        r#"{"environment": {"secrets": {"PIN": 1234}}}"#,
        "environment.secrets.PIN: found a number; expected a string",
    );
    check(r#"{"input": {}}"#, "input: found a map; expected a list");
    check(
        r#"{"input": ["minio"]}"#,
        "input[0]: \"minio\" is a text; expected a map of members",
    );
    check(
        r#"{"synchronous": {"min_scale": -1}}"#,
        "synchronous.min_scale: -1 is not possible; expected a whole number, 0 or more",
    );
    check(
        r#"{"expose": {"api_port": [70000]}}"#,
        "expose.api_port[0]: 70000 is not possible; expected a port number, 1 to 65535, or a list of them",
    );
    check(
        r#"{"expose": {"api_port": "80"}}"#,
        "expose.api_port: \"80\" is a text; expected a port number, 1 to 65535, or a list of them",
    );
    check(
        r#"{"edge": {"retries": 1.5}}"#,
        "edge.retries: 1.5 is not possible; expected a whole number, 0 or more",
    );

    #[track_caller]
    fn check(body: &str, expected: &str) {
        let error = Service::from_json(body.as_bytes())
            .map(drop)
            .map_err(|error| error.to_string());
        assert_eq!(error, Err(expected.to_owned()));
    }
}
