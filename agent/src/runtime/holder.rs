//! Sleeping containers whose network namespace the members of one class join: the engine's own way to make one per
//! container takes longer than all the rest of a start.

mod image;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bollard::models::{ContainerCreateBody, HealthConfig, HostConfig, HostConfigLogConfig};
use tracing::{info, warn};
use uuid::Uuid;

use super::core::Core;
use super::engine::EngineError;
use super::labels;
use super::plan::NetworkClass;
use super::process::Process;

pub(crate) use image::{image_name, import_image, remove_old_images};

/// A holder sleeps: this much memory is plenty, and the engine takes no less than 6 MiB.
const MEMORY: i64 = 16 * 1024 * 1024;

/// A running holder; members keep it by an `Arc`.
#[derive(Debug)]
pub(crate) struct Holder {
    /// The container's id.
    pub(crate) container: String,
    alive: Arc<AtomicBool>,
    used: Mutex<Instant>,
}

/// All holders, by class.
#[derive(Debug, Default)]
pub(crate) struct Holders {
    by_class: Mutex<BTreeMap<NetworkClass, Arc<Holder>>>,
    /// One holder is made at a time; a second claim of the same class then finds it.
    making: tokio::sync::Mutex<()>,
}

impl Holder {
    /// Whether it still holds the network. When it ends, the engine takes the network away from its members.
    pub(crate) fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Relaxed)
    }
}

impl Holders {
    /// The living holder of a class; a new one if there is none.
    pub(crate) async fn get(
        &self,
        core: &Arc<Core>,
        class: &NetworkClass,
    ) -> Result<Arc<Holder>, EngineError> {
        if let Some(holder) = self.living(class) {
            return Ok(holder);
        }
        let _one = self.making.lock().await;
        if let Some(holder) = self.living(class) {
            return Ok(holder);
        }
        let container = make(core, class).await?;
        let holder = match self.watch(core, class, container.clone()).await {
            Ok(Some(holder)) => holder,
            Ok(None) => {
                core.remove_container(container);
                return Err(ended_at_once());
            }
            Err(error) => {
                core.remove_container(container);
                return Err(error);
            }
        };
        Ok(holder)
    }

    /// Takes a running holder of a former process over. Absent when it has ended.
    pub(crate) async fn watch(
        &self,
        core: &Arc<Core>,
        class: &NetworkClass,
        container: String,
    ) -> Result<Option<Arc<Holder>>, EngineError> {
        let engine = &core.engine;
        let facts = engine
            .call(
                "looking at a holder",
                engine.docker().inspect_container(&container, None),
            )
            .await?;
        let pid = facts
            .state
            .and_then(|state| state.pid)
            .and_then(|pid| i32::try_from(pid).ok())
            .unwrap_or(0);
        let Some(process) = Process::open(pid) else {
            return Ok(None);
        };
        let alive = Arc::new(AtomicBool::new(true));
        let holder = Arc::new(Holder {
            container,
            alive: Arc::clone(&alive),
            used: Mutex::new(Instant::now()),
        });
        self.lock().insert(class.clone(), Arc::clone(&holder));
        let (watcher, id) = (Arc::clone(core), holder.container.clone());
        core.tasks.spawn(async move {
            tokio::select! {
                () = watcher.stop.cancelled() => return,
                () = process.ended() => (),
            }
            alive.store(false, Ordering::Relaxed);
            warn!("a holder of network namespaces ended; its containers are replaced");
            watcher.remove_container(id);
            watcher.changed.notify_one();
        });
        Ok(Some(holder))
    }

    /// Takes out the holders that nobody has used for `idle`, and those that have ended.
    pub(crate) fn take_unused(&self, idle: Duration) -> Vec<String> {
        let mut gone = Vec::new();
        self.lock().retain(|_, holder| {
            if Arc::strong_count(holder) > 1 {
                *holder.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            }
            let unused = holder
                .used
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .elapsed()
                > idle;
            let keep = holder.is_alive() && !unused;
            if !keep {
                gone.push(holder.container.clone());
            }
            keep
        });
        gone
    }

    /// The holder with this container id.
    pub(crate) fn by_container(&self, container: &str) -> Option<Arc<Holder>> {
        self.lock()
            .values()
            .find(|holder| holder.container == container)
            .map(Arc::clone)
    }

    /// Whether there is a living holder of this class.
    pub(crate) fn has(&self, class: &NetworkClass) -> bool {
        self.living(class).is_some()
    }

    /// Forgets a holder that the engine says is no good.
    pub(crate) fn forget(&self, holder: &Holder) {
        holder.alive.store(false, Ordering::Relaxed);
        self.lock()
            .retain(|_, other| other.container != holder.container);
    }

    /// Whether one is being made that is not in the book yet.
    pub(crate) fn is_making(&self) -> bool {
        self.making.try_lock().is_err()
    }

    /// Forgets all of them; their container ids.
    pub(crate) fn take_all(&self) -> Vec<String> {
        std::mem::take(&mut *self.lock())
            .into_values()
            .map(|holder| holder.container.clone())
            .collect()
    }

    fn living(&self, class: &NetworkClass) -> Option<Arc<Holder>> {
        self.lock()
            .get(class)
            .filter(|holder| holder.is_alive())
            .map(Arc::clone)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<NetworkClass, Arc<Holder>>> {
        self.by_class.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ended_at_once() -> EngineError {
    let message =
        "it ended at once; is the supervisor a static binary for this machine?".to_owned();
    EngineError::Refused {
        doing: "starting a holder",
        status: 500,
        message,
    }
}

/// Creates and starts a holder; its container id.
async fn make(core: &Arc<Core>, class: &NetworkClass) -> Result<String, EngineError> {
    let engine = &core.engine;
    let name = format!(
        "spillway-{}-holder-{}",
        core.settings.node,
        &Uuid::new_v4().simple().to_string()[..8]
    );
    let options = bollard::query_parameters::CreateContainerOptionsBuilder::new()
        .name(&name)
        .build();
    let create = || {
        engine
            .docker()
            .create_container(Some(options.clone()), body(core, class))
    };
    let created = match engine.call("creating a holder", create()).await {
        Err(error) if error.is_not_found() => {
            import_image(core).await?;
            engine.call("creating a holder", create()).await?
        }
        other => other?,
    };
    info!(container = %created.id, "starting a holder of network namespaces");
    if let Err(error) = engine
        .call(
            "starting a holder",
            engine.docker().start_container(&created.id, None),
        )
        .await
    {
        core.remove_container(created.id);
        return Err(error);
    }
    Ok(created.id)
}

fn body(core: &Core, class: &NetworkClass) -> ContainerCreateBody {
    let mut labels = labels::common(&core.settings, labels::HOLDER);
    labels.insert(labels::OWNER.into(), class.owner.clone());
    labels.insert(labels::NETWORK.into(), class.policy.mode().into());
    ContainerCreateBody {
        image: Some(image_name(&core.folders)),
        entrypoint: Some(vec!["/supervisor".into()]),
        cmd: Some(vec!["hold".into()]),
        labels: Some(labels),
        healthcheck: Some(HealthConfig {
            test: Some(vec!["NONE".into()]),
            ..HealthConfig::default()
        }),
        host_config: Some(HostConfig {
            network_mode: Some(class.policy.mode().into()),
            memory: Some(MEMORY),
            memory_swap: Some(MEMORY),
            pids_limit: Some(16),
            cap_drop: Some(vec!["ALL".into()]),
            security_opt: Some(vec!["no-new-privileges".into()]),
            readonly_rootfs: Some(true),
            log_config: Some(HostConfigLogConfig {
                typ: Some("none".into()),
                config: None,
            }),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}

/// The class that a holder of a former process was made for.
pub(crate) fn class_of(labels: &HashMap<String, String>) -> Option<NetworkClass> {
    use super::plan::NetworkPolicy::{Closed, Default};
    let mode = labels.get(labels::NETWORK)?;
    let policy = [Default, Closed]
        .into_iter()
        .find(|policy| policy.mode() == mode)?;
    Some(NetworkClass {
        owner: labels.get(labels::OWNER)?.clone(),
        policy,
    })
}
