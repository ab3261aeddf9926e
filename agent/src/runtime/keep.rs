//! Keeps the containers on this node equal to what is wanted.
//!
//! Woken by changes, and regularly besides, so a missed wake-up costs at most one period. It never looks at *what*
//! woke it: it reads what is wanted and what is, and does the difference.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use spillway_model::registry::RegistryLogin;
use spillway_model::wire::link::{ServiceDefinition, WantedService};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};

use super::ClaimError;
use super::container;
use super::core::Core;
use super::plan::Plan;
use super::pool::Want;
use super::probe::Recipe;

/// The regular period; with containers around, the shorter one.
const EVERY: Duration = Duration::from_secs(30);
const EVERY_WITH_CONTAINERS: Duration = Duration::from_secs(5);

/// A container that was idle for so long is frozen: it then costs no cycle, whatever its processes would do.
const FREEZE_AFTER: Duration = Duration::from_secs(3);

/// After a start or a pull ahead of time has failed, it is left for so long; jobs do not wait for this.
const LEAVE: Duration = Duration::from_mins(1);

/// Holders without members stay at least so long.
const HOLDER_IDLE: Duration = Duration::from_mins(5);

/// Idle containers go when less of the machine's memory is available: this part of it, but no more than the bytes.
const SCARCE: (u64, u64) = (16, 256 * 1024 * 1024);

/// What is wanted of one service.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    pub(crate) wanted: WantedService,
    pub(crate) definition: Option<Arc<ServiceDefinition>>,
}

/// What the reconciler remembers from one pass to the next: only what keeps it from trying too often.
#[derive(Debug, Default)]
struct Memory {
    /// Warm starts in progress or failed, by service.
    starting: HashMap<String, Vec<JoinHandle<Result<(), ClaimError>>>>,
    left_until: HashMap<String, Instant>,
    prefetch: Option<(String, JoinHandle<bool>)>,
    fetched: HashMap<String, Option<Instant>>,
    cleaned_for: Vec<PathBuf>,
}

/// Writes down what is wanted. A definition that is missing counts for nothing but its name and revision.
pub(crate) fn note(core: &Core, wishes: Vec<Wish>) {
    let want = |wish: &Wish| {
        (
            wish.wanted.name.clone(),
            Want {
                revision: wish.wanted.revision,
                warm: wish.wanted.warm,
            },
        )
    };
    core.pool().want(wishes.iter().map(want).collect());
    *core.wishes.lock().unwrap_or_else(PoisonError::into_inner) = Some(wishes);
    core.changed.notify_one();
}

/// The reconciler, until the runtime stops.
pub(crate) async fn keep(core: Arc<Core>, recipe: Recipe) {
    let mut memory = Memory::default();
    loop {
        let period = if core.pool().is_empty() {
            EVERY
        } else {
            EVERY_WITH_CONTAINERS.min(core.settings.idle)
        };
        tokio::select! {
            () = core.stop.cancelled() => return,
            () = core.changed.notified() => (),
            () = sleep(period.max(Duration::from_millis(100))) => (),
        }
        reconcile(&core, recipe, &mut memory).await;
    }
}

async fn reconcile(core: &Arc<Core>, recipe: Recipe, memory: &mut Memory) {
    let wishes = core
        .wishes
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    retire_idle(core);
    freeze_idle(core);
    if core.engine.is_ready() {
        if core.sweep_wanted.swap(false, Ordering::Relaxed)
            && let Err(error) = core.sweep().await
        {
            debug!(%error, "cannot sweep now");
            core.sweep_wanted.store(true, Ordering::Relaxed);
        }
        for container in core
            .holders
            .take_unused(HOLDER_IDLE.max(core.settings.idle))
        {
            core.remove_container(container);
        }
    }
    let Some(wishes) = wishes else { return };
    let plans: Vec<(Arc<Plan>, &Wish)> = wishes
        .iter()
        .filter_map(|wish| Some((core.plan(wish.definition.as_ref()?).ok()?, wish)))
        .collect();
    if core.engine.is_ready() && !core.stop.is_cancelled() {
        for (plan, wish) in &plans {
            start_warm(core, plan, wish.wanted.warm, recipe, memory).await;
        }
        prefetch(core, &plans, memory).await;
    }
    clean(core, &wishes, &plans, memory).await;
}

/// Idle containers that are dead, old or not wanted any more go; under memory pressure those longest idle too.
fn retire_idle(core: &Arc<Core>) {
    let idle_time = core.settings.idle;
    core.book(|pool| {
        pool.take_idle(|pool, idle| {
            !idle.container.is_well()
                || !pool.is_current(&idle.key)
                || (idle.since.elapsed() >= idle_time && !pool.is_kept(idle))
        })
    });
    if memory_is_scarce(&std::fs::read_to_string("/proc/meminfo").unwrap_or_default()) {
        let mut taken = false;
        core.book(|pool| {
            pool.take_idle(|pool, idle| {
                let goes = !taken && !pool.is_kept(idle);
                taken |= goes;
                goes
            })
        });
        if taken {
            info!("memory is scarce: an idle container was removed");
            core.changed.notify_one();
        }
    }
}

fn freeze_idle(core: &Core) {
    for idle in core.pool().idle_mut() {
        if !idle.container.frozen && idle.since.elapsed() >= FREEZE_AFTER {
            idle.container.freeze();
        }
    }
}

/// Starts containers until there are as many as shall be kept, where there is room.
async fn start_warm(
    core: &Arc<Core>,
    plan: &Arc<Plan>,
    warm: u32,
    recipe: Recipe,
    memory: &mut Memory,
) {
    let service = &plan.key.service;
    let starting = memory.starting.entry(service.clone()).or_default();
    let mut failed = None;
    for task in starting.extract_if(.., |task| task.is_finished()) {
        failed = task.await.ok().and_then(Result::err).or(failed);
    }
    if let Some(problem) = failed {
        warn!(%problem, "cannot keep a container of {service} warm; trying again in {} s", LEAVE.as_secs());
        memory
            .left_until
            .insert(service.clone(), Instant::now() + LEAVE);
    }
    if memory
        .left_until
        .get(service)
        .is_some_and(|until| Instant::now() < *until)
    {
        return;
    }
    loop {
        let slot = {
            let mut pool = core.pool();
            if pool.count_of(&plan.key) >= warm as usize {
                return;
            }
            pool.spare(&plan.ask())
        };
        let Some(slot) = slot else { return };
        let (core, plan) = (Arc::clone(core), Arc::clone(plan));
        let tasks = core.tasks.clone();
        starting.push(tasks.spawn(async move {
            let result = container::start(&core, &plan, recipe).await;
            let result = result.map(|live| core.book(|pool| pool.rest(slot, live)));
            if result.is_err() {
                core.retire(slot, None);
            }
            core.changed.notify_one();
            result
        }));
    }
}

/// Pulls the images that are wanted ahead of time, one at a time.
async fn prefetch(core: &Arc<Core>, plans: &[(Arc<Plan>, &Wish)], memory: &mut Memory) {
    if let Some((image, task)) = memory.prefetch.take() {
        if !task.is_finished() {
            memory.prefetch = Some((image, task));
            return;
        }
        let try_again = if task.await.unwrap_or(false) {
            None
        } else {
            Some(Instant::now() + LEAVE)
        };
        memory.fetched.insert(image, try_again);
    }
    let wanted = plans
        .iter()
        .filter(|(_, wish)| wish.wanted.prefetch)
        .map(|(plan, _)| &plan.definition);
    // Of several services with one image, one that brings logins.
    let mut images: BTreeMap<&String, &[RegistryLogin]> = BTreeMap::new();
    for definition in wanted {
        let logins = images.entry(&definition.service.image).or_default();
        if logins.is_empty() {
            *logins = &definition.registries;
        }
    }
    memory.fetched.retain(|image, _| images.contains_key(image));
    let due = |(image, _): &(&String, &[RegistryLogin])| match memory.fetched.get(image.as_str()) {
        None => true,
        Some(None) => false,
        Some(Some(again)) => Instant::now() >= *again,
    };
    let Some((image, logins)) = images.into_iter().find(due) else {
        return;
    };
    let (image, logins) = (image.clone(), logins.to_vec());
    let (core, name) = (Arc::clone(core), image.clone());
    let tasks = core.tasks.clone();
    let task = tasks.spawn(async move {
        let done = tokio::select! {
            () = core.stop.cancelled() => false,
            done = async {
                match core.images.is_present(&core.engine, &name).await {
                    Ok(true) => true,
                    Ok(false) => core.images.pull(&core.engine, &core.tasks, &name, &logins).await.is_ok(),
                    Err(_) => false,
                }
            } => done,
        };
        core.changed.notify_one();
        done
    });
    memory.prefetch = Some((image, task));
}

/// Folders and plans of services and revisions that are not wanted any more go.
async fn clean(
    core: &Arc<Core>,
    wishes: &[Wish],
    plans: &[(Arc<Plan>, &Wish)],
    memory: &mut Memory,
) {
    memory.starting.retain(|_, tasks| !tasks.is_empty());
    memory.left_until.retain(|_, until| Instant::now() < *until);
    let folders: Vec<PathBuf> = plans.iter().map(|(plan, _)| plan.folder.clone()).collect();
    if folders == memory.cleaned_for {
        return;
    }
    core.keep_plans(
        &wishes
            .iter()
            .map(|wish| (wish.wanted.name.clone(), wish.wanted.revision))
            .collect(),
    );
    match core.clean_folders(folders.clone()).await {
        Ok(()) => memory.cleaned_for = folders,
        Err(error) => warn!(%error, "cannot remove folders of old revisions"),
    }
}

/// Whether the machine runs out of memory, from `/proc/meminfo`.
fn memory_is_scarce(meminfo: &str) -> bool {
    let kib = |key: &str| -> Option<u64> {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(key))?;
        line.trim_start_matches(':')
            .trim()
            .strip_suffix(" kB")?
            .parse()
            .ok()
    };
    match (kib("MemTotal"), kib("MemAvailable")) {
        (Some(total), Some(available)) => available < (total / SCARCE.0).min(SCARCE.1 / 1024),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_scarce_below_a_sixteenth_or_256_mib() {
        let meminfo = |total: u64, available: u64| {
            format!("MemTotal: {total} kB\nMemAvailable:  {available} kB\n")
        };
        assert!(memory_is_scarce(&meminfo(1_048_576, 60_000)));
        assert!(!memory_is_scarce(&meminfo(1_048_576, 70_000)));
        assert!(!memory_is_scarce(&meminfo(33_554_432, 300_000)));
        assert!(!memory_is_scarce(""));
    }
}
