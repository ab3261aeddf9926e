use serde_json::{Value, json};
use spillway_model::service::Replica;

use super::edit::{Edit, How};
use super::*;

fn service(topology: &str, members: &[(&str, &str)]) -> Service {
    let members: Vec<Value> = members
        .iter()
        .map(|(cluster, name)| json!({ "type": "oscar", "cluster_id": cluster, "service_name": name }))
        .collect();
    let definition = json!({
        "name": "grey", "image": "i", "script": "s", "cluster_id": "farm", "token": "t",
        "federation": { "topology": topology, "members": members },
        "clusters": { "cloud": { "endpoint": "http://c", "auth_user": "u", "auth_password": "p" } },
        "environment": { "secrets": { "refresh_token": "r", "KEY": "k" } },
    });
    Service::from_json(definition.to_string().as_bytes())
        .unwrap()
        .service
}

fn read(how: How, body: &Value) -> Result<Edit, String> {
    Edit::read(how, body.as_object().unwrap().clone())
}

fn names(members: &[Replica]) -> Vec<String> {
    members
        .iter()
        .map(|member| format!("{}/{}", member.cluster_id, member.service_name))
        .collect()
}

#[test]
fn members_are_added_replaced_and_removed_by_type_cluster_and_name() {
    let mut grey = service("star", &[("cloud", "a")]);
    let member = |cluster: &str, name: &str| json!({ "Type": "OSCAR", "cluster_id": cluster, "service_name": name, "headers": null, "priority": 3 });
    let mut change = |how, body: Value| {
        let gone = read(how, &body).unwrap().apply(&mut grey);
        (
            names(&grey.federation.as_ref().unwrap().members),
            names(&gone),
        )
    };
    let add = json!({ "members": [member("cloud", "b"), member("far", "a")], "clusters": { "far": { "endpoint": "http://f" } } });
    assert_eq!(
        change(How::Add, add.clone()).0,
        ["cloud/a", "cloud/b", "far/a"]
    );
    assert_eq!(change(How::Add, add).0.len(), 3);
    let replace = json!({ "members": [member("cloud", "b"), member("none", "x")], "update": [member("cloud", "z")] });
    let (now, gone) = change(How::Replace, replace);
    assert_eq!(
        (now, gone),
        (
            vec!["cloud/a".into(), "cloud/z".into(), "far/a".into()],
            vec!["cloud/b".to_owned()]
        )
    );
    let (now, gone) = change(
        How::Remove,
        json!({ "members": [member("cloud", "a"), member("x", "y")] }),
    );
    assert_eq!(
        (now, gone),
        (
            vec!["cloud/z".into(), "far/a".into()],
            vec!["cloud/a".to_owned()]
        )
    );
    assert_eq!(grey.clusters.keys().collect::<Vec<_>>(), ["cloud", "far"]);

    let error = read(How::Replace, &json!({ "members": [member("cloud", "a")] })).unwrap_err();
    assert!(error.starts_with("update: "), "{error}");
    let error = read(How::Add, &json!({ "members": [{ "priority": "high" }] })).unwrap_err();
    assert!(error.contains("members[0].priority"), "{error}");
}

#[test]
fn a_copy_knows_where_it_comes_from_and_holds_no_credentials() {
    let grey = service("star", &[("cloud", "grey-cloud"), ("far", "grey-far")]);
    let copy = workers::copy(&grey, "cloud", "grey-cloud", Some("r")).unwrap();
    assert_eq!(
        (
            copy.name.as_str(),
            copy.cluster_id.as_str(),
            copy.token.as_str()
        ),
        ("grey-cloud", "cloud", "t")
    );
    assert!(copy.federation.as_ref().unwrap().members.is_empty());
    assert!(copy.environment.secrets.is_empty());
    assert_eq!(copy.clusters["cloud"].auth_password, "");
    assert!(is_worker(&copy) && !coordinates(&copy));
    assert!(workers::is_ours(
        &serde_json::to_value(&copy).unwrap(),
        &grey
    ));
    let other = Service {
        name: "other".into(),
        ..grey.clone()
    };
    assert!(!workers::is_ours(
        &serde_json::to_value(&copy).unwrap(),
        &other
    ));

    let mesh = service("mesh", &[("cloud", "grey-cloud"), ("far", "grey-far")]);
    let copy = workers::copy(&mesh, "far", "grey-far", Some("r")).unwrap();
    assert_eq!(
        names(&copy.federation.as_ref().unwrap().members),
        ["farm/grey", "cloud/grey-cloud"]
    );
    assert_eq!(copy.environment.secrets.len(), 1);
    assert_eq!(copy.environment.secrets["refresh_token"], "r");
    assert!(!coordinates(&copy), "a worker must not spread anything");
}

#[test]
fn only_those_that_keep_copies_need_a_refresh_token() {
    for (topology, members, needs) in [
        ("none", 1, false),
        ("star", 0, false),
        ("star", 1, true),
        ("mesh", 1, true),
    ] {
        let mut grey = service(topology, &[("cloud", "a")][..members]);
        assert_eq!(problem(&grey), None);
        grey.environment.secrets.clear();
        assert_eq!(problem(&grey).is_some(), needs, "{topology}, {members}");
    }
}
