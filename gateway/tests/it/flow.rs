//! The main job from end to end: an upload becomes a job, an agent runs it, its output becomes visible.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use spillway_model::wire::link::{
    Attempt, Completed, Completion, Engine, Join, Joined, Lease, Outcome, Output, OutputContent,
    PREFIX, Poll, PollAnswer, Resources, ServiceDefinition, Spans, Usage,
};

use crate::harness::{Answer, TestGateway, send, service};
use crate::s3::signed;

const CAPACITY: Resources = Resources {
    millicores: 4000,
    memory_bytes: 4 << 30,
};

/// An agent without containers.
pub(crate) struct SimulatedAgent<'a> {
    gateway: &'a TestGateway,
    token: String,
}

impl<'a> SimulatedAgent<'a> {
    pub(crate) async fn join(gateway: &'a TestGateway) -> Self {
        let join = Join {
            node: "pi-1".into(),
            architecture: "arm64".into(),
            version: "0".into(),
            capacity: CAPACITY,
            labels: [].into(),
            engine: Engine::default(),
            running: Vec::new(),
        };
        let agent = Self {
            gateway,
            token: gateway.gateway().join_token().to_owned(),
        };
        let joined: Joined = agent.call("join", &join).await;
        Self {
            gateway,
            token: joined.token,
        }
    }

    async fn post(&self, path: &str, body: &impl Serialize) -> Answer {
        let request = self
            .gateway
            .anonymous(Method::POST, &format!("{PREFIX}/{path}"));
        send(request.bearer_auth(&self.token).json(body)).await
    }

    async fn call<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> T {
        let answer = self.post(path, body).await;
        assert_eq!(answer.status, 200, "for {path}: {answer:?}");
        serde_json::from_str(&answer.text).unwrap()
    }

    pub(crate) async fn lease(&self) -> Lease {
        let poll = Poll {
            capacity: CAPACITY,
            max_leases: 1,
            wait_ms: 10_000,
            ..Poll::default()
        };
        for _ in 0..10 {
            let mut answer: PollAnswer = self.call("poll", &poll).await;
            if let Some(lease) = answer.leases.pop() {
                return lease;
            }
        }
        panic!("no lease came");
    }

    pub(crate) async fn complete(
        &self,
        attempt: &Attempt,
        outcome: Outcome,
        outputs: Vec<Output>,
    ) -> Answer {
        let now = Timestamp::now();
        let log = format!("{now} it ran\n");
        let completion = Completion {
            outcome,
            started_at: Some(now),
            finished_at: now,
            usage: Usage::default(),
            spans: Spans::default(),
            log,
            outputs,
        };
        self.post(
            &format!("jobs/{}/{}/complete", attempt.job, attempt.attempt),
            &completion,
        )
        .await
    }
}

pub(crate) fn output(bucket: &str, key: &str, text: &str) -> Output {
    Output {
        provider: String::new(),
        bucket: bucket.into(),
        key: key.into(),
        content_type: "text/plain".into(),
        content: OutputContent::Inline(BASE64_STANDARD.encode(text)),
    }
}

#[tokio::test]
async fn an_upload_becomes_a_job_and_its_output_the_input_of_the_next() {
    let gateway = TestGateway::start().await;
    gateway.create(service("grey")).await;
    gateway
        .create(json!({
            "name": "next", "image": "i", "script": "s", "output": [],
            "input": [{ "storage_provider": "minio", "path": "grey/out" }],
        }))
        .await;
    let put = send(signed(&gateway, &Method::PUT, "/grey/in/photo.txt").body("hello")).await;
    assert_eq!(put.said(), (200, ""));

    let agent = SimulatedAgent::join(&gateway).await;
    let lease = agent.lease().await;
    assert_eq!((lease.service.as_str(), lease.attempt.attempt), ("grey", 1));
    let input = lease.input.clone().unwrap();
    assert_eq!((input.name.as_str(), input.size), ("photo.txt", 5));
    assert_eq!(
        BASE64_STANDARD.decode(input.inline.unwrap()).unwrap(),
        b"hello"
    );
    assert_eq!(
        lease.resources,
        Resources {
            millicores: 200,
            memory_bytes: 256 << 20
        }
    );

    let path = format!("{PREFIX}/services/grey/{}", lease.revision);
    let definition = send(
        gateway
            .anonymous(Method::GET, &path)
            .bearer_auth(&agent.token),
    )
    .await;
    let definition: ServiceDefinition = serde_json::from_str(&definition.text).unwrap();
    assert_eq!(definition.service.script, "#!/bin/sh\ntrue\n");

    let status = gateway.get("/system/status").await.json();
    assert_eq!(status["cluster"]["nodes"][0]["name"], "pi-1");
    assert_eq!(status["cluster"]["nodes"][0]["status"], "Ready");
    assert_eq!(status["cluster"]["nodes"][0]["cpu"]["request_cores"], 200);
    assert_eq!(
        status["cluster"]["metrics"]["cpu"]["total_schedulable_cores"],
        3800
    );

    let completed = agent
        .complete(
            &lease.attempt,
            Outcome::Succeeded,
            vec![output("grey", "out/photo.txt", "HELLO")],
        )
        .await;
    assert_eq!(completed.status, 200, "{completed:?}");
    serde_json::from_str::<Completed>(&completed.text).unwrap();
    let got = send(signed(&gateway, &Method::GET, "/grey/out/photo.txt")).await;
    assert_eq!(got.said(), (200, "HELLO"));
    let jobs = gateway.get("/system/logs/grey").await.json();
    assert_eq!(jobs["jobs"][&lease.attempt.job]["status"], "Succeeded");
    let log = gateway
        .get(&format!("/system/logs/grey/{}", lease.attempt.job))
        .await;
    assert_eq!(log.said(), (200, "it ran\n"));

    let next = agent.lease().await;
    assert_eq!(next.service, "next");
    assert_eq!(
        BASE64_STANDARD
            .decode(next.input.unwrap().inline.unwrap())
            .unwrap(),
        b"HELLO"
    );
    // A result that comes twice is published once: the lease is over.
    let again = agent
        .complete(
            &lease.attempt,
            Outcome::Succeeded,
            vec![output("grey", "out/photo.txt", "TWICE")],
        )
        .await;
    assert_ne!(
        send(signed(&gateway, &Method::GET, "/grey/out/photo.txt"))
            .await
            .text,
        "TWICE",
        "{again:?}"
    );
}

#[tokio::test]
async fn what_was_accepted_before_a_restart_is_granted_after_it() {
    let mut gateway = TestGateway::start().await;
    gateway.create(service("grey")).await;
    assert_eq!(
        send(signed(&gateway, &Method::PUT, "/grey/in/a.txt").body("a"))
            .await
            .status,
        200
    );
    assert_eq!(
        gateway
            .post("/job/grey", BASE64_STANDARD.encode("b"))
            .await
            .status,
        201
    );
    gateway.restart().await;
    let agent = SimulatedAgent::join(&gateway).await;
    let mut contents = Vec::new();
    for _ in 0..2 {
        let lease = agent.lease().await;
        contents.push(
            BASE64_STANDARD
                .decode(lease.input.unwrap().inline.unwrap())
                .unwrap(),
        );
        assert_eq!(
            agent
                .complete(&lease.attempt, Outcome::Succeeded, Vec::new())
                .await
                .status,
            200
        );
    }
    contents.sort();
    assert_eq!(contents, [b"a", b"b"]);
    let pods = gateway.get("/system/status").await.json()["oscar"]["pods"]["states"].clone();
    assert_eq!(pods["Succeeded"], 2);
}

#[tokio::test]
async fn the_answer_to_a_deleted_service_is_that_the_lease_is_gone() {
    let gateway = TestGateway::start().await;
    gateway.create(service("grey")).await;
    gateway.post("/job/grey", BASE64_STANDARD.encode("x")).await;
    let agent = SimulatedAgent::join(&gateway).await;
    let lease = agent.lease().await;
    assert_eq!(gateway.delete("/system/services/grey").await.status, 204);
    let answer = agent
        .complete(&lease.attempt, Outcome::Succeeded, Vec::new())
        .await;
    assert_eq!(answer.status, 410, "{answer:?}");
}
