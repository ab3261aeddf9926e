//! What a start and a run cost beside their floors, in one run: `cargo test -p spillway-agent --test runtime speed
//! -- --ignored --nocapture`. Prints, and asserts nothing: the machine may be busy.
#![allow(clippy::print_stdout)] // It is a report.

use std::process::Command;
use std::time::{Duration, Instant};

use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::RemoveContainerOptionsBuilder;
use spillway_model::wire::supervisor::Invocation;
use tokio::sync::mpsc;

use crate::engine::{IMAGE, Node, service};

const COLD: usize = 15;
const WARM: usize = 300;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement, not a test"]
async fn starts_and_runs_beside_their_floors() {
    let node = Node::start().await;
    let cold = service("cold", ":", |service| {
        service.edge.as_mut().unwrap().reuse = Some(false);
    });
    node.once(&cold).await; // Folders, holder and caches are there from here on.
    let (mut default, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..COLD {
        default.push(docker_default(&node).await);
        let begun = Instant::now();
        let member = node.runtime.claim(&cold).await.unwrap();
        ours.push(begun.elapsed());
        member.release().await;
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    let warm = service("warm", ":", |_| ());
    node.once(&warm).await;
    let (mut fork, mut runs) = (Vec::new(), Vec::new());
    for number in 0..WARM {
        let begun = Instant::now();
        Command::new("/bin/busybox")
            .args(["sh", "-c", ":"])
            .status()
            .unwrap();
        fork.push(begun.elapsed());
        let begun = Instant::now();
        let mut member = node.runtime.claim(&warm).await.unwrap();
        let invocation = Invocation {
            id: number.to_string(),
            script: "/oscar/config/script.sh".into(),
            stdin: None,
            environment: vec![],
            timeout_ms: 10_000,
            log_limit: 1024,
        };
        let (sender, _receiver) = mpsc::channel(1);
        member.run(&invocation, sender).await.unwrap();
        member.release().await;
        runs.push(begun.elapsed());
    }
    println!("Docker default, create + start   {}", summary(default));
    println!("claim of a new container         {}", summary(ours));
    println!("fork + exec + wait of busybox sh {}", summary(fork));
    println!("claim + run + release, warm      {}", summary(runs));
    println!("probe: {:?}", node.runtime.engine());
    node.stop().await;
}

async fn docker_default(node: &Node) -> Duration {
    let body = ContainerCreateBody {
        image: Some(IMAGE.clone()),
        cmd: Some(vec!["/bin/sleep".into(), "60".into()]),
        host_config: Some(HostConfig::default()),
        ..ContainerCreateBody::default()
    };
    let begun = Instant::now();
    let unnamed = None::<bollard::query_parameters::CreateContainerOptions>;
    let id = node
        .docker
        .create_container(unnamed, body)
        .await
        .unwrap()
        .id;
    node.docker.start_container(&id, None).await.unwrap();
    let taken = begun.elapsed();
    let options = RemoveContainerOptionsBuilder::new()
        .force(true)
        .v(true)
        .build();
    node.docker
        .remove_container(&id, Some(options))
        .await
        .unwrap();
    taken
}

fn summary(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |part: usize| times[(times.len() - 1) * part / 100].as_secs_f64() * 1000.0;
    format!(
        "p50 {:8.2} ms   p90 {:8.2} ms   p99 {:8.2} ms",
        at(50),
        at(90),
        at(99)
    )
}
