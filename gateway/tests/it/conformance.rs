//! Schemathesis reads the document that a gateway serves, and asks whether the gateway does what it says: thousands of
//! requests, made up from the schemas, well-formed and not. No failure of ours, no answer that is not documented.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use spillway_gateway::Config;
use spillway_model::wire::link::{FailureReason, Outcome};
use spillway_testkit::clients::{Python, outcome};

use crate::flow::SimulatedAgent;
use crate::harness::{PASSWORD, TestGateway, send, service};

/// Requests of all runs together, at least.
const REQUESTS: u64 = 5_000;

/// One run may take so long before it counts as hung.
const PATIENCE: Duration = Duration::from_mins(10);

/// Answers of 5xx that the document promises: see `schemathesis.toml`.
const PROMISED: [(&str, u16); 2] = [
    ("POST /run/{name}", 501),
    ("PUT /system/quotas/user/{id}", 503),
];

/// Operations that never succeed here: without OIDC there is nobody but the administrator, who has no quota; without
/// a storage elsewhere nothing is delivered; and schemathesis does not ask for the document that it reads.
const NEVER_WELL: [&str; 5] = [
    "GET /system/quotas/user",
    "GET /spillway/v1/deliveries/{id}",
    "DELETE /spillway/v1/deliveries/{id}",
    "POST /spillway/v1/deliveries/{id}/retry",
    "GET /system/openapi.json",
];

/// How often an operation was answered with a status.
type Counts = BTreeMap<(String, u16), u64>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gateway_does_what_its_document_says() {
    let gateway = TestGateway::start_with(Config {
        // Requests with wrong passwords are part of it; how guessers are slowed down is tested elsewhere.
        password_guesses: Some(1_000_000),
        ..Config::default()
    })
    .await;
    let token = fill(&gateway).await;
    let administrator = format!("oscar:{PASSWORD}");
    let bearer = format!("Authorization:Bearer {token}");
    let runs: [&[&str]; 3] = [
        &["--auth", &administrator, "--max-examples", "60"],
        &["--max-examples", "10", "--phases", "examples,fuzzing"],
        &["--header", &bearer, "--include-path-regex", "^/(job|run)/"],
    ];
    let mut counts = Counts::new();
    for arguments in runs {
        for (answer, count) in ask(&gateway, arguments).await {
            *counts.entry(answer).or_default() += count;
        }
    }
    let total: u64 = counts.values().sum();
    eprintln!("{total} requests: {counts:#?}");
    assert!(total >= REQUESTS, "only {total} requests were made");
    let failed: Vec<_> = counts
        .keys()
        .filter(|(operation, status)| {
            *status >= 500 && !PROMISED.contains(&(operation.as_str(), *status))
        })
        .collect();
    assert_eq!(failed, Vec::<&(String, u16)>::new(), "the gateway failed");
    assert_eq!(
        unreached(&gateway, &counts).await,
        BTreeSet::new(),
        "these never succeeded, so hardly anything of them was tried"
    );
}

/// Runs schemathesis once. It ends with a report of what is not as documented.
async fn ask(gateway: &TestGateway, arguments: &[&str]) -> Counts {
    let python = Python::with("schemathesis").await.unwrap();
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/conformance");
    let folder = tempfile::tempdir().unwrap();
    let written = folder.path().join("counts.json");
    let mut schemathesis = python.command("schemathesis").unwrap();
    schemathesis
        .current_dir(folder.path())
        .env("SCHEMATHESIS_HOOKS", files.join("hooks.py"))
        .env("CONFORMANCE_COUNTS", &written)
        .arg("--config-file")
        .arg(files.join("schemathesis.toml"))
        .args(["run", "--seed", "1", "--no-color"])
        .args(arguments)
        .arg(format!(
            "http://{}/system/openapi.json",
            gateway.gateway().api_address()
        ));
    let output = outcome(schemathesis, PATIENCE).await.unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{arguments:?} found this:\n{report}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let rows: Vec<(String, u16, u64)> =
        serde_json::from_slice(&std::fs::read(&written).unwrap()).unwrap();
    rows.into_iter()
        .map(|(operation, status, count)| ((operation, status), count))
        .collect()
}

/// Operations that document success and never had it.
async fn unreached(gateway: &TestGateway, counts: &Counts) -> BTreeSet<String> {
    let document = gateway.get("/system/openapi.json").await.json();
    let mut unreached = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = format!("{} {path}", method.to_uppercase());
            let well = |status: &str| status.starts_with('2');
            let promised = operation["responses"]
                .as_object()
                .unwrap()
                .keys()
                .any(|status| well(status));
            let had = counts
                .keys()
                .any(|(operation, status)| *operation == name && (200..300).contains(status));
            if promised && !had && !NEVER_WELL.contains(&name.as_str()) {
                unreached.insert(name);
            }
        }
    }
    unreached
}

/// Puts something of everything into the gateway, under the names that `hooks.py` knows; a service's token.
async fn fill(gateway: &TestGateway) -> String {
    let mut grey = service("grey");
    grey["edge"] = json!({ "retries": 0 });
    gateway.create(grey).await;
    for name in (0..12)
        .map(|number| format!("dead-{number}"))
        .chain(["grey-done".to_owned()])
    {
        call(gateway, "grey", &name).await;
    }
    let agent = SimulatedAgent::join(gateway).await;
    for _ in 0..13 {
        let lease = agent.lease().await;
        let outcome = if lease.attempt.job == "grey-done" {
            Outcome::Succeeded
        } else {
            Outcome::Failed {
                reason: FailureReason::ExitCode,
                message: "it ended with 1".to_owned(),
            }
        };
        assert_eq!(
            agent
                .complete(&lease.attempt, outcome, Vec::new())
                .await
                .status,
            200
        );
    }
    let dead = gateway.get("/spillway/v1/dead-letters").await.json();
    assert_eq!(dead["jobs"].as_array().map(Vec::len), Some(12));
    call(gateway, "grey", "grey-waits").await;
    for number in 0..8 {
        let name = format!("doomed-{number}");
        gateway.create(service(&name)).await;
        call(gateway, &name, &format!("{name}-job")).await;
        bucket(gateway, &format!("pail-{number}")).await;
    }
    bucket(gateway, "shelf").await;
    for number in 0..8 {
        let login =
            json!({ "server": "registry.example.org", "username": "ci", "password": "secret" });
        let path = format!("/spillway/v1/registries/registry-{number}");
        assert_eq!(gateway.put(&path, login).await.said(), (204, ""));
    }
    let Value::String(token) = gateway.get("/system/services/grey").await.json()["token"].take()
    else {
        panic!("a service has a token");
    };
    token
}

async fn call(gateway: &TestGateway, service: &str, job: &str) {
    let request = gateway.request(Method::POST, &format!("/job/{service}"));
    let answer = send(request.header("x-delegated-job-id", job).body("hello")).await;
    assert_eq!(answer.status, 201, "{answer:?}");
}

async fn bucket(gateway: &TestGateway, name: &str) {
    let answer = gateway
        .post("/system/buckets", json!({ "bucket_name": name }))
        .await;
    assert_eq!(answer.said(), (201, ""));
}
