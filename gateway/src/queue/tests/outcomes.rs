//! How attempts end, and what becomes of their jobs.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use spillway_model::report::{JobPage, JobState, Touched};

use super::house::{House, calm, output, quick};
use crate::queue::{QueueSettings, Which};

#[tokio::test]
async fn outputs_trigger_the_next_service_in_the_same_transaction() {
    let house = House::new(calm()).await;
    house.service("first", |_| ()).await;
    house.service("second", |_| ()).await;
    house.put("first", "in/a", "x").await;
    let agent = house.agent("pi", 4).await;
    let lease = agent.lease(&house).await;
    agent
        .succeed(&house, &lease.attempt, vec![output("second", "in/b", "y")])
        .await;
    let next = agent.lease(&house).await;
    assert_eq!(
        (
            next.service.as_str(),
            next.input.unwrap().inline.unwrap().as_str()
        ),
        ("second", "eQ==")
    );
    // The last output cannot be written: nothing of the attempt is seen, no job is started.
    let outputs = vec![output("first", "in/c", "z"), output("nowhere", "d", "z")];
    assert_eq!(
        agent.succeed(&house, &next.attempt, outputs).await,
        StatusCode::OK
    );
    assert_eq!(house.object("first", "in/c").await, None);
    assert_eq!(house.number("SELECT count(*) FROM jobs").await, 2);
    let job = house.job(&next.attempt.job).await;
    assert_eq!(
        (job.state, job.failures, job.reason.as_str()),
        (JobState::Queued, 1, "stage_out")
    );
    assert!(job.message.contains("'nowhere'"), "{}", job.message);
}

#[tokio::test]
async fn a_completion_that_is_repeated_is_well_and_changes_nothing() {
    let house = House::new(calm()).await;
    house.service("grey", |_| ()).await;
    let name = house.put("grey", "in/a", "x").await.remove(0);
    let agent = house.agent("pi", 4).await;
    let lease = agent.lease(&house).await;
    assert_eq!(agent.fail(&house, &lease.attempt).await, StatusCode::OK);
    assert_eq!(agent.fail(&house, &lease.attempt).await, StatusCode::OK);
    assert_eq!(house.job(&name).await.failures, 1);
    let lease = agent.lease(&house).await;
    for _ in 0..2 {
        let status = agent
            .succeed(&house, &lease.attempt, vec![output("grey", "in/b", "y")])
            .await;
        assert_eq!(status, StatusCode::OK);
    }
    assert_eq!(house.number("SELECT count(*) FROM jobs").await, 2);
    let other = house.agent("other", 4).await;
    assert_eq!(
        other.succeed(&house, &lease.attempt, Vec::new()).await,
        StatusCode::GONE
    );
}

#[tokio::test]
async fn a_job_that_keeps_failing_backs_off_and_becomes_a_dead_letter_with_its_input() {
    let house = House::new(quick()).await;
    house
        .service("grey", |service| {
            service.edge.as_mut().unwrap().retries = Some(2);
        })
        .await;
    let name = house.put("grey", "in/a", "precious").await.remove(0);
    let agent = house.agent("pi", 4).await;
    for failures in 1..=3 {
        let lease = agent.lease(&house).await;
        assert_eq!(lease.attempt.attempt, failures);
        assert_eq!(agent.fail(&house, &lease.attempt).await, StatusCode::OK);
        if failures < 3 {
            let job = house.job(&name).await;
            assert_eq!((job.state, job.failures), (JobState::Queued, failures));
            assert!(job.ready_at.unwrap() > job.created_at);
        }
    }
    let dead: JobPage = get(&house, "dead-letters").await;
    assert_eq!(
        dead.jobs
            .iter()
            .map(|job| job.name.as_str())
            .collect::<Vec<_>>(),
        [name.as_str()]
    );
    assert_eq!(
        (dead.jobs[0].reason.as_str(), dead.jobs[0].message.as_str()),
        ("exit_code", "exit code 3")
    );
    let (_, input) = house
        .send(
            Method::GET,
            &format!("/spillway/v1/jobs/{name}/input"),
            "",
            Vec::new(),
        )
        .await;
    assert_eq!(&input[..], b"precious");

    let (_, body) = house
        .send(
            Method::POST,
            &format!("/spillway/v1/dead-letters/{name}/retry"),
            "",
            Vec::new(),
        )
        .await;
    assert_eq!(serde_json::from_slice::<Touched>(&body).unwrap().touched, 1);
    let lease = agent.lease(&house).await;
    assert_eq!(lease.attempt.attempt, 4);
    assert_eq!(
        agent.succeed(&house, &lease.attempt, Vec::new()).await,
        StatusCode::OK
    );
    let log = house
        .send(
            Method::GET,
            &format!("/spillway/v1/jobs/{name}/log"),
            "",
            Vec::new(),
        )
        .await
        .1;
    assert_eq!(String::from_utf8_lossy(&log).lines().count(), 4);
    assert_eq!(
        house
            .number("SELECT count(*) FROM blobs WHERE refs > 1")
            .await,
        0
    );
}

#[tokio::test]
async fn purged_dead_letters_leave_nothing_behind() {
    let house = House::new(quick()).await;
    house
        .service("grey", |service| {
            service.edge.as_mut().unwrap().retries = Some(0);
        })
        .await;
    house.put("grey", "in/a", "x").await;
    house.put("grey", "in/a", "y").await;
    let agent = house.agent("pi", 4).await;
    for lease in agent.leases(&house, 2).await {
        agent.fail(&house, &lease.attempt).await;
    }
    let (_, body) = house
        .send(
            Method::DELETE,
            "/spillway/v1/dead-letters?service=grey",
            "",
            Vec::new(),
        )
        .await;
    assert_eq!(serde_json::from_slice::<Touched>(&body).unwrap().touched, 2);
    assert_eq!(house.number("SELECT count(*) FROM jobs").await, 0);
    assert_eq!(house.number("SELECT count(*) FROM logs").await, 0);
    assert_eq!(house.number("SELECT count(*) FROM blobs").await, 1); // Of the object.
}

#[tokio::test]
async fn interruptions_cost_no_retry_but_end_after_so_many() {
    let settings = QueueSettings {
        interruptions: 6,
        ..quick()
    };
    let house = House::new(settings).await;
    house
        .service("grey", |service| {
            service.edge.as_mut().unwrap().retries = Some(0);
        })
        .await;
    let name = house.put("grey", "in/a", "x").await.remove(0);
    let agent = house.agent("pi", 4).await;
    for number in 1..=6 {
        let lease = agent.lease(&house).await;
        assert_eq!(
            agent.interrupt(&house, &lease.attempt).await,
            StatusCode::OK
        );
        let job = house.job(&name).await;
        assert_eq!((job.interruptions, job.failures), (number, 0));
        assert_eq!(
            job.ready_at.is_some(),
            (4..6).contains(&number),
            "after interruption {number}"
        );
    }
    let job = house.job(&name).await;
    assert_eq!(
        (job.state, job.reason.as_str()),
        (JobState::Dead, "interrupted")
    );
    assert!(job.message.contains("the engine is away"));
}

#[tokio::test]
async fn a_deleted_job_is_cancelled_where_it_runs() {
    let house = House::new(calm()).await;
    house.service("grey", |_| ()).await;
    let name = house.put("grey", "in/a", "x").await.remove(0);
    house.put("grey", "in/b", "x").await;
    let agent = house.agent("pi", 1).await;
    let lease = agent.lease(&house).await;
    let (answer, deleted) = futures::join!(agent.poll(&house, 1, 5000), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        house.queue.delete("grey", Which::One(name)).await.unwrap()
    });
    assert_eq!(deleted, 1);
    let next = if answer.leases.is_empty() {
        agent.lease(&house).await
    } else {
        answer.leases[0].clone()
    };
    assert_eq!(answer.cancelled, vec![lease.attempt.clone()]);
    assert_eq!(
        agent.succeed(&house, &lease.attempt, Vec::new()).await,
        StatusCode::GONE
    );
    assert_eq!(
        agent.succeed(&house, &next.attempt, Vec::new()).await,
        StatusCode::OK
    );
    assert_eq!(
        house.queue.delete("grey", Which::Succeeded).await.unwrap(),
        1
    );
}

#[tokio::test]
async fn a_deleted_service_takes_its_jobs_with_it() {
    let house = House::new(calm()).await;
    house.service("grey", |_| ()).await;
    for number in 0..5 {
        house.put("grey", &format!("in/{number}"), "x").await;
    }
    let agent = house.agent("pi", 1).await;
    let lease = agent.lease(&house).await;
    house
        .store
        .write(|db| Ok::<_, crate::store::StoreError>(db.execute("DELETE FROM services", [])?))
        .await
        .unwrap();
    house.queue.services_changed();
    let mut cancelled = Vec::new();
    for _ in 0..10 {
        cancelled.extend(agent.poll(&house, 1, 200).await.cancelled);
    }
    assert_eq!(cancelled, [lease.attempt]);
    assert_eq!(house.number("SELECT count(*) FROM jobs").await, 0);
}

#[tokio::test]
async fn calls_bring_text_events_and_pinned_objects() {
    let house = House::new(calm()).await;
    house.service("grey", |_| ()).await;
    house.put("grey", "kept/a b", "old").await;
    let text = house.call("grey", "aGVsbG8=").await;
    let event = house
        .call(
            "grey",
            r#"{"Records":[{"eventSource":"minio:s3","s3":{"bucket":{"name":"grey"},"object":{"key":"kept%2Fa+b"}}}]}"#,
        )
        .await;
    let missing = house
        .call(
            "grey",
            r#"{"Records":[{"eventSource":"minio:s3","s3":{"bucket":{"name":"grey"},"object":{"key":"none"}}}]}"#,
        )
        .await;
    let large = house.call("grey", &"A".repeat(100_000)).await;
    house.put("grey", "kept/a b", "new").await;
    let agent = house.agent("pi", 4).await;
    let leases = agent.leases(&house, 4).await;
    let of = |name: &str| {
        leases
            .iter()
            .find(|lease| lease.attempt.job == name)
            .unwrap()
    };
    assert_eq!(
        of(&text).input.as_ref().unwrap().inline.as_deref(),
        Some("aGVsbG8=")
    );
    assert_eq!(of(&text).event, "aGVsbG8=");
    let pinned = of(&event).input.as_ref().unwrap();
    assert_eq!(
        (pinned.name.as_str(), pinned.inline.as_deref()),
        ("a b", Some("b2xk"))
    );
    assert_eq!(of(&event).environment["STORAGE_OBJECT_KEY"], "kept/a b");
    let decoded = of(&large).input.as_ref().unwrap();
    assert_eq!((decoded.size, decoded.inline.as_deref()), (75_000, None));
    assert!(!leases.iter().any(|lease| lease.attempt.job == missing));
    let dead = house.job(&missing).await;
    assert_eq!(
        (dead.state, dead.reason.as_str()),
        (JobState::Dead, "stage_in")
    );
    assert!(dead.message.contains("'none'"), "{}", dead.message);
}

async fn get<T: serde::de::DeserializeOwned>(house: &House, path: &str) -> T {
    let (status, body) = house
        .send(Method::GET, &format!("/spillway/v1/{path}"), "", Vec::new())
        .await;
    assert_eq!(status, StatusCode::OK);
    serde_json::from_slice(&body).unwrap()
}
