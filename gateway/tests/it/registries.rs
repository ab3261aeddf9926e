//! Logins of image registries: kept, named, handed to nodes, shown to nobody.

use serde_json::json;

use crate::harness::{TestGateway, service};

const PATH: &str = "/spillway/v1/registries";

fn login(password: &str) -> serde_json::Value {
    json!({ "server": "https://Registry.example.org:5000/", "username": "ci", "password": password })
}

fn naming(names: &[&str]) -> serde_json::Value {
    let mut body = service("plants");
    body["image_pull_secrets"] = json!(names);
    body
}

#[tokio::test]
async fn a_login_reaches_the_nodes_of_services_that_name_it_and_nobody_else() {
    let mut gateway = TestGateway::start().await;
    let refused = gateway.post("/system/services", naming(&["work"])).await;
    assert_eq!(refused.status, 400);
    assert!(
        refused.text.contains("image_pull_secrets") && refused.text.contains("\"work\""),
        "{}",
        refused.text
    );
    let kept = gateway
        .put(&format!("{PATH}/work"), login("zq-first"))
        .await;
    assert_eq!(kept.said(), (204, ""));
    gateway.create(naming(&["work"])).await;
    gateway.create(service("grey")).await;

    let listed = gateway.get(PATH).await;
    let expected = json!([{ "name": "work", "server": "registry.example.org:5000", "username": "ci",
        "services": ["plants"] }]);
    assert_eq!(listed.json(), expected);
    let definition = gateway.definition("plants").await;
    assert_eq!(definition.registries.len(), 1);
    assert_eq!(definition.registries[0].password, "zq-first");
    assert!(gateway.definition("grey").await.registries.is_empty());

    // A new password makes a new revision, or nodes would go on with the old one.
    let before = gateway.count("SELECT revision FROM services WHERE name = 'plants'");
    gateway
        .put(&format!("{PATH}/work"), login("zq-second"))
        .await;
    let after = gateway.count("SELECT revision FROM services WHERE name = 'plants'");
    assert!(after > before);
    let definition = gateway.definition("plants").await;
    assert_eq!(definition.registries[0].password, "zq-second");
    let shown = gateway.get("/system/services/plants").await;
    assert_eq!(shown.json()["image_pull_secrets"], json!(["work"]));
    assert!(!shown.text.contains("zq-"));

    let used = gateway.delete(&format!("{PATH}/work")).await;
    assert_eq!(used.status, 409);
    assert!(used.text.contains("plants"), "{}", used.text);
    gateway.delete("/system/services/plants").await;
    assert_eq!(gateway.delete(&format!("{PATH}/work")).await.status, 204);
    assert_eq!(gateway.delete(&format!("{PATH}/work")).await.status, 404);
    gateway
        .put(&format!("{PATH}/work"), login("zq-third"))
        .await;
    gateway.stop().await;
    for name in ["spillway.db", "spillway.db-wal"] {
        let bytes = std::fs::read(gateway.data().join(name)).unwrap_or_default();
        assert!(!bytes.windows(3).any(|part| part == b"zq-"), "{name}");
    }
}

#[tokio::test]
async fn a_login_that_makes_no_sense_is_refused_without_repeating_it() {
    let gateway = TestGateway::start().await;
    let check = async |name: &str, body: serde_json::Value, expected: &str| {
        let answer = gateway.put(&format!("{PATH}/{name}"), &body).await;
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(answer.text.contains(expected), "{}", answer.text);
        assert!(!answer.text.contains("zq-"), "{}", answer.text);
    };
    check("Work", login("zq-"), "the name").await;
    check(
        "work",
        json!({ "server": "a b", "username": "u", "password": "zq-" }),
        "server is",
    )
    .await;
    check(
        "work",
        json!({ "server": "a", "username": "", "password": "zq-" }),
        "username is empty",
    )
    .await;
    check(
        "work",
        json!({ "server": "a", "username": "u", "password": "" }),
        "password is empty",
    )
    .await;
    check(
        "work",
        json!({ "server": "a", "username": "u", "password": ["zq-"] }),
        "expected JSON",
    )
    .await;
    check("work", json!("zq-"), "expected JSON").await;
    let nobody = gateway.anonymous(reqwest::Method::GET, PATH);
    assert_eq!(crate::harness::send(nobody).await.status, 401);
}
