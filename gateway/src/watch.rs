//! Folders of storages elsewhere that are inputs: whatever comes new into them starts a job.
//!
//! Where the store tells of new objects (`MinIO`'s notifications by listening), it is listened to; everywhere, the folder
//! is listed from time to time. What was seen is in the database: a version of a file starts one job, in the
//! transaction that marks it as seen, with the bytes of exactly this version. What was in the folder before the service
//! was made starts none.

mod folder;
mod known;
mod rows;
mod take;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use spillway_model::service::{Service, StorageIo, split_provider};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::providers::Providers;
use crate::queue::{Entry, Queue};
use crate::store::StoreError;
use folder::Folder;

pub(crate) use rows::attach;

/// Annotation of a service: `off` leaves its folders alone; what comes then comes by events.
const SWITCH: &str = "spillway/watch";

/// Annotation of a service: `process` starts jobs for what is in the folders already.
const EXISTING: &str = "spillway/existing-files";

/// After the database did not answer.
const BREATH: Duration = Duration::from_secs(5);

/// Folders that are listed or fetched from at the same time.
const AT_ONCE: usize = 4;

/// What all folders share.
#[derive(Debug)]
struct Shared {
    queue: Queue,
    providers: Providers,
    /// Between two looks into a folder.
    interval: Duration,
    room: Semaphore,
}

/// A folder that is being watched.
struct Watcher {
    /// What it was started with: another definition starts another one.
    made_of: Arc<Entry>,
    stop: CancellationToken,
}

/// Starts to watch; ends when `stop` says so.
pub(crate) fn start(
    queue: Queue,
    providers: Providers,
    interval: Duration,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) {
    let shared = Shared {
        queue,
        providers,
        interval,
        room: Semaphore::new(AT_ONCE),
    };
    tasks.spawn(run(Arc::new(shared), stop.clone()));
}

async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    let mut services = shared.queue.catalog_changes();
    let mut watchers: HashMap<i64, Watcher> = HashMap::new();
    let mut tasks: JoinSet<()> = JoinSet::new();
    loop {
        services.mark_unchanged();
        let settled = settle(&shared, &mut watchers, &mut tasks, &stop).await;
        while tasks.try_join_next().is_some() {}
        let pause = async {
            if settled.is_err() {
                tokio::time::sleep(BREATH).await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            changed = services.changed() => if changed.is_err() { break },
            () = pause => (),
        }
    }
    tasks.shutdown().await;
}

/// Starts and stops watchers, as the services are now.
async fn settle(
    shared: &Arc<Shared>,
    watchers: &mut HashMap<i64, Watcher>,
    tasks: &mut JoinSet<()>,
    stop: &CancellationToken,
) -> Result<(), StoreError> {
    let found = shared.queue.store().read(rows::list).await;
    let found = found.inspect_err(|error| warn!(%error, "reading which folders to watch"))?;
    let wanted: Vec<(rows::Watch, Arc<Entry>, StorageIo)> = found
        .into_iter()
        .filter_map(|watch| {
            let entry = shared.queue.definition(&watch.service)?;
            let io = inputs(&entry.service)
                .find(|io| place(&entry.service, io) == watch.place)?
                .clone();
            Some((watch, entry, io))
        })
        .collect();
    watchers.retain(|id, watcher| {
        let stays = wanted.iter().any(|(watch, entry, _)| {
            watch.id == *id && is_same(&watcher.made_of.service, &entry.service)
        });
        if !stays {
            watcher.stop.cancel();
        }
        stays
    });
    for (watch, entry, io) in wanted {
        if watchers.contains_key(&watch.id) {
            continue;
        }
        let provider = provider(&io);
        let client = match shared.providers.client(&entry.service, &provider) {
            Ok(client) => client,
            Err(error) => {
                warn!(service.name = %entry.name, provider, %error, "its input is not watched");
                continue;
            }
        };
        info!(service.name = %entry.name, provider, path = %io.path, "watching");
        let token = stop.child_token();
        let watcher = Watcher {
            made_of: Arc::clone(&entry),
            stop: token.clone(),
        };
        watchers.insert(watch.id, watcher);
        let folder = Folder::new(Arc::clone(shared), watch, entry, provider, client, &io);
        tasks.spawn(async move {
            // What moves is broken off; nothing was promised for it yet.
            let _ = token.run_until_cancelled(folder.run()).await;
        });
    }
    Ok(())
}

/// As far as watching is concerned.
fn is_same(one: &Service, other: &Service) -> bool {
    (&one.storage_providers, &one.input, &one.owner)
        == (&other.storage_providers, &other.input, &other.owner)
}

/// Inputs to be watched.
fn inputs(service: &Service) -> impl Iterator<Item = &StorageIo> {
    let is_on = service
        .annotations
        .get(SWITCH)
        .is_none_or(|switch| !switch.eq_ignore_ascii_case("off"));
    service.input.iter().filter(move |io| {
        let (kind, _) = io.provider();
        is_on && matches!(kind, "minio" | "s3" | "webdav") && !service.is_built_in(io)
    })
}

fn provider(io: &StorageIo) -> String {
    let (kind, id) = io.provider();
    format!("{kind}.{id}")
}

/// What a folder is told by: with another address it is another folder.
fn place(service: &Service, io: &StorageIo) -> String {
    let name = provider(io);
    let (kind, id) = split_provider(&name);
    let providers = &service.storage_providers;
    let address = match kind {
        "minio" => providers.minio.get(id).map(|it| it.endpoint.as_str()),
        "s3" => providers.s3.get(id).map(|it| it.region.as_str()),
        _ => providers.webdav.get(id).map(|it| it.hostname.as_str()),
    };
    format!("{name}\n{}\n{}", address.unwrap_or_default(), io.path)
}
