//! A container while it belongs to one run.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use spillway_model::wire::link::FailureReason;
use spillway_model::wire::supervisor::{Exited, Invocation, Kind};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::debug;

use super::cgroup::Meter;
use super::channel::{ChannelError, Frame};
use super::container::{self, Live};
use super::core::Core;
use super::folders::INSIDE_MEMBER;
use super::plan::Plan;
use super::pool::{Ask, Grant, SlotId};
use super::probe::Recipe;
use super::process::Process;
use super::{ClaimError, Output, RunEnd};

/// How long a claim waits for room before the job goes back to the gateway.
const WAIT_FOR_ROOM: Duration = Duration::from_mins(1);

/// The supervisor enforces the time limit; when it has said nothing for so much longer, we do.
const GRACE: Duration = Duration::from_secs(20);

/// How long the engine may take to notice that a container has ended, and how often it is asked.
const NOTICE: (Duration, Duration) = (Duration::from_secs(3), Duration::from_millis(50));

/// A container that is held for one run.
#[derive(Debug)]
pub(crate) struct Held {
    core: Arc<Core>,
    plan: Arc<Plan>,
    slot: SlotId,
    live: Option<Live>,
    pub(crate) warm: bool,
    /// A run did not end as it should: nobody gets this container again.
    doubt: bool,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(live) = self.live.take() {
            self.core.retire(self.slot, Some(live));
        }
    }
}

/// A claim that waits. Dropped, it gives back what it was granted in the meantime.
struct Ticket<'a> {
    core: &'a Arc<Core>,
    answer: oneshot::Receiver<Grant<Live>>,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.answer.close();
        if let Ok(grant) = self.answer.try_recv() {
            self.core.give_back(grant);
        }
    }
}

/// An idle container of the plan, or a new one.
pub(crate) async fn claim(
    core: &Arc<Core>,
    plan: Arc<Plan>,
    recipe: Recipe,
) -> Result<Held, ClaimError> {
    if !core.engine.is_ready() {
        return Err(ClaimError::Interrupted(
            "the container engine does not answer".into(),
        ));
    }
    let (wanted, capacity) = (plan.resources, core.settings.capacity);
    if !capacity.covers(wanted) {
        return Err(ClaimError::Interrupted(format!(
            "service {:?} asks for {} m of CPU and {} bytes of memory, more than the {} m and {} bytes of this node",
            plan.key.service,
            wanted.millicores,
            wanted.memory_bytes,
            capacity.millicores,
            capacity.memory_bytes,
        )));
    }
    let deadline = Instant::now() + WAIT_FOR_ROOM;
    loop {
        let grant = wait(core, &plan, deadline).await?;
        let slot = grant.slot;
        let Some(mut live) = grant.container else {
            return make(core, plan, slot, recipe).await;
        };
        live.thaw();
        if live.is_well() && (plan.reuse || live.served == 0) {
            return Ok(Held {
                core: Arc::clone(core),
                plan,
                slot,
                live: Some(live),
                warm: true,
                doubt: false,
            });
        }
        debug!(container = %live.container, "an idle container has ended; taking another");
        core.retire(slot, Some(live));
    }
}

/// Waits in line for a slot.
async fn wait(core: &Arc<Core>, plan: &Plan, deadline: Instant) -> Result<Grant<Live>, ClaimError> {
    let (answer, moves) = core.pool().ask(plan.ask());
    let mut ticket = Ticket { core, answer };
    core.carry_out(moves);
    tokio::select! {
        // What has been granted is taken.
        biased;
        grant = &mut ticket.answer => grant.map_err(|_| stopping()),
        () = core.stop.cancelled() => Err(stopping()),
        () = sleep_until(deadline) => {
            let seconds = WAIT_FOR_ROOM.as_secs();
            Err(ClaimError::Interrupted(format!("no room for another container on this node within {seconds} s")))
        }
    }
}

/// Makes a container for a slot. Goes on to its end when the caller loses interest.
async fn make(
    core: &Arc<Core>,
    plan: Arc<Plan>,
    slot: SlotId,
    recipe: Recipe,
) -> Result<Held, ClaimError> {
    let making = Arc::clone(core);
    let task = core.tasks.spawn(async move {
        match container::start(&making, &plan, recipe).await {
            Ok(live) => Ok(Held {
                core: making,
                plan,
                slot,
                live: Some(live),
                warm: false,
                doubt: false,
            }),
            Err(error) => {
                making.retire(slot, None);
                Err(error)
            }
        }
    });
    match task.await {
        Ok(_) if core.stop.is_cancelled() => Err(stopping()),
        Ok(result) => result,
        Err(error) => {
            core.retire(slot, None);
            Err(ClaimError::Interrupted(format!(
                "starting the container: {error}"
            )))
        }
    }
}

fn stopping() -> ClaimError {
    ClaimError::Interrupted("the agent stops".into())
}

impl Plan {
    /// What a claim of this plan asks of the pool.
    pub(crate) fn ask(&self) -> Ask {
        Ask {
            key: self.key.clone(),
            resources: self.resources,
            max_scale: self.max_scale,
        }
    }
}

/// Ends the container, unless told that the run is over.
struct KillUnlessOver(Option<Arc<Process>>);

impl Drop for KillUnlessOver {
    fn drop(&mut self) {
        if let Some(process) = &self.0 {
            process.kill();
        }
    }
}

impl Held {
    pub(crate) fn folder(&self) -> &Path {
        self.live
            .as_ref()
            .map_or(Path::new(""), |live| &live.folder)
    }

    pub(crate) fn inside(relative: &str) -> String {
        format!("{INSIDE_MEMBER}/{relative}")
    }

    pub(crate) async fn run(
        &mut self,
        invocation: &Invocation,
        output: mpsc::Sender<Output>,
    ) -> Result<RunEnd, ClaimError> {
        let gone = || ClaimError::Interrupted("the container is gone".into());
        let live = self
            .live
            .as_mut()
            .filter(|_| !self.doubt)
            .ok_or_else(gone)?;
        self.doubt = true;
        let mut guard = KillUnlessOver(live.process.clone());
        let mut meter = live.cgroup.as_ref().map(super::cgroup::Cgroup::meter);
        let exited = match talk(live, invocation, output).await {
            Ok(exited) => exited,
            Err(error) => {
                let problem = lost(&self.core, live, meter.as_ref(), &error).await;
                return Err(problem);
            }
        };
        live.served += 1;
        let out_of_memory = match (&meter, &live.cgroup) {
            (Some(meter), Some(cgroup)) => meter.out_of_memory(cgroup),
            _ => false,
        };
        let peak = meter
            .as_mut()
            .and_then(Meter::peak_bytes)
            .unwrap_or(exited.max_rss_bytes);
        self.doubt = out_of_memory || exited.timed_out || exited.killed || exited.error.is_some();
        if !self.doubt {
            guard.0 = None;
        }
        Ok(RunEnd {
            exited,
            out_of_memory,
            peak_memory_bytes: peak,
        })
    }

    pub(crate) fn release(mut self) {
        let Some(live) = self.live.take() else { return };
        let again = self.plan.reuse
            && !self.doubt
            && !self.core.stop.is_cancelled()
            && live.is_well()
            && self.core.pool().is_current(&live.key);
        if again {
            self.core.book(|pool| pool.rest(self.slot, live));
        } else {
            self.core.retire(self.slot, Some(live));
        }
    }
}

/// Sends the invocation and passes on what comes, to the end.
async fn talk(
    live: &mut Live,
    invocation: &Invocation,
    output: mpsc::Sender<Output>,
) -> Result<Exited, ChannelError> {
    let body = serde_json::to_vec(invocation)
        .map_err(|error| ChannelError::Nonsense(error.to_string()))?;
    live.channel.send(Kind::Run, &body).await?;
    let conversation = async {
        loop {
            match live.channel.next().await? {
                Frame::Started => (),
                // When nobody listens any more, the run goes on all the same.
                Frame::Output(piece) => drop(output.send(piece).await),
                Frame::Exited(exited) => return Ok(exited),
            }
        }
    };
    if invocation.timeout_ms == 0 {
        return conversation.await;
    }
    let limit = Duration::from_millis(invocation.timeout_ms).saturating_add(GRACE);
    match timeout(limit, conversation).await {
        Ok(end) => end,
        Err(_) => Ok(Exited {
            id: invocation.id.clone(),
            timed_out: true,
            wall_us: invocation.timeout_ms.saturating_mul(1000),
            ..Exited::default()
        }),
    }
}

/// Why the connection broke under a run.
async fn lost(core: &Core, live: &Live, meter: Option<&Meter>, error: &ChannelError) -> ClaimError {
    let out_of_memory = || ClaimError::Failed {
        reason: FailureReason::OutOfMemory,
        message: "the container was killed for exceeding its memory limit".into(),
    };
    if let (Some(meter), Some(cgroup)) = (meter, &live.cgroup)
        && meter.out_of_memory(cgroup)
    {
        return out_of_memory();
    }
    let deadline = Instant::now() + NOTICE.0;
    loop {
        let docker = core.engine.docker();
        let call = docker.inspect_container(&live.container, None);
        let state = match core.engine.call("looking at the container", call).await {
            Ok(facts) => facts.state.unwrap_or_default(),
            Err(error) if error.is_not_found() => {
                return ClaimError::Interrupted("the container was removed under the run".into());
            }
            Err(error) => {
                return ClaimError::Interrupted(format!("the container is lost: {error}"));
            }
        };
        if state.oom_killed == Some(true) {
            return out_of_memory();
        }
        if state.running == Some(false) {
            let exit_code = state.exit_code.unwrap_or_default();
            return ClaimError::Interrupted(format!(
                "the container ended under the run with exit code {exit_code}"
            ));
        }
        if Instant::now() > deadline {
            return ClaimError::Interrupted(format!("the container is lost: {error}"));
        }
        sleep(NOTICE.1).await;
    }
}
