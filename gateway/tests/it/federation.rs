//! Two gateways with one service.

use reqwest::Method;
use serde_json::{Value, json};
use spillway_gateway::Config;

use crate::harness::{PASSWORD, TestGateway, service};

/// The password of the other cluster: ours is never stored.
const OTHER: &str = "another horse";

async fn two() -> (TestGateway, TestGateway) {
    let far = TestGateway::start_with(Config {
        password: Some(OTHER.into()),
        ..Config::default()
    })
    .await;
    (TestGateway::start().await, far)
}

fn cluster(gateway: &TestGateway, password: &str) -> Value {
    let endpoint = format!("http://{}", gateway.gateway().api_address());
    json!({ "endpoint": endpoint, "auth_user": "oscar", "auth_password": password, "ssl_verify": true })
}

fn member(name: &str) -> Value {
    json!({ "type": "oscar", "cluster_id": "far", "service_name": name })
}

fn federated(far: &TestGateway, topology: &str, members: &[Value]) -> Value {
    let mut grey = service("grey");
    grey["cluster_id"] = json!("near");
    grey["clusters"] = json!({ "far": cluster(far, OTHER) });
    grey["federation"] = json!({ "topology": topology, "members": members });
    grey["environment"] = json!({ "secrets": { "refresh_token": "r3fresh", "KEY": "k" } });
    grey
}

async fn there(far: &TestGateway, path: &str) -> crate::harness::Answer {
    let request = far
        .anonymous(Method::GET, path)
        .basic_auth("oscar", Some(OTHER));
    crate::harness::send(request).await
}

#[tokio::test]
async fn a_federated_service_is_created_changed_and_withdrawn_on_its_members() {
    let (near, far) = two().await;
    near.create(federated(&far, "mesh", &[member("grey-far")]))
        .await;
    let own = near.get("/system/services/grey").await.json();
    let copy = there(&far, "/system/services/grey-far").await.json();
    assert_eq!(copy["annotations"]["oscar.grycap/origin-cluster"], "near");
    assert_eq!(copy["annotations"]["oscar.grycap/origin-service"], "grey");
    assert_eq!(
        copy["annotations"]["oscar.grycap/federation-worker"],
        "true"
    );
    assert_eq!(copy["token"], own["token"]);
    assert_eq!(copy["cluster_id"], "far");
    assert_eq!(
        copy["environment"]["secrets"],
        json!({ "refresh_token": "" })
    );
    assert_eq!(copy["clusters"]["far"]["auth_password"], "");
    assert_eq!(copy["federation"]["members"][0]["cluster_id"], "near");

    // An update arrives; the token stays.
    let mut changed = federated(&far, "mesh", &[member("grey-far")]);
    changed["memory"] = json!("512Mi");
    assert_eq!(
        near.put("/system/services", changed).await.said(),
        (204, "")
    );
    let copy = there(&far, "/system/services/grey-far").await.json();
    assert_eq!(
        (&copy["memory"], &copy["token"]),
        (&json!("512Mi"), &own["token"])
    );

    // A second member, then the first goes with its copy.
    let path = "/system/federation/grey";
    let answer = near
        .post(path, json!({ "members": [member("grey-two")] }))
        .await;
    assert_eq!(answer.json()["members"].as_array().unwrap().len(), 2);
    assert_eq!(there(&far, "/system/services/grey-two").await.status, 200);
    let body = json!({ "members": [member("grey-far")], "delete": true });
    let answer =
        crate::harness::send(near.request(Method::DELETE, path).body(body.to_string())).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["members"][0]["service_name"], "grey-two");
    assert_eq!(there(&far, "/system/services/grey-far").await.status, 404);
    // What is no copy of ours is left alone.
    let own_there = far
        .anonymous(Method::POST, "/system/services")
        .basic_auth("oscar", Some(OTHER))
        .body(service("theirs").to_string());
    assert_eq!(crate::harness::send(own_there).await.status, 201);
    let answer = near
        .post(path, json!({ "members": [member("theirs")] }))
        .await;
    assert_eq!(answer.status, 200);
    assert!(answer.text.contains("no copy of this one"), "{answer:?}");
    let theirs = there(&far, "/system/services/theirs").await.json();
    assert_eq!(theirs["annotations"], json!({}));
}

#[tokio::test]
async fn members_are_changed_also_when_they_cannot_be_told() {
    let (near, far) = two().await;
    near.create(service("alone")).await;
    let path = "/system/federation/alone";
    let none = r#"{"topology":"none","members":null}"#;
    assert_eq!(near.get(path).await.said(), (200, none));
    // With the topology `none` members are only places for jobs: nobody is told.
    let body = json!({ "members": [member("alone")], "clusters": { "far": cluster(&far, OTHER) } });
    let answer = near.post(path, body).await.json();
    assert_eq!(
        answer["members"],
        json!([{ "type": "oscar", "cluster_id": "far", "service_name": "alone", "url": "", "ssl_verify": false,
            "priority": 0, "headers": {} }])
    );
    assert_eq!(there(&far, "/system/services/alone").await.status, 404);
    let own = near.get("/system/services/alone").await.json();
    assert_eq!(own["clusters"]["far"]["auth_password"], OTHER);
    assert_eq!(
        near.put(path, json!({ "members": [member("alone")] }))
            .await
            .status,
        400
    );
    let update = json!({ "members": [member("alone")], "update": [{ "type": "endpoint", "url": "http://x" }] });
    assert_eq!(
        near.put(path, update).await.json()["members"][0]["url"],
        "http://x"
    );
    assert_eq!(near.post(path, "nonsense").await.status, 400);
    assert_eq!(
        near.post("/system/federation/none", "{}").await.said(),
        (404, "")
    );

    // A star whose member is away.
    let mut star = federated(&far, "star", &[]);
    star["clusters"]["far"]["endpoint"] = json!("http://127.0.0.1:1");
    near.create(&star).await;
    let answer = near
        .post(
            "/system/federation/grey",
            json!({ "members": [member("x"), { "type": "oscar", "cluster_id": "void" }] }),
        )
        .await;
    assert_eq!(
        (answer.status, answer.content_type.as_str()),
        (200, "text/plain; charset=utf-8")
    );
    assert!(
        answer
            .text
            .starts_with("Updated with federation warnings: [far: it cannot be reached"),
        "{answer:?}"
    );
    assert!(
        answer
            .text
            .contains("void: it is not defined under clusters"),
        "{answer:?}"
    );
    assert!(!answer.text.contains(OTHER) && !answer.text.contains(PASSWORD));
    let kept = near.get("/system/federation/grey").await.json();
    assert_eq!(kept["members"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_federation_that_cannot_work_is_not_created() {
    let (near, far) = two().await;
    let mut grey = federated(&far, "star", &[member("grey")]);
    grey["environment"] = json!({});
    let text = "refresh_token secret is required for federated services";
    assert_eq!(
        near.post("/system/services", &grey).await.said(),
        (400, text)
    );

    let mut grey = federated(&far, "star", &[member("grey")]);
    grey["clusters"]["far"]["auth_password"] = json!("wrong");
    let answer = near.post("/system/services", &grey).await;
    assert_eq!(answer.said(), (401, "federation auth failed: [far: 401]"));

    // The member is away: nothing stays here either.
    let mut grey = federated(&far, "star", &[member("grey")]);
    grey["clusters"]["far"]["endpoint"] = json!("http://127.0.0.1:1");
    let answer = near.post("/system/services", &grey).await;
    assert_eq!(answer.status, 500, "{answer:?}");
    assert!(
        answer.text.starts_with("Error creating the service: "),
        "{answer:?}"
    );
    assert_eq!(near.get("/system/services/grey").await.status, 404);
}
