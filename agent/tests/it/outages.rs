//! The gateway fails in every way it can.

use std::time::Duration;

use spillway_model::wire::link::Outcome;

use crate::node::Node;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_run_is_kept_while_the_gateway_is_away() {
    let mut node = Node::start().await;
    let definition = node.service(
        "sleep 1; head -c 100000 /dev/zero > $TMP_OUTPUT_DIR/large; echo x > $TMP_OUTPUT_DIR/small",
        |_| {},
    );
    let attempt = node.grant(&definition, |_| {});
    node.gateway
        .until("the run", |known| {
            known
                .heartbeats
                .last()?
                .running
                .contains(&attempt)
                .then_some(())
        })
        .await;
    node.gateway.know().down = true;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(node.gateway.know().completions.is_empty());
    node.gateway.know().down = false;
    let end = node.gateway.completion(&attempt).await;
    assert_eq!(end.outcome, Outcome::Succeeded, "{}", end.log);
    assert_eq!(end.outputs.len(), 2);
    node.stop().await;
    assert!(node.left_in("outbox").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_gateway_is_joined_again_with_what_runs() {
    let mut node = Node::start().await;
    let definition = node.service("sleep 2; echo done", |_| {});
    let attempt = node.grant(&definition, |_| {});
    node.gateway
        .until("the run", |known| {
            known
                .heartbeats
                .last()?
                .running
                .contains(&attempt)
                .then_some(())
        })
        .await;
    node.gateway.restart();
    let join = node
        .gateway
        .until("the second join", |known| known.joins.get(1).cloned())
        .await;
    assert_eq!(join.running, std::slice::from_ref(&attempt));
    let end = node.gateway.completion(&attempt).await;
    assert_eq!(end.outcome, Outcome::Succeeded, "{}", end.log);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attempts_that_are_lost_are_killed_and_not_reported() {
    let mut node = Node::start().await;
    let definition = node.service("echo started; sleep 60", |_| {});
    for way in ["heartbeat", "poll", "410"] {
        let attempt = node.grant(&definition, |_| {});
        node.gateway
            .until("a running script", |known| {
                known.live.get(&attempt).map(|_| ())
            })
            .await;
        let lost = attempt.clone();
        match way {
            "heartbeat" => node.gateway.know().lost.push(lost),
            "poll" => node.gateway.tell(|known| known.cancelled.push(lost)),
            _ => {
                node.gateway.know().gone.insert(lost);
                // Only a request that names the attempt can learn of it.
                node.gateway.know().lost.push(attempt.clone());
            }
        }
        node.gateway
            .until("the end", |known| {
                (!known.heartbeats.last()?.running.contains(&attempt)).then_some(())
            })
            .await;
        assert!(node.gateway.know().completions.is_empty(), "by {way}");
    }
    let image = format!("ancestor={}", node.image.0);
    for _ in 0..200 {
        let running = std::process::Command::new("docker")
            .args(["ps", "-q", "--filter", &image])
            .output()
            .unwrap();
        if running.stdout.is_empty() {
            node.stop().await;
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("a container of a lost attempt goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_410_while_the_log_is_shown_ends_the_run() {
    let mut node = Node::start().await;
    let definition = node.service(
        "i=0; while [ $i -lt 600 ]; do echo $i; sleep 0.1; i=$((i+1)); done",
        |_| {},
    );
    let attempt = node.grant(&definition, |_| {});
    node.gateway
        .until("a running script", |known| {
            known.live.get(&attempt).map(|_| ())
        })
        .await;
    node.gateway.know().gone.insert(attempt.clone());
    node.gateway
        .until("the end", |known| {
            (!known.heartbeats.last()?.running.contains(&attempt)).then_some(())
        })
        .await;
    assert!(node.gateway.know().completions.is_empty());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_of_an_attempt_that_was_given_to_another_are_dropped() {
    let mut node = Node::start().await;
    let definition = node.service("sleep 1", |_| {});
    let attempt = node.grant(&definition, |_| {});
    node.gateway.know().gone.insert(attempt.clone());
    node.gateway
        .until("the run", |known| {
            known
                .heartbeats
                .last()?
                .running
                .contains(&attempt)
                .then_some(())
        })
        .await;
    node.gateway
        .until("the end", |known| {
            known.heartbeats.last()?.running.is_empty().then_some(())
        })
        .await;
    assert!(node.gateway.know().completions.is_empty());
    assert!(node.left_in("outbox").is_empty() && node.left_in("staging").is_empty());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_gateway_only_makes_things_slow() {
    let mut node = Node::start().await;
    node.gateway.know().slow = Duration::from_millis(400);
    let definition = node.service("echo x > $TMP_OUTPUT_DIR/y", |_| {});
    for _ in 0..3 {
        let attempt = node.grant(&definition, |_| {});
        assert_eq!(
            node.gateway.completion(&attempt).await.outcome,
            Outcome::Succeeded
        );
    }
    node.stop().await;
}
