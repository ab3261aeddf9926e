//! Who gets what.

use std::time::Duration;

use axum::http::StatusCode;
use spillway_model::report::JobState;

use super::house::{House, calm, output, quick};

#[tokio::test]
async fn an_upload_becomes_a_lease_with_event_and_input_and_its_result_becomes_visible() {
    let house = House::new(calm()).await;
    house.service("grey", |_| ()).await;
    let agent = house.agent("pi", 4).await;
    let jobs = house.put("grey", "in/row 7/leaf.txt", "green").await;
    let lease = agent.lease(&house).await;
    assert_eq!(vec![lease.attempt.job.clone()], jobs);
    assert_eq!(lease.attempt.attempt, 1);
    assert_eq!(lease.environment["STORAGE_OBJECT_KEY"], "in/row 7/leaf.txt");
    let event: serde_json::Value = serde_json::from_str(&lease.event).unwrap();
    assert_eq!(
        event["Records"][0]["s3"]["object"]["key"],
        "in%2Frow+7%2Fleaf.txt"
    );
    assert_eq!(
        event["Records"][0]["requestParameters"]["principalId"],
        "ana"
    );
    let input = lease.input.unwrap();
    assert_eq!(
        (input.name.as_str(), input.size, input.inline.as_deref()),
        ("leaf.txt", 5, Some("Z3JlZW4="))
    );
    let done = agent
        .succeed(
            &house,
            &lease.attempt,
            vec![output("grey", "out/leaf.txt", "grey")],
        )
        .await;
    assert_eq!(done, StatusCode::OK);
    assert_eq!(
        house.object("grey", "out/leaf.txt").await.as_deref(),
        Some("grey")
    );
    let job = house.job(&jobs[0]).await;
    assert_eq!(
        (job.state, job.attempt, job.node.as_str()),
        (JobState::Succeeded, 1, "pi")
    );
    assert_eq!(
        house
            .number("SELECT count(*) FROM jobs WHERE blob IS NOT NULL")
            .await,
        0
    );
}

#[tokio::test]
async fn a_waiting_poll_gets_the_job_as_soon_as_it_is_there() {
    let house = House::new(calm()).await;
    house.service("grey", |_| ()).await;
    let agent = house.agent("pi", 4).await;
    let (answer, _) = futures::join!(agent.poll(&house, 1, 10_000), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        house.put("grey", "in/a", "x").await
    });
    assert_eq!(answer.leases.len(), 1);
}

#[tokio::test]
async fn folders_trigger_nothing_and_nested_folders_trigger_every_service() {
    let house = House::new(calm()).await;
    house.service("outer", |_| ()).await;
    house.service("inner", |_| ()).await;
    house
        .store
        .write(|db| {
            db.execute(
                "INSERT INTO triggers (bucket, prefix, service) VALUES ('outer', 'in/deep/', 'inner')",
                [],
            )?;
            Ok::<_, crate::store::StoreError>(())
        })
        .await
        .unwrap();
    assert!(house.put("outer", "in/", "").await.is_empty());
    assert!(house.put("outer", "elsewhere/a", "x").await.is_empty());
    assert_eq!(house.put("outer", "in/a", "x").await.len(), 1);
    let both = house.put("outer", "in/deep/a", "x").await;
    assert_eq!(both.len(), 2);
    assert!(both.iter().any(|name| name.starts_with("inner-")));
}

#[tokio::test]
async fn a_job_keeps_the_bytes_of_its_upload_when_the_object_is_overwritten() {
    let house = House::new(calm()).await;
    house.service("grey", |_| ()).await;
    house.put("grey", "in/a", "first").await;
    house.put("grey", "in/a", "second").await;
    let agent = house.agent("pi", 4).await;
    let leases = agent.leases(&house, 2).await;
    let inputs: Vec<_> = leases
        .into_iter()
        .map(|lease| lease.input.unwrap().inline.unwrap())
        .collect();
    assert_eq!(inputs, ["Zmlyc3Q=", "c2Vjb25k"]);
}

#[tokio::test]
async fn a_node_gets_no_more_than_it_can_take_and_a_service_no_more_than_its_caps() {
    let house = House::new(calm()).await;
    house.service("free", |_| ()).await;
    house
        .service("cpu", |service| service.total_cpu = "2".to_owned())
        .await;
    house
        .service("one", |service| service.synchronous.max_scale = 1)
        .await;
    for number in 0..5 {
        for service in ["free", "cpu", "one"] {
            house.put(service, &format!("in/{number}"), "x").await;
        }
    }
    let agent = house.agent("large", 16).await;
    let leases = agent.leases(&house, 64).await;
    let count = |service: &str| {
        leases
            .iter()
            .filter(|lease| lease.service == service)
            .count()
    };
    assert_eq!((count("free"), count("cpu"), count("one")), (5, 2, 1));
    assert!(agent.poll(&house, 64, 50).await.leases.is_empty());
    let one = leases.iter().find(|lease| lease.service == "one").unwrap();
    agent.succeed(&house, &one.attempt, Vec::new()).await;
    let next = agent.leases(&house, 64).await;
    assert_eq!(
        next.iter()
            .map(|lease| lease.service.as_str())
            .collect::<Vec<_>>(),
        ["one"]
    );

    let small = House::new(calm()).await;
    small.service("free", |_| ()).await;
    for number in 0..5 {
        small.put("free", &format!("in/{number}"), "x").await;
    }
    assert_eq!(
        small.agent("small", 2).await.leases(&small, 64).await.len(),
        2
    );
}

#[tokio::test]
async fn priority_goes_first_then_whoever_has_least_and_order_is_kept_within_a_service() {
    let house = House::new(calm()).await;
    house.service("busy", |_| ()).await;
    house.service("late", |_| ()).await;
    house
        .service("urgent", |service| {
            service.edge.as_mut().unwrap().priority = Some(5);
        })
        .await;
    for number in 0..4 {
        house.put("busy", &format!("in/{number}"), "x").await;
    }
    house.put("late", "in/a", "x").await;
    house.put("late", "in/b", "x").await;
    house.put("urgent", "in/a", "x").await;
    let agent = house.agent("pi", 8).await;
    let leases = agent.leases(&house, 5).await;
    let services: Vec<_> = leases.iter().map(|lease| lease.service.as_str()).collect();
    assert_eq!(services, ["urgent", "busy", "late", "busy", "late"]);
    let busy: Vec<_> = leases
        .iter()
        .filter(|lease| lease.service == "busy")
        .map(|lease| lease.environment["STORAGE_OBJECT_KEY"].as_str())
        .collect();
    assert_eq!(busy, ["in/0", "in/1"]);
}

#[tokio::test]
async fn the_selector_and_the_size_decide_which_nodes_may_have_a_job() {
    let house = House::new(calm()).await;
    house
        .service("cam", |service| {
            service.edge.as_mut().unwrap().node_selector =
                [("camera".to_owned(), "true".to_owned())].into();
        })
        .await;
    house
        .service("huge", |service| service.cpu = "64".to_owned())
        .await;
    let cam = house.put("cam", "in/a", "x").await;
    let huge = house.put("huge", "in/a", "x").await;
    let plain = house.agent("plain", 4).await;
    assert!(plain.poll(&house, 9, 50).await.leases.is_empty());
    assert!(house.job(&cam[0]).await.message.contains("camera=true"));
    assert!(
        house
            .job(&huge[0])
            .await
            .message
            .contains("no node is large enough for cpu 64000m")
    );
    let seeing = house
        .join("seeing", 4, &[("camera", "true")], Vec::new())
        .await;
    assert_eq!(seeing.lease(&house).await.service, "cam");
}

#[tokio::test]
async fn ten_thousand_queued_jobs_are_not_in_memory_and_all_of_them_run_in_order() {
    let house = House::new(calm()).await;
    house
        .service("many", |service| service.cpu = "100m".to_owned())
        .await;
    let queue = house.queue.clone();
    let jobs = house
        .store
        .write(move |db| {
            let blob: i64 = 1;
            db.execute(
                "INSERT INTO blobs (id, size, refs, content) VALUES (?1, 1, 1, x'78')",
                [blob],
            )?;
            let mut jobs = Vec::new();
            for number in 0..10_000 {
                let created = crate::queue::CreatedObject {
                    bucket: "many".to_owned(),
                    key: format!("in/{number}"),
                    blob,
                    size: 1,
                    etag: String::new(),
                    content_type: String::new(),
                    event: "s3:ObjectCreated:Put",
                    principal: String::new(),
                    source_ip: String::new(),
                    user_agent: String::new(),
                    time: jiff::Timestamp::now(),
                };
                jobs.extend(queue.trigger(db, &created)?);
            }
            Ok::<_, crate::store::StoreError>(jobs)
        })
        .await
        .unwrap();
    house.queue.announce(jobs);
    let agent = house.agent("pi", 6).await;
    let mut seen = 0;
    while seen < 1000 {
        for lease in agent.leases(&house, 60).await {
            assert_eq!(
                lease.environment["STORAGE_OBJECT_KEY"],
                format!("in/{seen}")
            );
            assert_eq!(
                agent.succeed(&house, &lease.attempt, Vec::new()).await,
                StatusCode::OK
            );
            seen += 1;
        }
    }
    assert_eq!(
        house
            .number("SELECT count(*) FROM jobs WHERE state = 'succeeded'")
            .await,
        seen
    );
}

#[tokio::test]
async fn a_lease_that_lapses_goes_to_another_node_and_the_late_result_is_refused() {
    let house = House::new(quick()).await;
    house.service("grey", |_| ()).await;
    let jobs = house.put("grey", "in/a", "x").await;
    let slow = house.agent("slow", 1).await;
    let first = slow.lease(&house).await;
    tokio::time::sleep(Duration::from_millis(350)).await;
    let quick = house.agent("quick", 1).await;
    let second = quick.lease(&house).await;
    assert_eq!(
        (second.attempt.job.as_str(), second.attempt.attempt),
        (jobs[0].as_str(), 2)
    );
    assert_eq!(
        slow.heartbeat(&house, std::slice::from_ref(&first.attempt))
            .await,
        vec![first.attempt.clone()]
    );
    let late = slow
        .succeed(
            &house,
            &first.attempt,
            vec![output("grey", "out/a", "late")],
        )
        .await;
    assert_eq!(late, StatusCode::GONE);
    assert_eq!(house.object("grey", "out/a").await, None);
    let good = quick
        .succeed(
            &house,
            &second.attempt,
            vec![output("grey", "out/a", "good")],
        )
        .await;
    assert_eq!(good, StatusCode::OK);
    assert_eq!(house.object("grey", "out/a").await.as_deref(), Some("good"));
    assert_eq!(house.job(&jobs[0]).await.interruptions, 1);
}

#[tokio::test]
async fn a_lapsed_lease_is_still_its_holders_as_long_as_nobody_else_was_granted_the_job() {
    let house = House::new(quick()).await;
    house.service("grey", |_| ()).await;
    let jobs = house.put("grey", "in/a", "x").await;
    let agent = house.agent("pi", 1).await;
    let lease = agent.lease(&house).await;
    tokio::time::sleep(Duration::from_millis(450)).await;
    assert_eq!(house.job(&jobs[0]).await.state, JobState::Queued);
    assert!(
        agent
            .heartbeat(&house, std::slice::from_ref(&lease.attempt))
            .await
            .is_empty()
    );
    assert_eq!(house.job(&jobs[0]).await.state, JobState::Leased);
    assert!(agent.poll(&house, 9, 20).await.leases.is_empty());
    assert_eq!(
        agent.succeed(&house, &lease.attempt, Vec::new()).await,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_restarted_agent_gives_up_what_it_does_not_name() {
    let house = House::new(calm()).await;
    house.service("grey", |_| ()).await;
    house.put("grey", "in/a", "x").await;
    house.put("grey", "in/b", "x").await;
    let before = house.agent("pi", 2).await;
    let leases = before.leases(&house, 2).await;
    let kept = leases[0].attempt.clone();
    let after = house.join("pi", 2, &[], vec![kept.clone()]).await;
    let again = after.lease(&house).await;
    assert_eq!(
        (&again.attempt.job, again.attempt.attempt),
        (&leases[1].attempt.job, 2)
    );
    assert_eq!(
        after.succeed(&house, &kept, Vec::new()).await,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_lease_that_never_reached_the_agent_is_taken_back_with_its_next_heartbeat() {
    let house = House::new(crate::queue::QueueSettings {
        handover: Duration::from_millis(50),
        ..calm()
    })
    .await;
    house.service("grey", |_| ()).await;
    house.put("grey", "in/a", "x").await;
    let agent = house.agent("pi", 1).await;
    let lost = agent.lease(&house).await;
    tokio::time::sleep(Duration::from_millis(80)).await;
    agent.heartbeat(&house, &[]).await;
    let again = agent.lease(&house).await;
    assert_eq!(
        (&again.attempt.job, again.attempt.attempt),
        (&lost.attempt.job, 2)
    );
}
