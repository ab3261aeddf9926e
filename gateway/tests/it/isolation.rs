//! Isolation level USER: a bucket for each user of a service.

use reqwest::Method;
use serde_json::{Value, json};
use spillway_model::wire::link::Outcome;

use crate::flow::{SimulatedAgent, output};
use crate::harness::{send, service};
use crate::provider::{Person, Provider, gateway_of};

const EVE: &str = "eve-0123456789";

fn isolated(users: &[&str]) -> Value {
    let mut definition = service("grey");
    definition["isolation_level"] = json!("USER");
    definition["allowed_users"] = json!(users);
    definition["visibility"] = json!("restricted");
    definition
}

#[tokio::test]
async fn each_user_has_a_bucket_and_gets_the_results_there() {
    let provider = Provider::start().await;
    let gateway = gateway_of(&provider).await;
    let ann = Person::log_in(&gateway, &provider, "ann").await;
    let bob = Person::log_in(&gateway, &provider, "bob").await;
    let created = ann
        .ask("POST", "/system/services", isolated(&["bob", EVE]))
        .await;
    assert_eq!(created.said(), (201, ""));
    let shown = ann.ask("GET", "/system/services/grey", "").await.json();
    assert_eq!(shown["bucket_list"], json!(["grey-bob", "grey-eve-012345"]));
    assert_eq!(shown["allowed_users"], json!(["bob", EVE, "ann"]));
    assert_eq!(shown["labels"]["uid"], "ann");
    // Eve has never been here, but her keys wait for her.
    let eve = Person::log_in(&gateway, &provider, EVE).await;
    for (person, bucket, other) in [
        (&bob, "grey-bob", "grey-eve-012345"),
        (&eve, "grey-eve-012345", "grey-bob"),
    ] {
        assert_eq!(
            person
                .s3("PUT", &format!("/{bucket}/in/photo"), "mine")
                .await
                .status,
            200
        );
        assert_eq!(
            person
                .s3("GET", &format!("/{other}/in/photo"), "")
                .await
                .status,
            403
        );
        assert_eq!(
            ann.s3("GET", &format!("/{bucket}/in/photo"), "")
                .await
                .status,
            403
        );
        let listed = person.ask("GET", "/system/buckets", "").await.json();
        let own = listed
            .as_array()
            .unwrap()
            .iter()
            .find(|it| it["bucket_name"] == bucket)
            .unwrap();
        assert_eq!(own["visibility"], "private");
    }
    // Each has started a job, and sees that one only.
    for person in [&bob, &eve] {
        let jobs = person.ask("GET", "/system/logs/grey", "").await.json();
        assert_eq!(jobs["jobs"].as_object().unwrap().len(), 1);
    }
    let agent = SimulatedAgent::join(&gateway).await;
    for _ in 0..2 {
        let lease = agent.lease().await;
        let outputs = vec![output("grey", "out/result", "done")];
        let done = agent
            .complete(&lease.attempt, Outcome::Succeeded, outputs)
            .await;
        assert_eq!(done.status, 200, "{done:?}");
    }
    for (person, bucket) in [(&bob, "grey-bob"), (&eve, "grey-eve-012345")] {
        let result = person.s3("GET", &format!("/{bucket}/out/result"), "").await;
        assert_eq!(result.said(), (200, "done"));
    }
    assert_eq!(
        ann.s3("GET", "/grey/out/result", "").await.status,
        404,
        "not in the service's own bucket"
    );
    // An upload to the bucket that all share goes the usual way.
    assert_eq!(bob.s3("PUT", "/grey/in/photo", "shared").await.status, 200);
    let lease = agent.lease().await;
    let outputs = vec![output("grey", "out/result", "shared")];
    agent
        .complete(&lease.attempt, Outcome::Succeeded, outputs)
        .await;
    assert_eq!(
        eve.s3("GET", "/grey/out/result", "").await.said(),
        (200, "shared")
    );
}

#[tokio::test]
async fn buckets_come_and_go_with_the_list_of_users() {
    let provider = Provider::start().await;
    let gateway = gateway_of(&provider).await;
    let ann = Person::log_in(&gateway, &provider, "ann").await;
    let bob = Person::log_in(&gateway, &provider, "bob").await;
    let exists = async |bucket: &str| {
        gateway
            .get(&format!("/system/buckets/{bucket}"))
            .await
            .status
            == 200
    };
    let create = isolated(&["bob", EVE]);
    assert_eq!(
        ann.ask("POST", "/system/services", &create).await.said(),
        (201, "")
    );
    assert_eq!(bob.s3("PUT", "/grey-bob/in/kept", "x").await.status, 200);

    // As clients do it: read, change, write. The owner does not get a bucket by having been added.
    let mut update = ann.ask("GET", "/system/services/grey", "").await.json();
    update["allowed_users"] = json!(["bob", "ann"]);
    assert_eq!(
        ann.ask("PUT", "/system/services", &update).await.said(),
        (204, "")
    );
    let shown = ann.ask("GET", "/system/services/grey", "").await.json();
    assert_eq!(shown["bucket_list"], json!(["grey-bob"]));
    assert!(!exists("grey-eve-012345").await, "it goes with its content");
    assert_eq!(
        bob.s3("GET", "/grey-bob/in/kept", "").await.said(),
        (200, "x")
    );

    update["isolation_level"] = json!("SERVICE");
    assert_eq!(
        ann.ask("PUT", "/system/services", &update).await.said(),
        (204, "")
    );
    assert!(!exists("grey-bob").await);
    assert_eq!(
        ann.ask("GET", "/system/services/grey", "").await.json()["bucket_list"],
        json!([])
    );

    // A list of buckets that the client makes up counts for nothing.
    let theirs = json!({ "bucket_name": "bobs", "visibility": "private" });
    assert_eq!(
        bob.ask("POST", "/system/buckets", theirs).await.said(),
        (201, "")
    );
    update["bucket_list"] = json!(["bobs"]);
    assert_eq!(
        ann.ask("PUT", "/system/services", &update).await.said(),
        (204, "")
    );
    assert_eq!(
        ann.ask("DELETE", "/system/services/grey", "").await.said(),
        (204, "")
    );
    assert!(exists("bobs").await);

    assert_eq!(
        ann.ask("POST", "/system/services", &create).await.said(),
        (201, "")
    );
    assert_eq!(bob.s3("PUT", "/grey-bob/in/x", "x").await.status, 200);
    assert_eq!(
        ann.ask("DELETE", "/system/services/grey", "").await.said(),
        (204, "")
    );
    for bucket in ["grey", "grey-bob", "grey-eve-012345"] {
        assert!(!exists(bucket).await, "{bucket}");
    }
}

#[tokio::test]
async fn a_bucket_of_somebody_else_is_never_taken_over() {
    let provider = Provider::start().await;
    let gateway = gateway_of(&provider).await;
    let ann = Person::log_in(&gateway, &provider, "ann").await;
    let bob = Person::log_in(&gateway, &provider, "bob").await;
    let theirs = json!({ "bucket_name": "grey-bob", "visibility": "private" });
    assert_eq!(
        bob.ask("POST", "/system/buckets", theirs).await.said(),
        (201, "")
    );
    let refused = ann
        .ask("POST", "/system/services", isolated(&["bob"]))
        .await;
    assert_eq!(refused.status, 409, "{refused:?}");
    assert_eq!(gateway.get("/system/services/grey").await.status, 404);
    assert_eq!(
        gateway.get("/system/buckets/grey").await.status,
        404,
        "nothing stays behind"
    );
    for (users, part) in [
        (["student-001", "student-002"], "would share the bucket"),
        (["bob", "oscar"], "cannot be the name of a user"),
    ] {
        let refused = ann.ask("POST", "/system/services", isolated(&users)).await;
        assert_eq!(refused.status, 400);
        assert!(refused.text.contains(part), "{refused:?}");
    }
    // The administrator's services can isolate users as well.
    gateway.delete("/system/buckets/grey-bob").await;
    gateway.create(isolated(&["bob"])).await;
    assert_eq!(bob.s3("PUT", "/grey-bob/in/x", "x").await.status, 200);
    let shown = send(gateway.request(Method::GET, "/system/services/grey"))
        .await
        .json();
    assert_eq!(shown["allowed_users"], json!(["bob"]));
}
