//! Power cuts and restarts: the house is rebuilt from the files as they were at that moment.

use axum::http::StatusCode;
use spillway_model::report::JobState;

use super::house::{House, calm, output, quick};

#[tokio::test]
async fn an_accepted_job_survives_and_its_forgotten_first_grant_is_not_confused_with_the_next() {
    let house = House::new(calm()).await;
    house.service("grey", |_| ()).await;
    let name = house.put("grey", "in/a", "x").await.remove(0);
    let before = house.agent("before", 1).await;
    let forgotten = before.lease(&house).await;
    // The grant was to be recorded within a second: now it never is.
    let house = house.crash().await;
    assert_eq!(house.job(&name).await.state, JobState::Queued);
    let after = house.agent("after", 1).await;
    let lease = after.lease(&house).await;
    assert_eq!(lease.attempt.attempt, 2);
    let late = before
        .succeed(
            &house,
            &forgotten.attempt,
            vec![output("grey", "out/a", "late")],
        )
        .await;
    assert_eq!(late, StatusCode::GONE);
    assert_eq!(
        after
            .succeed(
                &house,
                &lease.attempt,
                vec![output("grey", "out/a", "good")]
            )
            .await,
        StatusCode::OK
    );
    assert_eq!(house.object("grey", "out/a").await.as_deref(), Some("good"));
}

#[tokio::test]
async fn the_holder_of_a_forgotten_grant_may_deliver_as_long_as_nobody_else_was_granted_the_job() {
    let house = House::new(calm()).await;
    house.service("grey", |_| ()).await;
    let name = house.put("grey", "in/a", "x").await.remove(0);
    let agent = house.agent("pi", 1).await;
    let lease = agent.lease(&house).await;
    let house = house.crash().await;
    assert!(
        agent
            .heartbeat(&house, std::slice::from_ref(&lease.attempt))
            .await
            .is_empty()
    );
    assert_eq!(house.job(&name).await.state, JobState::Leased);
    let house = house.crash().await;
    assert!(
        house
            .agent("other", 1)
            .await
            .poll(&house, 1, 50)
            .await
            .leases
            .is_empty()
    );
    assert_eq!(
        agent.succeed(&house, &lease.attempt, Vec::new()).await,
        StatusCode::OK
    );
    assert_eq!(house.job(&name).await.state, JobState::Succeeded);
}

#[tokio::test]
async fn a_recorded_lease_outlives_a_restart_and_lapses_when_nobody_names_it() {
    let house = House::new(quick()).await;
    house.service("grey", |_| ()).await;
    let name = house.put("grey", "in/a", "x").await.remove(0);
    let agent = house.agent("pi", 1).await;
    let first = agent.lease(&house).await;
    assert_eq!(
        agent.interrupt(&house, &first.attempt).await,
        StatusCode::OK
    );
    let second = agent.lease(&house).await; // Recorded before it was sent.
    let house = house.crash().await;
    let other = house.agent("other", 1).await;
    assert_eq!(house.job(&name).await.state, JobState::Leased);
    let third = other.lease(&house).await; // After the lease time.
    assert_eq!(third.attempt.attempt, 3);
    assert_eq!(
        agent.succeed(&house, &second.attempt, Vec::new()).await,
        StatusCode::GONE
    );
    assert_eq!(
        other.succeed(&house, &third.attempt, Vec::new()).await,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_completion_that_was_acknowledged_is_there_after_a_power_cut_and_may_be_repeated() {
    let house = House::new(calm()).await;
    house.service("first", |_| ()).await;
    house.service("second", |_| ()).await;
    house.put("first", "in/a", "x").await;
    let agent = house.agent("pi", 1).await;
    let lease = agent.lease(&house).await;
    agent
        .succeed(&house, &lease.attempt, vec![output("second", "in/b", "y")])
        .await;
    let house = house.crash().await;
    assert_eq!(house.object("second", "in/b").await.as_deref(), Some("y"));
    assert_eq!(
        agent
            .succeed(&house, &lease.attempt, vec![output("second", "in/b", "y")])
            .await,
        StatusCode::OK
    );
    assert_eq!(house.number("SELECT count(*) FROM jobs").await, 2);
    assert_eq!(agent.lease(&house).await.service, "second");
}

#[tokio::test]
async fn back_off_goes_on_after_a_restart() {
    let house = House::new(quick()).await;
    house.service("grey", |_| ()).await;
    house.put("grey", "in/a", "x").await;
    let agent = house.agent("pi", 1).await;
    let lease = agent.lease(&house).await;
    agent.fail(&house, &lease.attempt).await;
    let house = house.crash().await;
    assert_eq!(agent.lease(&house).await.attempt.attempt, 2);
}
