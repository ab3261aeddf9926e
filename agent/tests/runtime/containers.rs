//! What a script finds in its container, and how its end is told.

use std::time::Duration;

use spillway_agent::runtime::ClaimError;
use spillway_model::wire::link::FailureReason;

use crate::engine::{IMAGE, Node, USER_IMAGE, run, service, until};

#[tokio::test(flavor = "multi_thread")]
async fn the_first_run_is_cold_and_the_second_is_warm() {
    let node = Node::start().await;
    let plants = service(
        "plants",
        "echo hello from $OSCAR_SERVICE_NAME on $RESOURCE_ID; echo oops >&2",
        |_| (),
    );
    let (warm, end, output) = node.once(&plants).await;
    assert!(!warm);
    assert_eq!(end.exited.code, Some(0));
    assert!(
        output.contains("hello from plants on test-node\n") && output.contains("oops\n"),
        "{output}"
    );
    assert!(end.peak_memory_bytes > 0);
    let (warm, end, _) = node.once(&plants).await;
    assert!(warm);
    assert_eq!(end.exited.code, Some(0));
    let other = service("other", "exit 7", |_| ());
    let (warm, end, _) = node.once(&other).await;
    assert_eq!((warm, end.exited.code), (false, Some(7)));
    assert_eq!(
        node.runtime.warm().into_iter().collect::<Vec<_>>(),
        [("other".into(), 1), ("plants".into(), 1)]
    );
    assert_eq!(node.holders().await.len(), 1, "both joined one holder");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_container_is_thawed_for_its_next_run() {
    let node = Node::start().await;
    let plants = service("plants", "echo awake", |_| ());
    node.once(&plants).await;
    let state = || async {
        let id = node.members().await.remove(0);
        let v1 =
            std::fs::read_to_string(format!("/sys/fs/cgroup/freezer/docker/{id}/freezer.state"));
        let v2 = std::fs::read_to_string(format!("/sys/fs/cgroup/docker/{id}/cgroup.freeze"));
        v1.or(v2)
            .is_ok_and(|state| ["FROZEN", "1"].contains(&state.trim()))
    };
    until("it is frozen", state).await;
    let (warm, _, output) = node.once(&plants).await;
    assert_eq!((warm, output.as_str()), (true, "awake\n"));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_images_user_folder_and_variables_stay_and_nothing_is_privileged() {
    let node = Node::start().await;
    let script = "id -u; echo $PWD $FROM_IMAGE; echo x >$TMP_OUTPUT_DIR/x && echo written; \
                  touch /oscar/x 2>/dev/null || echo refused; cat /proc/self/status";
    let (_, end, output) = node
        .once(&service("user", script, |service| {
            service.image = USER_IMAGE.clone();
        }))
        .await;
    assert_eq!(end.exited.code, Some(0), "{output}");
    assert!(
        output.starts_with("65534\n/home yes\nwritten\nrefused\n"),
        "{output}"
    );
    assert!(
        output.contains("CapEff:\t0000000000000000") && output.contains("NoNewPrivs:\t1"),
        "{output}"
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_root_can_be_asked_for() {
    let node = Node::start().await;
    let script = "touch /x 2>/dev/null && echo writable || echo read-only";
    let (_, _, output) = node.once(&service("writable", script, |_| ())).await;
    assert_eq!(output, "writable\n");
    let closed = service("closed", script, |service| {
        service.edge.as_mut().unwrap().read_only = Some(true);
    });
    assert_eq!(node.once(&closed).await.2, "read-only\n");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_without_network_has_loopback_only() {
    let node = Node::start().await;
    let closed = service("closed", "ls /sys/class/net", |service| {
        service.edge.as_mut().unwrap().network = Some("none".into());
    });
    assert_eq!(node.once(&closed).await.2.trim(), "lo");
    assert!(
        node.once(&service("open", "ls /sys/class/net", |_| ()))
            .await
            .2
            .contains("eth0")
    );
    assert_eq!(node.holders().await.len(), 2, "they share no holder");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn want_of_memory_is_told_and_the_container_is_not_used_again() {
    let node = Node::start().await;
    let greedy = service("greedy", "head -c 100000000 /dev/zero | tail", |_| ());
    let mut member = node.runtime.claim(&greedy).await.unwrap();
    let (end, output) = run(&mut member, 20_000).await;
    match end {
        Ok(end) => assert!(end.out_of_memory, "{end:?} {output}"),
        Err(error) => assert!(matches!(
            error,
            ClaimError::Failed {
                reason: FailureReason::OutOfMemory,
                ..
            }
        )),
    }
    member.release().await;
    assert!(!node.once(&service("greedy", "true", |_| ())).await.0);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_takes_too_long_is_ended() {
    let node = Node::start().await;
    let slow = service("slow", "sleep 60", |_| ());
    let mut member = node.runtime.claim(&slow).await.unwrap();
    let (end, _) = run(&mut member, 300).await;
    assert!(end.unwrap().exited.timed_out);
    member.release().await;
    assert!(node.runtime.warm().is_empty());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_future_is_dropped_is_killed() {
    let node = Node::start().await;
    let slow = service("slow", "sleep 60", |_| ());
    let mut member = node.runtime.claim(&slow).await.unwrap();
    assert!(
        tokio::time::timeout(Duration::from_millis(300), run(&mut member, 0))
            .await
            .is_err()
    );
    drop(member);
    until("it is removed", || async {
        node.members().await.is_empty()
    })
    .await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_is_removed_under_a_run_is_an_interruption() {
    let node = Node::start().await;
    let slow = service("slow", "sleep 60", |_| ());
    let mut member = node.runtime.claim(&slow).await.unwrap();
    let id = node.members().await.remove(0);
    let (docker, remove) = (node.docker.clone(), id.clone());
    let remover = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let options = bollard::query_parameters::RemoveContainerOptionsBuilder::new()
            .force(true)
            .build();
        docker
            .remove_container(&remove, Some(options))
            .await
            .unwrap();
    });
    let (end, _) = run(&mut member, 0).await;
    assert!(matches!(end, Err(ClaimError::Interrupted(_))), "{end:?}");
    remover.await.unwrap();
    member.release().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_cannot_be_had_is_told_as_such() {
    let node = Node::start().await;
    let missing = service("missing", "true", |service| {
        service.image = "localhost:1/no/such:image".into();
    });
    let (one, two) = tokio::join!(node.runtime.claim(&missing), node.runtime.claim(&missing));
    for error in [one.unwrap_err(), two.unwrap_err()] {
        let ClaimError::Failed { reason, message } = error else {
            panic!("{error}")
        };
        assert_eq!(reason, FailureReason::ImageMissing);
        assert!(message.contains("localhost:1/no/such:image"), "{message}");
    }
    assert!(node.runtime.pulls().is_empty());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_is_not_there_is_the_services_failure() {
    let node = Node::start().await;
    let camera = service("camera", "true", |service| {
        service.image = IMAGE.clone();
        service.edge.as_mut().unwrap().devices = vec!["/dev/no-such-camera".into()];
    });
    let error = node.runtime.claim(&camera).await.unwrap_err();
    assert!(
        matches!(&error, ClaimError::Failed { reason: FailureReason::ContainerStart, message } if message.contains("no-such-camera")),
        "{error:?}"
    );
    node.stop().await;
}
