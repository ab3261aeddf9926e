//! Before the script: definition, container and input.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{Either, select};
use jiff::Timestamp;
use spillway_model::wire::link::{FailureReason, Lease, Outcome, ServiceDefinition};
use tokio::time::Instant;

use super::{End, Story, interrupted, script};
use crate::ledger::Entry;
use crate::link::{LinkError, persist};
use crate::log::{Level, RunLog};
use crate::runtime::{ClaimError, Member};
use crate::site::Site;
use crate::staging::{Incoming, StageInError, blocking, stage_in};

/// After so long, waiting for a container is worth telling.
const WORTH_TELLING: Duration = Duration::from_secs(1);

/// All that a script needs.
pub(super) struct Ready {
    pub(super) definition: Arc<ServiceDefinition>,
    pub(super) member: Member,
}

/// Fetches the definition, claims a container, stages the input at `staging`, and brings the two together.
pub(super) async fn prepare(
    site: &Site,
    lease: &Lease,
    entry: &Entry,
    story: &mut Story,
    staging: &Path,
    run: u64,
) -> Result<Ready, End> {
    let fetch = || {
        site.definitions
            .get(&site.link, &lease.service, lease.revision)
    };
    let definition = match persist(&entry.lost, fetch).await {
        Some(Ok(definition)) => definition,
        None | Some(Err(LinkError::Gone { .. })) => return Err(End::Lost),
        Some(Err(error)) => {
            let words = format!("The definition of the service could not be fetched: {error}.");
            return Err(End::With(interrupted(&words)));
        }
    };
    *story.log() = RunLog::new(site.log_limit, &definition.service.log_level);

    let began = Instant::now();
    let mut stage_in_us = 0;
    let mut container_us = 0;
    let shared: &Story = story;
    let (member, input_bytes) = {
        let claim = pin!(async {
            let claimed = claim(site, shared, &definition).await;
            container_us = micros(began);
            claimed
        });
        let stage = pin!(async {
            let incoming = Incoming {
                attempt: &lease.attempt,
                event: &lease.event,
                input: lease.input.as_ref(),
            };
            let staged = stage_in(
                &site.link,
                incoming,
                staging,
                || site.home.free_bytes(),
                &entry.lost,
            )
            .await;
            stage_in_us = micros(began);
            staged
        });
        match select(claim, stage).await {
            Either::Left((claimed, stage)) => {
                let member = claimed.map_err(unclaimed)?;
                match stage.await {
                    Ok(bytes) => (member, bytes),
                    Err(error) => {
                        member.release().await;
                        return Err(unstaged(error));
                    }
                }
            }
            Either::Right((staged, claim)) => {
                let bytes = staged.map_err(unstaged)?;
                (claim.await.map_err(unclaimed)?, bytes)
            }
        }
    };
    story.spans.container_us = container_us;
    story.spans.stage_in_us = stage_in_us;
    story.spans.warm = member.was_warm();
    story.usage.input_bytes = input_bytes;

    let (from, to) = (
        staging.to_owned(),
        member.folder().join(script::folder(run)),
    );
    match blocking(move || std::fs::rename(from, to))
        .await
        .and_then(|done| done)
    {
        Ok(()) => Ok(Ready { definition, member }),
        Err(error) => {
            let words =
                format!("The input could not be moved into the container's folder: {error}.");
            Err(End::With(interrupted(&words)))
        }
    }
}

/// Claims a container; when that takes its time, says in the log what for.
async fn claim(
    site: &Site,
    story: &Story,
    definition: &Arc<ServiceDefinition>,
) -> Result<Member, ClaimError> {
    let mut claim = pin!(site.runtime.claim(definition));
    tokio::select! {
        biased;
        claimed = &mut claim => return claimed,
        () = tokio::time::sleep(WORTH_TELLING) => {}
    }
    let image = &definition.service.image;
    if site.runtime.pulls().iter().any(|pull| pull.image == *image) {
        story.log().note(
            Level::Info,
            &format!("pulling image {image}"),
            Timestamp::now(),
        );
    }
    site.news.notify_one();
    claim.await
}

pub(super) fn unclaimed(error: ClaimError) -> End {
    End::With(match error {
        ClaimError::Failed { reason, message } => Outcome::Failed { reason, message },
        ClaimError::Interrupted(message) => Outcome::Interrupted { message },
    })
}

fn unstaged(error: StageInError) -> End {
    match error {
        StageInError::Ended | StageInError::Gone => End::Lost,
        StageInError::Input(message) => End::With(Outcome::Failed {
            reason: FailureReason::StageIn,
            message,
        }),
        StageInError::Node(message) => End::With(Outcome::Interrupted { message }),
    }
}

/// Microseconds since `began`.
pub(super) fn micros(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX)
}
