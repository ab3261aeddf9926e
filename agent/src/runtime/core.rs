//! What all parts of the runtime share.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bollard::query_parameters::{ListContainersOptionsBuilder, RemoveContainerOptionsBuilder};
use spillway_model::wire::link::ServiceDefinition;
use tokio::runtime::Handle;
use tokio::sync::{Notify, RwLock, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::container::Live;
use super::engine::{EngineClient, EngineError};
use super::folders::Folders;
use super::holder::Holders;
use super::image::Images;
use super::keep::Wish;
use super::plan::Plan;
use super::pool::{Grant, Moves, Pool, SlotId};
use super::process::Process;
use super::{ClaimError, RuntimeSettings, labels};

/// Containers that are started at the same time; more only take the processor from each other.
pub(crate) const STARTS: usize = 8;

/// Containers that are removed at the same time.
const REMOVALS: usize = 8;

/// A removal that fails is tried so often, with a pause in between, before the next sweep gets it.
const REMOVE_TRIES: u32 = 3;
const REMOVE_PAUSE: Duration = Duration::from_millis(500);

/// A clean stop takes no longer than this, and two calls of the engine.
const STOP: Duration = Duration::from_secs(20);

/// Plans are kept for so many services.
const MAX_PLANS: usize = 1024;

/// State and handles of the runtime.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) settings: RuntimeSettings,
    pub(crate) engine: Arc<EngineClient>,
    pub(crate) folders: Folders,
    pub(crate) images: Arc<Images>,
    pub(crate) holders: Holders,
    pool: Mutex<Pool<Live>>,
    pub(crate) wishes: Mutex<Option<Vec<Wish>>>,
    plans: Mutex<HashMap<String, Arc<Plan>>>,
    /// Containers and folders that are in use: a sweep leaves them alone.
    known: Mutex<HashMap<PathBuf, Known>>,
    /// Held for reading while folders are made, for writing while those that nobody uses are removed.
    pub(crate) folders_in_motion: RwLock<()>,
    /// Something may be left over that nobody knows of.
    pub(crate) sweep_wanted: AtomicBool,
    /// Wakes the reconciler; carries nothing.
    pub(crate) changed: Notify,
    pub(crate) starts: Semaphore,
    removals: Arc<Semaphore>,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
    executor: Handle,
}

/// What is known of the container that has a folder.
#[derive(Debug)]
struct Known {
    /// Folder of its service's revision.
    service: PathBuf,
    /// Process 1, once it runs.
    process: Option<Arc<Process>>,
}

impl Core {
    pub(crate) fn new(
        settings: RuntimeSettings,
        engine: Arc<EngineClient>,
        folders: Folders,
    ) -> Self {
        Self {
            pool: Mutex::new(Pool::new(settings.capacity)),
            settings,
            engine,
            folders,
            images: Arc::default(),
            holders: Holders::default(),
            wishes: Mutex::default(),
            plans: Mutex::default(),
            known: Mutex::default(),
            folders_in_motion: RwLock::default(),
            sweep_wanted: AtomicBool::new(false),
            changed: Notify::new(),
            starts: Semaphore::new(STARTS),
            removals: Arc::new(Semaphore::new(REMOVALS)),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            executor: Handle::current(),
        }
    }

    /// The plan of a definition, from memory where it is the same as last time.
    pub(crate) fn plan(
        &self,
        definition: &Arc<ServiceDefinition>,
    ) -> Result<Arc<Plan>, ClaimError> {
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plan) = plans.get(&definition.service.name)
            && (Arc::ptr_eq(&plan.definition, definition) || plan.definition == *definition)
        {
            return Ok(Arc::clone(plan));
        }
        let plan = Arc::new(Plan::of(
            definition,
            &self.folders.services,
            &self.folders.supervisor_digest,
        )?);
        if plans.len() >= MAX_PLANS {
            plans.clear();
        }
        plans.insert(definition.service.name.clone(), Arc::clone(&plan));
        Ok(plan)
    }

    /// Forgets the plans of services that are not in `names`.
    pub(crate) fn keep_plans(&self, names: &BTreeMap<String, u64>) {
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        plans.retain(|name, _| names.contains_key(name));
    }

    /// The book of the pool. Never held while anything else is done.
    pub(crate) fn pool(&self) -> MutexGuard<'_, Pool<Live>> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the book and carries out what follows.
    pub(crate) fn book(self: &Arc<Self>, change: impl FnOnce(&mut Pool<Live>) -> Moves<Live>) {
        let moves = change(&mut self.pool());
        self.carry_out(moves);
    }

    /// Hands containers out and removes the evicted.
    pub(crate) fn carry_out(self: &Arc<Self>, moves: Moves<Live>) {
        // Their memory is free before somebody starts to use it.
        for live in moves.evicted {
            self.end(live);
        }
        for (reply, grant) in moves.granted {
            if let Err(grant) = reply.send(grant) {
                self.give_back(grant);
            }
        }
    }

    /// A grant that nobody wants any more.
    pub(crate) fn give_back(self: &Arc<Self>, grant: Grant<Live>) {
        self.book(|pool| match grant.container {
            Some(live) => pool.rest(grant.slot, live),
            None => pool.free(grant.slot),
        });
    }

    /// Ends a container and frees its slot.
    pub(crate) fn retire(self: &Arc<Self>, slot: SlotId, live: Option<Live>) {
        if let Some(live) = live {
            self.end(live);
        }
        self.book(|pool| pool.free(slot));
        self.changed.notify_one();
    }

    /// Notes that a container uses these folders, and its process once there is one.
    pub(crate) fn know(&self, folder: &Path, service: &Path, process: Option<Arc<Process>>) {
        self.known().insert(
            folder.to_owned(),
            Known {
                service: service.to_owned(),
                process,
            },
        );
    }

    fn known(&self) -> MutexGuard<'_, HashMap<PathBuf, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Kills a container at once and removes it in the background.
    pub(crate) fn end(self: &Arc<Self>, mut live: Live) {
        live.kill();
        self.remove_member(Some(live.container), live.folder);
    }

    /// Kills everything that runs; for the end.
    pub(crate) fn kill_all(&self) {
        self.known()
            .values()
            .filter_map(|known| known.process.as_ref())
            .for_each(|process| process.kill());
    }

    /// Kills and removes a container; returns when it is gone.
    pub(crate) async fn end_now(&self, mut live: Live) {
        live.kill();
        self.remove_now(&live.container).await;
        self.forget_folder(live.folder).await;
    }

    async fn forget_folder(&self, folder: PathBuf) {
        if let Err(error) = self.folders.remove(folder.clone()).await {
            warn!(%error, "cannot remove {}", folder.display());
        }
        self.known().remove(&folder);
    }

    /// Removes a container and its folder in the background.
    pub(crate) fn remove_member(self: &Arc<Self>, container: Option<String>, folder: PathBuf) {
        let core = Arc::clone(self);
        self.tasks.spawn_on(
            async move {
                if let Some(container) = container {
                    core.remove_now(&container).await;
                }
                core.forget_folder(folder).await;
            },
            &self.executor,
        );
    }

    /// Removes a container without folder in the background.
    pub(crate) fn remove_container(self: &Arc<Self>, container: String) {
        let core = Arc::clone(self);
        self.tasks.spawn_on(
            async move { core.remove_now(&container).await },
            &self.executor,
        );
    }

    /// Removes a container, whatever it is doing. What cannot be removed is left to the next sweep.
    pub(crate) async fn remove_now(&self, container: &str) {
        let Ok(_turn) = self.removals.acquire().await else {
            return;
        };
        let options = RemoveContainerOptionsBuilder::new()
            .force(true)
            .v(true)
            .build();
        for attempt in 1..=REMOVE_TRIES {
            let docker = self.engine.docker();
            let call = docker.remove_container(container, Some(options.clone()));
            match self.engine.call("removing a container", call).await {
                Ok(()) => return,
                Err(error) if error.is_not_found() || error.says("already in progress") => return,
                Err(error) if attempt == REMOVE_TRIES => {
                    warn!(%error, container, "cannot remove a container; trying again later");
                    self.sweep_wanted.store(true, Ordering::Relaxed);
                }
                Err(_) => tokio::time::sleep(REMOVE_PAUSE).await,
            }
        }
    }

    /// All containers of ours, in any state.
    pub(crate) async fn list(&self) -> Result<Vec<bollard::models::ContainerSummary>, EngineError> {
        let label = format!("{}={}", labels::AGENT, self.settings.identity);
        let filters = HashMap::from([("label", vec![label.as_str()])]);
        let options = ListContainersOptionsBuilder::new()
            .all(true)
            .filters(&filters)
            .build();
        self.engine
            .call(
                "listing our containers",
                self.engine.docker().list_containers(Some(options)),
            )
            .await
    }

    /// Removes what is ours and belongs to nobody: containers that the engine kept over a restart, or that could
    /// not be removed before.
    pub(crate) async fn sweep(&self) -> Result<(), EngineError> {
        let listed = self.list().await?;
        let folders: HashSet<PathBuf> = self.known().keys().cloned().collect();
        for container in listed {
            let (Some(id), Some(marks)) = (container.id, container.labels) else {
                continue;
            };
            let in_use = match marks.get(labels::FOLDER) {
                Some(folder) => folders.contains(&self.folders.members.join(folder)),
                None => self.holders.by_container(&id).is_some() || self.holders.is_making(),
            };
            if !in_use {
                self.remove_now(&id).await;
            }
        }
        Ok(())
    }

    /// Removes the folders of containers and revisions that are neither in use nor `wanted`.
    pub(crate) async fn clean_folders(&self, wanted: Vec<PathBuf>) -> std::io::Result<()> {
        let _still = self.folders_in_motion.write().await;
        let (mut services, mut members) = (wanted, Vec::new());
        for (folder, known) in self.known().iter() {
            members.push(folder.clone());
            services.push(known.service.clone());
        }
        self.folders.clean(services, members).await
    }

    /// The engine went away, or came back.
    pub(crate) fn engine_changed(&self, is_back: bool) {
        if is_back {
            self.sweep_wanted.store(true, Ordering::Relaxed);
        } else {
            // A stopping engine waits long for processes that are frozen.
            self.pool()
                .idle_mut()
                .for_each(|idle| idle.container.thaw());
        }
        self.changed.notify_one();
    }

    /// Ends everything: containers, holders, tasks, folders.
    pub(crate) async fn shut_down(self: &Arc<Self>) {
        self.stop.cancel();
        self.starts.close();
        self.book(|pool| pool.take_idle(|_, _| true));
        self.kill_all();
        for holder in self.holders.take_all() {
            self.remove_container(holder);
        }
        self.tasks.close();
        if tokio::time::timeout(STOP, self.tasks.wait()).await.is_err() {
            warn!(
                "not all work of the runtime ended within {} s",
                STOP.as_secs()
            );
        }
        match self.list().await {
            Ok(left) => {
                let ids: Vec<String> = left
                    .into_iter()
                    .filter_map(|container| container.id)
                    .collect();
                futures::future::join_all(ids.iter().map(|id| self.remove_now(id))).await;
            }
            Err(error) => warn!(%error, "cannot look for leftovers; the next start removes them"),
        }
        if let Err(error) = self.folders.clean(Vec::new(), Vec::new()).await {
            warn!(%error, "cannot remove the containers' folders");
        }
    }
}
