//! After the script: its outputs, its log and its outcome go to the gateway, and become visible there together.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use spillway_model::wire::link::{
    Completion, FailureReason, Lease, MAX_COMPLETION, Outcome, Output, OutputContent,
    ServiceDefinition,
};
use tokio::time::Instant;

use super::Story;
use super::prepare::micros;
use crate::ledger::Entry;
use crate::link::{LinkError, causes, open_left_behind, persist};
use crate::log::Level;
use crate::site::Site;
use crate::staging::{Collected, Source, blocking, collect};

/// Files of one attempt that are uploaded at once.
const UPLOADS: usize = 3;

/// What a run left.
pub(super) struct Left<'a> {
    pub(super) outcome: Outcome,
    pub(super) definition: Option<Arc<ServiceDefinition>>,
    /// Folder of the run, out of reach of its container.
    pub(super) outbox: Option<&'a Path>,
}

/// Why outputs do not reach the gateway.
enum Unpublished {
    /// The attempt is not this node's any more, or the agent ends.
    Lost,
    /// Words for the user.
    Failed(String),
}

/// Reports the end of an attempt, however long the gateway takes, until it is durable or no longer wanted.
pub(super) async fn publish(
    site: &Site,
    lease: &Lease,
    entry: &Entry,
    mut story: Story,
    left: Left<'_>,
) {
    let Left {
        mut outcome,
        definition,
        outbox,
    } = left;
    let finished_at = Timestamp::now();
    let began = Instant::now();
    let mut outputs = Vec::new();
    if let (Outcome::Succeeded, Some(definition), Some(outbox)) = (&outcome, &definition, outbox) {
        match stage_out(site, lease, entry, definition, outbox).await {
            Ok((ready, bytes)) => {
                outputs = ready;
                story.usage.output_bytes = bytes;
            }
            Err(Unpublished::Lost) => return say_lost(lease),
            Err(Unpublished::Failed(message)) => {
                outcome = Outcome::Failed {
                    reason: FailureReason::StageOut,
                    message,
                };
            }
        }
    }
    story.spans.stage_out_us = micros(began);
    tell(&story, &outcome);
    match &outcome {
        Outcome::Interrupted { .. } => site.pause.interrupted(),
        _ => site.pause.carried_out(),
    }
    let Story {
        log,
        started_at,
        usage,
        spans,
        dropped_bytes,
    } = story;
    let log = log
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .finish(dropped_bytes, finished_at);
    let mut completion = Completion {
        outcome,
        started_at,
        finished_at,
        usage,
        spans,
        log,
        outputs,
    };
    let mut body = encode(&completion);
    if body.len() > MAX_COMPLETION {
        refuse(
            &mut completion,
            "The names and contents of the outputs are too much for one report.",
        );
        body = encode(&completion);
    }
    let succeeded = completion.outcome == Outcome::Succeeded;
    let spare = Completion {
        outputs: Vec::new(),
        ..completion
    };
    let words = match deliver(site, lease, entry, body).await {
        None => return say_lost(lease),
        Some(Err(LinkError::Refused { words, .. })) => words,
        Some(_) => return,
    };
    if succeeded {
        let mut spare = spare;
        refuse(
            &mut spare,
            &format!("The gateway refused the outputs: {words}"),
        );
        deliver(site, lease, entry, encode(&spare)).await;
    }
}

fn say_lost(lease: &Lease) {
    let (job, attempt) = (&lease.attempt.job, lease.attempt.attempt);
    tracing::info!(
        job,
        attempt,
        "is no longer this node's; its results are dropped"
    );
}

/// Failures that the log does not explain yet.
fn tell(story: &Story, outcome: &Outcome) {
    match outcome {
        Outcome::Succeeded => {}
        Outcome::Failed { reason, message } => {
            use FailureReason as Why;
            if matches!(
                reason,
                Why::ImageMissing | Why::ContainerStart | Why::StageIn | Why::StageOut
            ) {
                story.note(Level::Error, message);
            }
        }
        Outcome::Interrupted { message } => story.note(Level::Error, message),
    }
}

fn refuse(completion: &mut Completion, words: &str) {
    completion.outputs.clear();
    let message = words.to_owned();
    completion.outcome = Outcome::Failed {
        reason: FailureReason::StageOut,
        message,
    };
}

/// Collects the outputs and uploads the large ones. Returns them with the sum of their sizes.
async fn stage_out(
    site: &Site,
    lease: &Lease,
    entry: &Entry,
    definition: &Arc<ServiceDefinition>,
    outbox: &Path,
) -> Result<(Vec<Output>, u64), Unpublished> {
    let (folder, taken) = (outbox.join("output"), Arc::clone(definition));
    let work = move || {
        let collected =
            collect(&folder, &taken.service.output).map_err(|error| error.to_string())?;
        // Read in the same breath: small files are what most runs leave.
        let read = |file: Collected| match file.source {
            Source::Inline => match read_small(&file) {
                Ok(text) => Ok((file, Some(OutputContent::Inline(text)))),
                Err(error) => Err(format!(
                    "The output {} could not be read: {error}.",
                    file.path.display()
                )),
            },
            Source::Blob => Ok((file, None)),
        };
        collected
            .into_iter()
            .map(read)
            .collect::<Result<Vec<_>, String>>()
    };
    let files = blocking(work)
        .await
        .map_err(|error| Unpublished::Failed(error.to_string()))?
        .map_err(Unpublished::Failed)?;
    let bytes = files.iter().map(|(file, _)| file.size).sum();
    let uploads = stream::iter(files).map(|(file, inline)| async move {
        let content = match inline {
            Some(content) => content,
            None => upload(site, lease, entry, &file).await?,
        };
        Ok((file, content))
    });
    let ready: Vec<(Collected, OutputContent)> = uploads.buffered(UPLOADS).try_collect().await?;
    let outputs = ready.into_iter().flat_map(|(file, content)| {
        let content_type = file.content_type;
        file.places.into_iter().map(move |place| Output {
            provider: place.provider,
            bucket: place.bucket,
            key: place.key,
            content_type: content_type.to_owned(),
            content: content.clone(),
        })
    });
    Ok((outputs.collect(), bytes))
}

fn read_small(file: &Collected) -> std::io::Result<String> {
    let mut bytes = Vec::with_capacity(usize::try_from(file.size).unwrap_or_default());
    open_left_behind(&file.path)?
        .take(file.size)
        .read_to_end(&mut bytes)?;
    Ok(STANDARD.encode(bytes))
}

async fn upload(
    site: &Site,
    lease: &Lease,
    entry: &Entry,
    file: &Collected,
) -> Result<OutputContent, Unpublished> {
    match persist(&entry.lost, || {
        site.link.blob(&lease.attempt, &file.path, file.size)
    })
    .await
    {
        Some(Ok(blob)) => Ok(OutputContent::Staged(blob.id)),
        None | Some(Err(LinkError::Gone { .. })) => Err(Unpublished::Lost),
        Some(Err(error)) => Err(Unpublished::Failed(format!(
            "An output could not be uploaded: {}.",
            causes(&error)
        ))),
    }
}

fn encode(completion: &Completion) -> Bytes {
    // Strings, numbers and times always have a JSON form; an empty body would be refused, and that be told.
    serde_json::to_vec(completion)
        .map(Bytes::from)
        .unwrap_or_default()
}

/// Delivers a completion. While the gateway is away it waits in a file, not in memory.
async fn deliver(
    site: &Site,
    lease: &Lease,
    entry: &Entry,
    body: Bytes,
) -> Option<Result<(), LinkError>> {
    let attempt = &lease.attempt;
    let bytes = body.len() as u64;
    let first = tokio::select! {
        biased;
        () = entry.lost.cancelled() => return None,
        first = site.link.complete(attempt, body.clone()) => first,
    };
    let delivered = match first {
        Err(error) if error.passes() => {
            let (folder, job) = (site.home.outbox(attempt), &attempt.job);
            tracing::warn!(
                job,
                attempt = attempt.attempt,
                error = causes(&error),
                "the end is kept until the gateway is back"
            );
            let file = folder.join("completion.json");
            let spooled = file.clone();
            let content = body.clone();
            let spool = move || {
                std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(spooled, content))
            };
            match blocking(spool).await.and_then(|done| done) {
                Ok(()) => {
                    drop(body);
                    persist(&entry.lost, || {
                        site.link.complete_from(attempt, &file, bytes)
                    })
                    .await?
                }
                Err(error) => {
                    // A full disk must not cost a result that exists.
                    tracing::warn!(job, attempt = attempt.attempt, %error, "the end is kept in memory, not on disk");
                    persist(&entry.lost, || site.link.complete(attempt, body.clone())).await?
                }
            }
        }
        first => first,
    };
    match &delivered {
        Ok(_) => tracing::debug!(job = attempt.job, attempt = attempt.attempt, "is done"),
        Err(LinkError::Gone { .. }) => {
            tracing::info!(
                job = attempt.job,
                attempt = attempt.attempt,
                "is no longer this node's; its results are dropped"
            );
        }
        Err(error) => {
            tracing::error!(
                job = attempt.job,
                attempt = attempt.attempt,
                error = causes(error),
                "cannot be reported"
            );
        }
    }
    Some(delivered.map(|_| ()))
}
