//! How containers are kept, shared out, given up and taken over.

use std::sync::Arc;
use std::time::Duration;

use spillway_agent::runtime::{ClaimError, Runtime};
use spillway_model::wire::link::{Resources, ServiceDefinition, WantedService};

use crate::engine::{MIB, Node, PrivateEngine, run, service, until};

fn wanted(
    definition: &Arc<ServiceDefinition>,
    warm: u32,
) -> (WantedService, Option<Arc<ServiceDefinition>>) {
    let name = definition.service.name.clone();
    let wanted = WantedService {
        name,
        revision: definition.revision,
        warm,
        prefetch: false,
    };
    (wanted, Some(Arc::clone(definition)))
}

fn warm(node: &Node, service: &str) -> u32 {
    node.runtime.warm().get(service).copied().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_containers_make_room_for_others() {
    let capacity = Resources {
        millicores: 64_000,
        memory_bytes: 64 * MIB,
    };
    let node = Node::start_with(|settings| settings.capacity = capacity).await;
    let [a, b, c] = ["a", "b", "c"].map(|name| service(name, "true", |_| ()));
    node.once(&a).await;
    node.once(&b).await;
    assert!(!node.once(&c).await.0);
    assert_eq!(
        [warm(&node, "a"), warm(&node, "b"), warm(&node, "c")],
        [0, 1, 1]
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_waits_for_room_that_is_in_use() {
    let capacity = Resources {
        millicores: 64_000,
        memory_bytes: 40 * MIB,
    };
    let node = Node::start_with(|settings| settings.capacity = capacity).await;
    let [a, b] = ["a", "b"].map(|name| service(name, "true", |_| ()));
    let busy = node.runtime.claim(&a).await.unwrap();
    let runtime = node.runtime.clone();
    let waiting =
        tokio::spawn(async move { runtime.claim(&b).await.map(|member| member.was_warm()) });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!waiting.is_finished());
    drop(busy);
    assert!(!waiting.await.unwrap().unwrap());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_containers_are_kept_warm_as_are_wanted() {
    let node = Node::start_with(|settings| settings.idle = Duration::from_millis(300)).await;
    let a = service("a", "true", |_| ());
    node.runtime.keep(vec![wanted(&a, 2)]);
    until("two are warm", || async { warm(&node, "a") == 2 }).await;
    assert!(node.once(&a).await.0);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(warm(&node, "a"), 2);
    node.runtime.keep(vec![wanted(&a, 1)]);
    until("one is left", || async {
        warm(&node, "a") == 1 && node.members().await.len() == 1
    })
    .await;
    let newer = Arc::new(ServiceDefinition {
        revision: 2,
        ..(*a).clone()
    });
    node.runtime.keep(vec![wanted(&newer, 1)]);
    until("the new revision is warm", || async {
        warm(&node, "a") == 1 && node.members().await.len() == 1
    })
    .await;
    assert!(node.once(&newer).await.0);
    node.runtime.keep(vec![]);
    until("none is left", || async { node.members().await.is_empty() }).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_without_reuse_gets_a_new_container_for_each_run() {
    let node = Node::start().await;
    let once = service("once", "true", |service| {
        service.edge.as_mut().unwrap().reuse = Some(false);
    });
    assert!(!node.once(&once).await.0);
    assert!(!node.once(&once).await.0);
    until("they are removed", || async {
        node.members().await.is_empty()
    })
    .await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_is_killed_is_replaced_and_its_members_with_it() {
    let node = Node::start().await;
    let a = service("a", "true", |_| ());
    node.once(&a).await;
    let holder = node.holders().await.remove(0);
    node.docker.kill_container(&holder, None).await.unwrap();
    until("its member is gone", || async { warm(&node, "a") == 0 }).await;
    let (warm, end, _) = node.once(&a).await;
    assert_eq!((warm, end.exited.code), (false, Some(0)));
    assert_ne!(node.holders().await, [holder]);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_process_takes_the_idle_over_and_removes_the_busy() {
    let mut node = Node::start().await;
    node.runtime.stop().await;
    let [a, b] = ["a", "b"].map(|name| service(name, "sleep $SECONDS_TO_SLEEP", |_| ()));
    // A process that dies: its own executor, which is dropped with all its tasks.
    let (settings, first) = (node.settings.clone(), Arc::clone(&a));
    std::thread::spawn(move || {
        let executor = tokio::runtime::Runtime::new().unwrap();
        executor.block_on(async {
            let runtime = Runtime::start(settings).await.unwrap();
            let mut idle = runtime.claim(&first).await.unwrap();
            run(&mut idle, 10_000).await.0.unwrap();
            idle.release().await;
            let busy = runtime.claim(&b).await.unwrap();
            std::fs::create_dir(busy.folder().join("run-7")).unwrap();
            std::mem::forget(busy);
            // Long enough for the idle one to be frozen.
            tokio::time::sleep(Duration::from_secs(9)).await;
        });
        executor.shutdown_background();
    })
    .join()
    .unwrap();
    assert_eq!(node.members().await.len(), 2);
    node.runtime = Runtime::start(node.settings.clone()).await.unwrap();
    assert_eq!([warm(&node, "a"), warm(&node, "b")], [1, 0]);
    assert_eq!(node.members().await.len(), 1);
    assert!(node.once(&a).await.0);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_what_is_running() {
    let node = Node::start().await;
    let slow = service("slow", "sleep 60", |_| ());
    let mut member = node.runtime.claim(&slow).await.unwrap();
    let running = tokio::spawn(async move { run(&mut member, 0).await.0.map(|_| ()) });
    tokio::time::sleep(Duration::from_millis(300)).await;
    node.stop().await;
    assert!(running.await.unwrap().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_restarts_interrupts_runs_and_is_used_again() {
    let mut engine = PrivateEngine::start().await;
    let node = Node::start_on_private(&engine).await;
    let [idle, busy] = ["idle", "busy"]
        .map(|name| service(name, "[ $OSCAR_SERVICE_NAME = idle ] || sleep 60", |_| ()));
    node.once(&idle).await;
    let mut member = node.runtime.claim(&busy).await.unwrap();
    let running = tokio::spawn(async move {
        let end = run(&mut member, 0).await.0;
        member.release().await;
        end
    });
    // Long enough for the idle one to be frozen.
    tokio::time::sleep(Duration::from_secs(6)).await;
    tokio::task::block_in_place(|| engine.end());
    let end = running.await.unwrap();
    assert!(matches!(end, Err(ClaimError::Interrupted(_))), "{end:?}");
    until("it is seen away", || async { !node.runtime.ready() }).await;
    assert!(matches!(
        node.runtime.claim(&idle).await,
        Err(ClaimError::Interrupted(_))
    ));
    engine.begin().await;
    until("it is seen back", || async { node.runtime.ready() }).await;
    let (_, end, _) = node.once(&idle).await;
    assert_eq!(end.exited.code, Some(0));
    until("the dead are removed", || async {
        node.members().await.len() == 1
    })
    .await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_holder_image_of_a_former_supervisor_goes_with_the_next_start() {
    let engine = PrivateEngine::start().await;
    let mut node = Node::start_on_private(&engine).await;
    let before = node.holder_images().await;
    assert_eq!(before.len(), 1, "{before:?}");
    node.runtime.stop().await;
    // An update: the same program with other bytes.
    let updated = node.settings.data.join("updated-supervisor");
    let mut binary = std::fs::read(&node.settings.supervisor).unwrap();
    binary.extend_from_slice(b"newer");
    std::fs::write(&updated, binary).unwrap();
    node.settings.supervisor = updated;
    node.runtime = Runtime::start(node.settings.clone()).await.unwrap();
    let after = node.holder_images().await;
    assert_eq!(after.len(), 1, "{after:?}");
    assert_ne!(after, before);
    node.stop().await;
}
