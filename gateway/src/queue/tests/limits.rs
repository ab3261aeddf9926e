//! What is forgotten, and what time does.

use std::time::Duration;

use axum::http::Method;

use super::house::{House, calm, output, quick};
use crate::objects::ObjectError;
use crate::queue::{CallError, DirectCall, QueueSettings, Which, retention};

#[tokio::test]
async fn old_jobs_surplus_jobs_and_logs_that_take_too_much_room_are_forgotten() {
    let house = House::new(calm()).await;
    house.service("grey", |_| ()).await;
    let agent = house.agent("pi", 4).await;
    for number in 0..4 {
        house.put("grey", &format!("in/{number}"), "x").await;
        let lease = agent.lease(&house).await;
        agent.succeed(&house, &lease.attempt, Vec::new()).await;
    }
    house.put("grey", "in/waiting", "x").await;
    let keep = |keep_jobs, keep_log_bytes, keep| QueueSettings {
        keep,
        keep_jobs,
        keep_log_bytes,
        ..calm()
    };
    let month = Duration::from_hours(720);
    assert_eq!(
        retention::round(&house.store, &keep(10, 1000, month))
            .await
            .unwrap(),
        0
    );
    let line = "2026-01-01T00:00:00Z attempt 1\n".len() as u64;
    retention::round(&house.store, &keep(10, 2 * line, month))
        .await
        .unwrap();
    assert_eq!(house.number("SELECT count(*) FROM logs").await, 2);
    assert_eq!(house.number("SELECT count(*) FROM jobs").await, 5);
    retention::round(&house.store, &keep(1, 1000, month))
        .await
        .unwrap();
    assert_eq!(house.number("SELECT count(*) FROM jobs").await, 2);
    tokio::time::sleep(Duration::from_millis(5)).await;
    retention::round(&house.store, &keep(1, 1000, Duration::ZERO))
        .await
        .unwrap();
    assert_eq!(
        house
            .number("SELECT count(*) FROM jobs WHERE state = 'queued'")
            .await,
        1
    );
    assert_eq!(house.number("SELECT count(*) FROM jobs").await, 1);
}

#[tokio::test]
async fn too_many_unfinished_jobs_refuse_new_events_but_not_the_outputs_of_jobs() {
    let settings = QueueSettings {
        unfinished: 2,
        ..calm()
    };
    let house = House::new(settings).await;
    house.service("grey", |_| ()).await;
    house.put("grey", "in/a", "x").await;
    house.call("grey", "eA==").await;
    let refused = house.try_put("grey", "in/b", "x").await;
    assert!(matches!(refused, Err(ObjectError::TooManyJobs(2))));
    assert_eq!(house.object("grey", "in/b").await, None);
    let call = DirectCall {
        service: "grey".to_owned(),
        name: None,
        body: b"eA==".to_vec(),
        caller: String::new(),
    };
    let refused = house.queue.call(call).await;
    assert!(matches!(refused, Err(CallError::Full(2))));
    // What starts no job is kept, and so is what a job makes.
    assert!(house.try_put("grey", "other/b", "x").await.is_ok());
    let agent = house.agent("pi", 1).await;
    let lease = agent.lease(&house).await;
    let outputs = vec![output("grey", "in/c", "y"), output("grey", "in/d", "y")];
    agent.succeed(&house, &lease.attempt, outputs).await;
    let unfinished = "SELECT count(*) FROM jobs WHERE finished_ms IS NULL";
    assert_eq!(house.number(unfinished).await, 3);
    house.queue.delete("grey", Which::All).await.unwrap();
    assert!(house.try_put("grey", "in/b", "x").await.is_ok());
}

#[tokio::test]
async fn a_report_tells_how_long_a_job_waited_and_what_it_made() {
    let house = House::new(calm()).await;
    house.service("grey", |_| ()).await;
    let name = house.put("grey", "in/a", "x").await.remove(0);
    tokio::time::sleep(Duration::from_millis(30)).await;
    let agent = house.agent("pi", 1).await;
    let lease = agent.lease(&house).await;
    let outputs = (0..120).map(|number| output("grey", &format!("out/{number:03}"), "y"));
    agent
        .succeed(&house, &lease.attempt, outputs.collect())
        .await;
    let job = house.job(&name).await;
    assert!(job.queued_us >= 30_000, "{}", job.queued_us);
    assert_eq!((job.outputs.len(), job.output_count), (100, 120));
    assert_eq!(job.outputs[0], "grey/out/000");
}

#[tokio::test]
async fn a_follower_sees_the_live_log_and_then_the_rest() {
    let house = House::new(quick()).await;
    house.service("grey", |_| ()).await;
    let name = house.put("grey", "in/a", "x").await.remove(0);
    let agent = house.agent("pi", 1).await;
    let lease = agent.lease(&house).await;
    let path = format!("/spillway/v1/jobs/{name}/log?follow=true");
    let follower = house.send(Method::GET, &path, "", Vec::new());
    let work = async {
        house
            .queue
            .live()
            .append(&lease.attempt, 0, &"2026-01-01T00:00:00Z att".into())
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        agent.succeed(&house, &lease.attempt, Vec::new()).await
    };
    let ((_, log), _) = tokio::time::timeout(Duration::from_secs(10), async {
        futures::join!(follower, work)
    })
    .await
    .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&log),
        "2026-01-01T00:00:00Z attempt 1\n"
    );
}
