//! Who sees what: the table of the API's contract, each cell asked for, the object store included.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness::{Answer, TestGateway, service};
use crate::provider::{Person, Provider, gateway_of};
use crate::s3::signed;

/// Everybody who asks: ann owns the services, bob is listed in the restricted one, eve is somebody else.
#[derive(Clone, Copy)]
enum Who<'a> {
    Administrator(&'a TestGateway),
    User(&'a Person<'a>),
}

impl Who<'_> {
    async fn ask(self, method: &str, path: &str, body: impl ToString) -> Answer {
        match self {
            Self::Administrator(gateway) => {
                let request = gateway.request(method.parse().unwrap(), path);
                crate::harness::send(request.body(body.to_string())).await
            }
            Self::User(person) => person.ask(method, path, body).await,
        }
    }

    async fn s3(self, method: &str, path: &str, body: &'static str) -> Answer {
        match self {
            Self::Administrator(gateway) => {
                let request = signed(gateway, &method.parse().unwrap(), path);
                crate::harness::send(request.body(body)).await
            }
            Self::User(person) => person.s3(method, path, body).await,
        }
    }
}

fn definition(name: &str, visibility: &str) -> Value {
    let mut definition = service(name);
    definition["visibility"] = json!(visibility);
    definition["allowed_users"] = json!(["bob"]);
    definition["storage_providers"] = json!({ "minio": { "far": {
        "endpoint": "https://far.example", "access_key": "FARKEY", "secret_key": "FARSECRET", "region": "x" } } });
    definition["clusters"] = json!({ "other": {
        "endpoint": "https://other.example", "auth_user": "me", "auth_password": "CLUSTERSECRET" } });
    definition
}

/// What the four get to see: administrator, owner, listed, other.
type Row<'a> = (&'a str, &'a str, [u16; 4]);

#[tokio::test]
async fn each_cell_of_the_table_holds() {
    let provider = Provider::start().await;
    let gateway = gateway_of(&provider).await;
    let ann = Person::log_in(&gateway, &provider, "ann").await;
    let bob = Person::log_in(&gateway, &provider, "bob").await;
    let eve = Person::log_in(&gateway, &provider, "eve-0123456789").await;
    let admin = Who::Administrator(&gateway);
    let callers = [admin, Who::User(&ann), Who::User(&bob), Who::User(&eve)];
    for owner in ["ann", "cluster_admin"] {
        let maker = if owner == "ann" {
            Who::User(&ann)
        } else {
            admin
        };
        for visibility in ["private", "restricted", "public"] {
            let made = maker
                .ask(
                    "POST",
                    "/system/services",
                    definition(visibility, visibility),
                )
                .await;
            assert_eq!(made.said(), (201, ""), "{owner} {visibility}");
        }
        check_services(&gateway, &callers, owner).await;
        for visibility in ["private", "restricted", "public"] {
            let gone = maker
                .ask("DELETE", &format!("/system/services/{visibility}"), "")
                .await;
            assert_eq!(gone.said(), (204, ""), "{owner} {visibility}");
            let bucket = admin
                .ask("GET", &format!("/system/buckets/{visibility}"), "")
                .await;
            assert_eq!(bucket.status, 404, "the bucket goes with its service");
        }
    }
}

#[allow(clippy::similar_names, clippy::too_many_lines)] // One row of the table after another.
async fn check_services(gateway: &TestGateway, callers: &[Who<'_>; 4], owner: &str) {
    // For the administrator's services ann is one of the others, as eve is.
    let owns = |may: u16, others: u16| if owner == "ann" { may } else { others };
    for (visibility, listed, other) in [
        ("private", false, false),
        ("restricted", true, false),
        ("public", true, true),
    ] {
        let seen = |yes: u16, no: u16| {
            let ann = owns(yes, if other { yes } else { no });
            [
                yes,
                ann,
                if listed { yes } else { no },
                if other { yes } else { no },
            ]
        };
        let owned = |yes: u16, no: u16, unseen: u16| {
            let of = |sees: bool| if sees { no } else { unseen };
            [yes, owns(yes, of(other)), of(listed), of(other)]
        };
        // A job of nobody's, which waits: its log is not there yet, but that it is there may be known.
        let token = gateway
            .get(&format!("/system/services/{visibility}"))
            .await
            .json()["token"]
            .clone();
        let call = gateway.anonymous("POST".parse().unwrap(), &format!("/job/{visibility}"));
        let called = crate::harness::send(call.bearer_auth(token.as_str().unwrap())).await;
        let job = called.headers["x-spillway-job"]
            .to_str()
            .unwrap()
            .to_owned();
        let path = |path: &str| path.replace("{s}", visibility).replace("{j}", &job);
        let list = [200; 4];
        let rows: [Row<'_>; 13] = [
            ("GET", "/system/services", list),
            ("GET", "/system/services/{s}", seen(200, 403)),
            ("GET", "/system/services/{s}/deployment", seen(200, 403)),
            (
                "GET",
                "/system/services/{s}/deployment/logs",
                seen(200, 403),
            ),
            ("GET", "/system/services/{s}/auth", seen(200, 403)),
            ("GET", "/system/federation/{s}", seen(200, 403)),
            ("GET", "/system/buckets/{s}", seen(200, 403)),
            ("GET", "/system/logs/{s}", seen(200, 403)),
            ("GET", "/system/logs/{s}/{j}", seen(404, 403)),
            ("POST", "/system/services/{s}/restart", owned(400, 403, 403)),
            ("POST", "/job/{s}", seen(201, 404)),
            ("POST", "/run/{s}", seen(501, 404)),
            (
                "DELETE",
                "/system/services/{s}",
                [
                    0,
                    owns(0, if other { 403 } else { 404 }),
                    if listed { 403 } else { 404 },
                    if other { 403 } else { 404 },
                ],
            ),
        ];
        for (method, template, expected) in rows {
            for (number, (who, expected)) in callers
                .iter()
                .zip(expected)
                .enumerate()
                .filter(|(_, (_, status))| *status != 0)
            {
                let answer = who.ask(method, &path(template), "").await;
                let cell =
                    format!("{owner}'s {visibility} service, {method} {template} by {number}");
                assert_eq!(answer.status, expected, "{cell}: {answer:?}");
                if template == "/system/services" {
                    let names: Vec<_> = answer
                        .json()
                        .as_array()
                        .unwrap()
                        .iter()
                        .map(|it| it["name"].clone())
                        .collect();
                    assert_eq!(
                        names.contains(&json!(visibility)),
                        seen(200, 403)[number] == 200,
                        "{cell}"
                    );
                }
                if template == "/system/services/{s}" && expected == 200 {
                    let may_know = number == 0 || (number == 1 && owner == "ann");
                    for secret in ["FARSECRET", "CLUSTERSECRET"] {
                        assert!(
                            may_know || !answer.text.contains(secret),
                            "{cell}: {answer:?}"
                        );
                    }
                    assert_eq!(
                        answer.json()["labels"]["owner_name"],
                        if owner == "ann" { "Ann_Field" } else { "oscar" }
                    );
                }
            }
        }
        let update = definition(visibility, visibility);
        for (number, (who, expected)) in callers.iter().zip(owned(204, 403, 404)).enumerate() {
            let answer = who.ask("PUT", "/system/services", &update).await;
            assert_eq!(
                answer.status, expected,
                "update of {owner}'s {visibility} by {number}: {answer:?}"
            );
        }
        check_jobs(gateway, callers, owner, visibility, &job).await;
        check_objects(callers, owner, visibility, seen(200, 403)).await;
    }
}

/// Each sees the jobs he has triggered; the owner those of nobody in particular, too; the administrator all.
async fn check_jobs(
    gateway: &TestGateway,
    callers: &[Who<'_>; 4],
    owner: &str,
    visibility: &str,
    nobodys: &str,
) {
    let logs = format!("/system/logs/{visibility}");
    let sees = [
        true,
        owner == "ann" || visibility == "public",
        visibility != "private",
        visibility == "public",
    ];
    let mut jobs: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for (number, who) in callers
        .iter()
        .enumerate()
        .filter(|(number, _)| sees[*number])
    {
        let shown = who.ask("GET", &logs, "").await.json();
        let names = shown["jobs"].as_object().unwrap().keys().cloned().collect();
        jobs.insert(number, names);
    }
    let all = gateway.count(&format!(
        "SELECT count(*) FROM jobs WHERE service = '{visibility}'"
    ));
    assert_eq!(i64::try_from(jobs[&0].len()).unwrap(), all);
    for (number, names) in &jobs {
        let own = match number {
            0 => continue,
            1 if owner == "ann" => 3, // His own, the administrator's, and nobody's.
            _ => 1,
        };
        assert_eq!(
            names.len(),
            own,
            "{number} at {owner}'s {visibility}: {names:?}"
        );
        assert_eq!(names.iter().any(|name| name == nobodys), own == 3);
    }
    // Somebody else's job: bob and eve may not delete it, and deleting "all" takes their own only.
    for (number, who) in [(2, callers[2]), (3, callers[3])]
        .into_iter()
        .filter(|(number, _)| sees[*number])
    {
        let refused = who.ask("DELETE", &format!("{logs}/{nobodys}"), "").await;
        assert_eq!(refused.status, 403, "{refused:?}");
        assert_eq!(
            who.ask("DELETE", &format!("{logs}?all=true"), "")
                .await
                .said(),
            (204, "")
        );
        let left = callers[0].ask("GET", &logs, "").await.json();
        let left = left["jobs"].as_object().unwrap();
        assert!(
            left.contains_key(nobodys) && !left.contains_key(&jobs[&number][0]),
            "{left:?}"
        );
    }
    let maker = if owner == "ann" {
        callers[1]
    } else {
        callers[0]
    };
    assert_eq!(
        maker
            .ask("DELETE", &format!("{logs}/{nobodys}"), "")
            .await
            .said(),
        (204, "")
    );
    assert_eq!(
        maker
            .ask("DELETE", &format!("{logs}/{nobodys}"), "")
            .await
            .status,
        404
    );
    assert_eq!(
        maker
            .ask("DELETE", &format!("{logs}?all=true"), "")
            .await
            .said(),
        (204, "")
    );
    assert_eq!(
        gateway.count(&format!(
            "SELECT count(*) FROM jobs WHERE service = '{visibility}'"
        )),
        0
    );
    for (who, _) in callers.iter().zip(sees).filter(|(_, sees)| !sees) {
        let refused = who.ask("DELETE", &logs, "").await;
        assert_eq!(
            refused.said(),
            (403, "You do not have permission to access this service")
        );
        assert_eq!(
            who.ask("DELETE", &format!("{logs}/{nobodys}"), "")
                .await
                .status,
            403
        );
    }
}

/// The bucket of a service has its visibility, and the store's own rules agree with the API's.
async fn check_objects(callers: &[Who<'_>; 4], owner: &str, bucket: &str, seen: [u16; 4]) {
    let maker = if owner == "ann" {
        callers[1]
    } else {
        callers[0]
    };
    assert_eq!(
        maker
            .s3("PUT", &format!("/{bucket}/files/a"), "hello")
            .await
            .status,
        200
    );
    for (number, (who, seen)) in callers.iter().zip(seen).enumerate() {
        let cell = format!("{owner}'s bucket {bucket}, by {number}");
        assert_eq!(
            who.s3("GET", &format!("/{bucket}/files/a"), "")
                .await
                .status,
            seen,
            "{cell}"
        );
        assert_eq!(
            who.s3("GET", &format!("/{bucket}"), "").await.status,
            seen,
            "{cell}"
        );
        assert_eq!(
            who.s3("PUT", &format!("/{bucket}/files/b{number}"), "x")
                .await
                .status,
            seen,
            "{cell}"
        );
        let removed = if seen == 200 { 204 } else { 403 };
        assert_eq!(
            who.s3("DELETE", &format!("/{bucket}/files/b{number}"), "")
                .await
                .status,
            removed,
            "{cell}"
        );
        let all = who.s3("GET", "/", "").await;
        assert_eq!(
            all.text.contains(&format!("<Name>{bucket}</Name>")),
            seen == 200,
            "{cell}: {all:?}"
        );
        let listed = who.ask("GET", "/system/buckets", "").await.json();
        let names: Vec<_> = listed
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["bucket_name"].clone())
            .collect();
        assert_eq!(names.contains(&json!(bucket)), seen == 200, "{cell}");
        let own = number == 0 || (number == 1 && owner == "ann");
        if !own {
            assert_eq!(
                who.s3("DELETE", &format!("/{bucket}"), "").await.status,
                403,
                "{cell}"
            );
            let refused = who
                .ask("DELETE", &format!("/system/buckets/{bucket}"), "")
                .await;
            assert_eq!(refused.status, 403, "{cell}: {refused:?}");
        }
    }
}

#[tokio::test]
async fn a_service_uses_only_buckets_its_owner_may_write_to() {
    let provider = Provider::start().await;
    let gateway = gateway_of(&provider).await;
    let ann = Person::log_in(&gateway, &provider, "ann").await;
    let bob = Person::log_in(&gateway, &provider, "bob").await;
    let bucket = json!({ "bucket_name": "anns", "visibility": "private" });
    assert_eq!(
        ann.ask("POST", "/system/buckets", bucket).await.said(),
        (201, "")
    );
    let reads = json!({ "name": "spy", "image": "i", "script": "s", "output": [],
        "input": [{ "storage_provider": "minio", "path": "anns/in" }] });
    let refused = bob.ask("POST", "/system/services", &reads).await;
    assert_eq!(refused.status, 409, "{refused:?}");
    assert!(
        refused.text.contains("the bucket \"anns\" already exists"),
        "{refused:?}"
    );
    assert_eq!(
        gateway.get("/system/services/spy").await.status,
        404,
        "nothing stays behind"
    );
    let shared =
        json!({ "bucket_name": "anns", "visibility": "restricted", "allowed_users": ["bob"] });
    assert_eq!(
        ann.ask("PUT", "/system/buckets", shared).await.said(),
        (204, "")
    );
    assert_eq!(
        bob.ask("POST", "/system/services", &reads).await.said(),
        (201, "")
    );
    assert_eq!(ann.s3("PUT", "/anns/in/one", "1").await.status, 200);
    assert_eq!(
        gateway.count("SELECT count(*) FROM jobs WHERE service = 'spy'"),
        1
    );
    // Closed again: what is uploaded from now on is none of bob's business, and neither is what lies there.
    let closed = json!({ "bucket_name": "anns", "visibility": "private" });
    assert_eq!(
        ann.ask("PUT", "/system/buckets", closed).await.said(),
        (204, "")
    );
    assert_eq!(ann.s3("PUT", "/anns/in/two", "2").await.status, 200);
    assert_eq!(
        gateway.count("SELECT count(*) FROM jobs WHERE service = 'spy'"),
        1
    );
    let event = json!({ "Records": [{ "eventSource": "minio:s3", "eventTime": "2026-02-01T10:20:30Z",
        "requestParameters": { "principalId": "ann", "sourceIPAddress": "1.2.3.4" },
        "s3": { "bucket": { "name": "anns", "arn": "arn:aws:s3:::anns" }, "object": { "key": "in%2Ftwo" } } }] });
    assert_eq!(bob.ask("POST", "/job/spy", event).await.said(), (201, ""));
    assert_eq!(
        gateway.count("SELECT count(*) FROM jobs WHERE owner = 'bob' AND cause LIKE '%no access to the bucket%' AND blob IS NULL"),
        1,
        "an event in the body gives nobody access, and its principal is not believed"
    );
    assert_eq!(
        bob.ask("DELETE", "/system/services/spy", "").await.said(),
        (204, "")
    );
    assert_eq!(
        ann.s3("GET", "/anns/in/two", "").await.said(),
        (200, "2"),
        "ann's bucket stays"
    );
}

#[tokio::test]
async fn groups_of_a_service_are_the_users_own() {
    let provider = Provider::start().await;
    let gateway = gateway_of(&provider).await;
    let ann = Person::log_in(&gateway, &provider, "ann").await;
    let create = async |name: &str, vo: &str| {
        let definition = json!({ "name": name, "image": "i", "script": "s", "vo": vo });
        ann.ask("POST", "/system/services", definition).await
    };
    assert_eq!(create("one", "").await.said(), (201, ""));
    let shown = ann.ask("GET", "/system/services/one", "").await.json();
    assert_eq!(
        (&shown["vo"], &shown["labels"]["vo"]),
        (&json!("growers"), &json!("growers"))
    );
    assert_eq!(
        (&shown["owner"], &shown["labels"]["owner_name"]),
        (&json!("ann"), &json!("Ann_Field"))
    );
    let refused = create("two", "pickers").await;
    assert_eq!(
        refused.said(),
        (400, "this user isn't enrrolled on the vo: pickers")
    );
    let mut update = shown.clone();
    update["vo"] = json!("pickers");
    assert_eq!(
        ann.ask("PUT", "/system/services", &update).await.status,
        400
    );
    // The administrator may, and ann stays the owner.
    assert_eq!(
        gateway.put("/system/services", &update).await.said(),
        (204, "")
    );
    let shown = ann.ask("GET", "/system/services/one", "").await.json();
    assert_eq!(
        (&shown["vo"], &shown["owner"]),
        (&json!("pickers"), &json!("ann"))
    );
    assert_eq!(shown["labels"]["owner_name"], "Ann_Field");
}
