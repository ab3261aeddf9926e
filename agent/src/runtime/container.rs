//! One container of a service: made, started, talked to, removed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bollard::query_parameters::CreateContainerOptionsBuilder;
use tokio::time::{Instant, sleep, sleep_until};
use uuid::Uuid;

use super::ClaimError;
use super::cgroup::Cgroup;
use super::channel::{Channel, ChannelError};
use super::core::Core;
use super::engine::EngineError;
use super::folders::SOCKET;
use super::holder::Holder;
use super::plan::{Key, Plan};
use super::probe::Recipe;
use super::process::Process;
use super::volumes;
use body::body;
use failure::{engine_problem, gone_at_start, why_not_started};

mod body;
mod failure;

/// From the engine's word that it started to the supervisor's Hello.
const READY: Duration = Duration::from_secs(20);

/// How often the socket is tried: often at first, for a start takes a few hundred milliseconds at most.
const TRY_EVERY: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(20));

/// For so long it is tried often.
const TRY_OFTEN: Duration = Duration::from_millis(800);

/// While it is not there, the engine is asked this often whether the container still runs.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A running container whose supervisor has said Hello.
#[derive(Debug)]
pub(crate) struct Live {
    /// The engine's id.
    pub(crate) container: String,
    pub(crate) key: Key,
    /// Host folder that the container sees as `/spillway`.
    pub(crate) folder: PathBuf,
    pub(crate) channel: Channel,
    /// Absent when the agent cannot see the container's processes.
    pub(crate) process: Option<Arc<Process>>,
    pub(crate) cgroup: Option<Cgroup>,
    /// Whose network it joined.
    pub(crate) holder: Option<Arc<Holder>>,
    /// Runs so far.
    pub(crate) served: u64,
    pub(crate) frozen: bool,
}

impl Live {
    /// Connects to the supervisor of a running container.
    pub(crate) async fn connect(
        container: String,
        key: Key,
        folder: PathBuf,
        holder: Option<Arc<Holder>>,
    ) -> Result<Self, ChannelError> {
        let (channel, hello) = Channel::open(&folder.join(SOCKET)).await?;
        // The connection stands: the process is still the one that accepted it.
        let process = channel.peer_pid().and_then(Process::open).map(Arc::new);
        let cgroup = process
            .as_ref()
            .and_then(|process| Cgroup::of(process.pid(), &container));
        let served = hello.served;
        Ok(Self {
            container,
            key,
            folder,
            channel,
            process,
            cgroup,
            holder,
            served,
            frozen: false,
        })
    }

    /// Whether it can take a run: its processes live, nothing unasked was said, its network is there.
    pub(crate) fn is_well(&self) -> bool {
        self.process
            .as_ref()
            .is_none_or(|process| process.is_alive())
            && (self.frozen || self.channel.is_quiet())
            && self.holder.as_ref().is_none_or(|holder| holder.is_alive())
    }

    /// Stops its processes until [`Live::thaw`]; without effect where the kernel does not let us.
    pub(crate) fn freeze(&mut self) {
        self.frozen = self.cgroup.as_ref().is_some_and(Cgroup::freeze);
    }

    /// Lets them go on.
    pub(crate) fn thaw(&mut self) {
        if std::mem::take(&mut self.frozen)
            && let Some(cgroup) = &self.cgroup
        {
            cgroup.thaw();
        }
    }

    /// Ends its processes at once: their memory is free when this returns, or a moment later.
    pub(crate) fn kill(&mut self) {
        self.thaw();
        if let Some(process) = &self.process {
            process.kill();
        }
    }
}

/// Makes and starts a container, pulling the image when it is missing. Whatever goes wrong, nothing stays behind.
pub(crate) async fn start(
    core: &Arc<Core>,
    plan: &Arc<Plan>,
    recipe: Recipe,
) -> Result<Live, ClaimError> {
    let _start = core
        .starts
        .acquire()
        .await
        .map_err(|_| ClaimError::Interrupted("the agent stops".into()))?;
    let id = Uuid::new_v4().simple().to_string()[..16].to_owned();
    let folder = core.folders.members.join(&id);
    let made = {
        let _moving = core.folders_in_motion.read().await;
        core.know(&folder, &plan.folder, None);
        match core.folders.write_service(plan).await {
            Ok(()) => core.folders.make_member(&folder).await,
            error => error,
        }
    };
    if let Err(error) = made {
        core.remove_member(None, folder);
        return Err(ClaimError::Interrupted(format!(
            "cannot write the folders of a container: {error}"
        )));
    }
    match start_in(core, plan, recipe, &id, &folder).await {
        Ok(live) => {
            core.know(&live.folder, &plan.folder, live.process.clone());
            Ok(live)
        }
        Err((container, error)) => {
            core.remove_member(container, folder);
            Err(error)
        }
    }
}

/// The rest of a start; an error comes with the container to remove, if it got that far.
async fn start_in(
    core: &Arc<Core>,
    plan: &Arc<Plan>,
    recipe: Recipe,
    id: &str,
    folder: &Path,
) -> Result<Live, (Option<String>, ClaimError)> {
    let (container, holder) = create(core, plan, recipe, id, folder)
        .await
        .map_err(|error| (None, error))?;
    let failed = |error: ClaimError| (Some(container.clone()), error);
    // The engine answers some time after the supervisor runs: nobody waits for it. It must not be cut off half-way
    // either, so it is a task of its own.
    let (engine, name) = (Arc::clone(&core.engine), container.clone());
    let mut starting = core.tasks.spawn(async move {
        engine
            .call(
                "starting the container",
                engine.docker().start_container(&name, None),
            )
            .await
    });
    let connect = || {
        Live::connect(
            container.clone(),
            plan.key.clone(),
            folder.to_owned(),
            holder.clone(),
        )
    };
    let begun = Instant::now();
    let mut deadline = None;
    let mut look = begun + LOOK_EVERY;
    loop {
        match connect().await {
            Ok(live) => return Ok(live),
            Err(ChannelError::Connect(_)) => (),
            Err(error) if deadline.is_none() => {
                return Err(failed(ClaimError::Interrupted(error.to_string())));
            }
            Err(error) => {
                return Err(failed(
                    gone_at_start(core, &container, &error.to_string()).await,
                ));
            }
        }
        let pause = if begun.elapsed() < TRY_OFTEN {
            TRY_EVERY.0
        } else {
            TRY_EVERY.1
        };
        tokio::select! {
            started = &mut starting, if deadline.is_none() => {
                match started {
                    Ok(Ok(())) => deadline = Some(Instant::now() + READY),
                    Ok(Err(error)) => return Err(failed(why_not_started(&error))),
                    Err(error) => return Err(failed(ClaimError::Interrupted(error.to_string()))),
                }
            }
            () = sleep(pause) => (),
            () = sleep_until(look), if deadline.is_some() => {
                look = Instant::now() + LOOK_EVERY;
                if !is_running(core, &container).await.unwrap_or(true) {
                    return Err(failed(gone_at_start(core, &container, "it ended").await));
                }
            }
        }
        if deadline.is_some_and(|deadline| Instant::now() > deadline) {
            let message = format!("the supervisor has not said Hello in {} s", READY.as_secs());
            return Err(failed(ClaimError::Interrupted(message)));
        }
    }
}

/// Creates the container, with what it needs; its id and the holder whose network it joins.
async fn create(
    core: &Arc<Core>,
    plan: &Arc<Plan>,
    recipe: Recipe,
    id: &str,
    folder: &Path,
) -> Result<(String, Option<Arc<Holder>>), ClaimError> {
    let service = &plan.definition.service;
    let name = format!(
        "spillway-{}-{}-{}",
        core.settings.node,
        service.name,
        &id[..8]
    );
    let options = CreateContainerOptionsBuilder::new().name(&name).build();
    check_volume(core, plan).await?;
    let (mut pulled, mut replaced) = (false, false);
    loop {
        let holder = match recipe {
            Recipe::Joined => Some(
                core.holders
                    .get(core, &plan.network)
                    .await
                    .map_err(engine_problem)?,
            ),
            Recipe::Default => None,
        };
        let body = body(core, plan, id, folder, holder.as_deref());
        let docker = core.engine.docker();
        let created = core
            .engine
            .call(
                "creating the container",
                docker.create_container(Some(options.clone()), body),
            )
            .await;
        match (created, holder) {
            (Ok(created), holder) => return Ok((created.id, holder)),
            (Err(error), Some(holder)) if !replaced && error.says(&holder.container) => {
                core.holders.forget(&holder);
                replaced = true;
            }
            (Err(error), _) if !pulled && error.is_not_found() => {
                let logins = &plan.definition.registries;
                core.images
                    .pull(&core.engine, &core.tasks, &service.image, logins)
                    .await?;
                pulled = true;
            }
            (Err(error), _) => return Err(why_not_started(&error)),
        }
    }
}

/// The engine would make a missing volume by itself, empty: what was in it would be lost without a word.
async fn check_volume(core: &Core, plan: &Plan) -> Result<(), ClaimError> {
    let Some(volume) = &plan.definition.volume else {
        return Ok(());
    };
    if volumes::is_there(core, &volume.id)
        .await
        .map_err(engine_problem)?
    {
        return Ok(());
    }
    Err(ClaimError::Interrupted(format!(
        "the volume {} is not on this node",
        volume.id
    )))
}

async fn is_running(core: &Core, container: &str) -> Result<bool, EngineError> {
    let docker = core.engine.docker();
    let facts = core
        .engine
        .call(
            "looking at the container",
            docker.inspect_container(container, None),
        )
        .await?;
    Ok(facts.state.and_then(|state| state.running).unwrap_or(false))
}
