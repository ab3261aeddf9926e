//! Joining, heartbeats, the data folder, and the clean stop.

use std::time::Duration;

use spillway_agent::{Agent, Secret};
use spillway_model::wire::link::{Outcome, Wanted, WantedService};

use crate::gateway::Gateway;
use crate::node::{Node, config};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_says_what_it_has_and_how_it_fares() {
    let mut node = Node::start_with(|config| {
        config.labels = vec![("camera".to_owned(), "true".to_owned())];
        config.cpus = Some("1500m".parse().unwrap());
        config.memory = Some("512Mi".parse().unwrap());
    })
    .await;
    let join = node
        .gateway
        .until("a join", |known| known.joins.first().cloned())
        .await;
    assert_eq!(
        (join.node.as_str(), join.labels["camera"].as_str()),
        ("test-node", "true")
    );
    assert_eq!(
        (join.capacity.millicores, join.capacity.memory_bytes),
        (1500, 512 * 1024 * 1024)
    );
    assert!(join.running.is_empty() && !join.engine.version.is_empty());
    let beat = node
        .gateway
        .until("two heartbeats", |known| known.heartbeats.get(1).cloned())
        .await;
    assert!(
        beat.engine_ready && beat.usage.memory_bytes > 0 && beat.disk_free_bytes > 0,
        "{beat:?}"
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_agent_on_the_same_folder_is_refused_and_a_wrong_token_is_tried_on() {
    let mut node = Node::start().await;
    let error = Agent::start(config(&node.gateway, node.data.path()))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("in use by another agent"), "{error}");
    let data = tempfile::tempdir().unwrap();
    let mut wrong = config(&node.gateway, data.path());
    wrong.join_token = Some(Secret::from("wrong".to_owned()));
    wrong.node = Some("wrong-node".to_owned());
    let before = node.gateway.know().requests;
    let agent = Agent::start(wrong).await.unwrap();
    node.gateway
        .until("further tries", |known| {
            (known.requests > before + 3).then_some(())
        })
        .await;
    assert!(
        node.gateway
            .know()
            .joins
            .iter()
            .all(|join| join.node == "test-node")
    );
    agent.stop().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_hands_running_scripts_back_and_takes_no_more_than_its_grace() {
    let mut node = Node::start().await;
    let definition = node.service("echo started; sleep 60", |_| {});
    let attempt = node.grant(&definition, |_| {});
    node.gateway
        .until("a running script", |known| {
            known.live.get(&attempt).map(|_| ())
        })
        .await;
    node.stop().await;
    let end = node.gateway.completion(&attempt).await;
    assert!(
        matches!(end.outcome, Outcome::Interrupted { .. }),
        "{:?}",
        end.outcome
    );
    assert!(end.log.contains("Z started\n"), "{}", end.log);
    let label = format!("ancestor={}", node.image.0);
    let left = std::process::Command::new("docker")
        .args(["ps", "-aq", "--filter", &label])
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8(left.stdout).unwrap(),
        "",
        "containers are left"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_comes_later_is_joined() {
    let gateway = Gateway::start().await;
    gateway.know().down = true;
    let data = tempfile::tempdir().unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let agent = Agent::start(config(&gateway, data.path())).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    gateway.know().down = false;
    gateway
        .until("a join", |known| known.joins.first().map(|_| ()))
        .await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wanted_is_kept_warm() {
    let mut node = Node::start().await;
    let definition = node.service("true", |it| it.synchronous.min_scale = 1);
    let service = WantedService {
        name: "svc".to_owned(),
        revision: definition.revision,
        warm: 1,
        prefetch: false,
    };
    node.gateway.tell(|known| {
        known.wanted = Some(Wanted {
            version: 7,
            services: vec![service],
        });
    });
    let image = format!("ancestor={}", node.image.0);
    for _ in 0..500 {
        let running = std::process::Command::new("docker")
            .args(["ps", "-q", "--filter", &image])
            .output()
            .unwrap();
        if !running.stdout.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let attempt = node.grant(&definition, |_| {});
    let end = node.gateway.completion(&attempt).await;
    assert!(end.spans.warm, "{:?}", end.spans);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_at_rest_sends_heartbeats_and_one_poll_and_nothing_else() {
    let mut node = Node::start().await;
    node.gateway
        .until("a poll", |known| (known.polls > 0).then_some(()))
        .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (requests, beats, polls) = {
        let known = node.gateway.know();
        (known.requests, known.heartbeats.len() as u64, known.polls)
    };
    assert_eq!(polls, 1);
    assert!(beats <= 10, "{beats} heartbeats");
    assert!(
        requests <= beats + polls + 2,
        "{requests} requests: {beats} heartbeats and {polls} polls"
    );
    node.stop().await;
}
