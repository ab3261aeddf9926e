//! From a grant to the lease an agent gets, and what agents may ask of their leases.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::{BoxStream, once};
use spillway_model::event::{Staged, StagedInput, safe_file_name, stage};
use spillway_model::report::{JobState, NodeReport};
use spillway_model::service::Service;
use spillway_model::wire::link::{
    Attempt, FailureReason, Heartbeat, INLINE_BYTES, InputFile, Join, Lease, Poll, PollAnswer,
};
use tokio::sync::oneshot;
use tracing::{debug, error};

use super::Queue;
use super::board::Grant;
use super::cause::{CallCause, CallInput, Cause, Stored};
use super::dispatcher::Ask;
use super::event;
use super::listing;
use super::rows::{self, Ending};
use crate::objects::ObjectError;
use crate::store::StoreError;

/// Bytes of an input, piece by piece, and how many there are.
pub(crate) type Content = (u64, BoxStream<'static, std::io::Result<Bytes>>);

/// Why there is no input to hand out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InputError {
    /// It will not be there the next time either.
    #[error("{0}")]
    Missing(String),
    #[error("reading the input")]
    Object(#[from] ObjectError),
    #[error("the database")]
    Store(#[from] StoreError),
}

/// A job's input and event, resolved.
struct Resolved {
    environment: BTreeMap<String, String>,
    event: String,
    name: String,
    source: Source,
}

enum Source {
    Blob { id: i64, size: u64 },
    Bytes(Vec<u8>),
}

impl Queue {
    /// An agent's join is in the table: its node takes part from now on.
    pub(crate) async fn join(&self, about: Join) {
        let node = about.node.clone();
        let (reply, unknown) = oneshot::channel();
        self.0
            .dispatcher
            .ask(Ask::Join {
                about: Box::new(about),
                reply,
            })
            .await;
        for attempt in unknown.await.unwrap_or_default() {
            self.claim(&node, &attempt).await;
        }
    }

    /// Waits for work, as long as the poll says. Nothing when the node is not known: it has to join.
    pub(crate) async fn poll(&self, node: &str, poll: Poll) -> Option<PollAnswer> {
        let (reply, answer) = oneshot::channel();
        self.0
            .dispatcher
            .ask(Ask::Poll {
                node: node.to_owned(),
                poll,
                reply,
            })
            .await;
        let answer = answer.await.ok()?;
        let leases = answer
            .grants
            .into_iter()
            .map(|grant| self.hand_over(node, grant));
        let leases = futures::future::join_all(leases)
            .await
            .into_iter()
            .flatten()
            .collect();
        Some(PollAnswer {
            leases,
            cancelled: answer.cancelled,
            wanted: answer.wanted,
        })
    }

    /// Extends leases; returns the attempts that are not the node's.
    pub(crate) async fn heartbeat(&self, node: &str, heartbeat: Heartbeat) -> Vec<Attempt> {
        let (reply, unknown) = oneshot::channel();
        self.0
            .dispatcher
            .ask(Ask::Heartbeat {
                node: node.to_owned(),
                heartbeat,
                reply,
            })
            .await;
        let mut lost = Vec::new();
        for attempt in unknown.await.unwrap_or_default() {
            if !self.claim(node, &attempt).await {
                lost.push(attempt);
            }
        }
        lost
    }

    /// Whether the attempt is the node's, claiming it if it may be.
    pub(crate) async fn holds(&self, node: &str, attempt: &Attempt) -> bool {
        let (reply, holds) = oneshot::channel();
        self.0
            .dispatcher
            .ask(Ask::Holds {
                node: node.to_owned(),
                attempt: attempt.clone(),
                reply,
            })
            .await;
        holds.await.unwrap_or(false) || self.claim(node, attempt).await
    }

    /// All nodes, by name.
    pub async fn nodes(&self) -> Vec<NodeReport> {
        let (reply, nodes) = oneshot::channel();
        self.0.dispatcher.ask(Ask::Nodes(reply)).await;
        nodes.await.unwrap_or_default()
    }

    /// The input of a job that has not succeeded, as its script gets it.
    pub(crate) async fn input(&self, job: &str) -> Result<Option<Content>, InputError> {
        let name = job.to_owned();
        let found = self
            .0
            .store
            .read(move |db| listing::find(db, &name))
            .await?;
        let Some(found) = found.filter(|found| found.report.state != JobState::Succeeded) else {
            return Ok(None);
        };
        let resolved = self.resolve(&found.report.service, &found.stored).await?;
        Ok(Some(match resolved.source {
            Source::Bytes(bytes) => (
                bytes.len() as u64,
                once(async { Ok(Bytes::from(bytes)) }).boxed(),
            ),
            Source::Blob { id, size } => (size, self.0.blobs.read(id, 0..size).await?),
        }))
    }

    async fn claim(&self, node: &str, attempt: &Attempt) -> bool {
        let (owner, wanted, epoch) = (node.to_owned(), attempt.clone(), self.0.epoch);
        match self
            .0
            .store
            .write(move |db| rows::claim(db, &owner, &wanted, epoch))
            .await
        {
            Ok(Some(row)) => {
                debug!(job.id = %row.name, attempt = row.attempt, node = %row.node, "taken up again by its node");
                self.0.dispatcher.ask(Ask::Claimed(row)).await;
                true
            }
            Ok(None) => false,
            Err(error) => {
                error!(%error, job.id = %attempt.job, "a claim could not be written");
                true // The node keeps it, and says so again with its next heartbeat.
            }
        }
    }

    /// Records the grant and writes the lease out. Nothing if the job turns out not to be had.
    async fn hand_over(&self, node: &str, grant: Grant) -> Option<Lease> {
        let (id, number, now_ms) = (grant.id, grant.attempt, self.now_ms());
        let owner = node.to_owned();
        if grant.fresh {
            self.0.store.write_lazily(move |db| {
                rows::record_grant(db, id, number, &owner, now_ms).map(drop)
            });
        } else {
            let recorded = self
                .0
                .store
                .write(move |db| rows::record_grant(db, id, number, &owner, now_ms))
                .await;
            if !recorded.unwrap_or(false) {
                self.0
                    .dispatcher
                    .ask(Ask::Void {
                        id,
                        attempt: number,
                    })
                    .await;
                return None;
            }
        }
        let attempt = Attempt {
            job: grant.name.clone(),
            attempt: number,
        };
        match self.lease(attempt.clone(), &grant).await {
            Ok(lease) => Some(lease),
            Err(error) => {
                let message = match &error {
                    InputError::Missing(message) => message.clone(),
                    other => format!("the input cannot be read: {other}"),
                };
                let ending = match error {
                    InputError::Missing(_) => Ending::Hopeless {
                        reason: FailureReason::StageIn,
                        message,
                    },
                    InputError::Object(_) => Ending::Failed {
                        reason: FailureReason::StageIn,
                        message,
                    },
                    InputError::Store(_) => Ending::Interrupted { message },
                };
                self.end(node, attempt, ending).await;
                None
            }
        }
    }

    async fn lease(&self, attempt: Attempt, grant: &Grant) -> Result<Lease, InputError> {
        let id = grant.id;
        let stored = match &grant.stored {
            Some(stored) => Stored::clone(stored),
            None => self
                .0
                .store
                .read(move |db| rows::stored(db, id))
                .await?
                .ok_or_else(|| InputError::Missing("the job was deleted".to_owned()))?,
        };
        let resolved = self.resolve(&grant.entry.name, &stored).await?;
        let mut environment = resolved.environment;
        environment.insert("JOB_UUID".to_owned(), attempt.job.clone());
        let input = if grant.entry.stage_in {
            Some(self.input_file(resolved.name, resolved.source).await?)
        } else {
            None
        };
        Ok(Lease {
            attempt,
            service: grant.entry.name.clone(),
            revision: grant.entry.revision,
            resources: grant.entry.resources,
            environment,
            event: resolved.event,
            input,
        })
    }

    async fn input_file(&self, name: String, source: Source) -> Result<InputFile, InputError> {
        let (size, content) = match source {
            Source::Blob { id, size } if size <= INLINE_BYTES => {
                (size, Some(self.0.blobs.read_all(id, INLINE_BYTES).await?))
            }
            Source::Blob { size, .. } => (size, None),
            Source::Bytes(bytes) => (
                bytes.len() as u64,
                Some(bytes).filter(|all| all.len() as u64 <= INLINE_BYTES),
            ),
        };
        Ok(InputFile {
            name,
            size,
            inline: content.map(|content| STANDARD.encode(content)),
        })
    }

    /// Only a call that brings its own event needs the service to be read.
    async fn resolve(&self, service: &str, stored: &Stored) -> Result<Resolved, InputError> {
        match &stored.cause {
            Cause::Object(object) => Ok(Resolved {
                environment: event::storage_variables(&object.key, object.time),
                event: event::notification(object),
                name: safe_file_name(&object.key),
                source: Source::Blob {
                    id: stored.blob.ok_or_else(gone)?,
                    size: object.size,
                },
            }),
            Cause::Call(call) => self.resolve_call(service, call, stored.blob).await,
        }
    }

    async fn resolve_call(
        &self,
        service: &str,
        call: &CallCause,
        blob: Option<i64>,
    ) -> Result<Resolved, InputError> {
        let body = match &call.body {
            Some(text) => text.clone().into_bytes(),
            None => {
                self.0
                    .blobs
                    .read_all(blob.ok_or_else(gone)?, self.0.settings.body_limit)
                    .await?
            }
        };
        let Staged {
            environment,
            event_text,
            input,
        } = match self.catalog().get(service) {
            Some(entry) => stage(&body, &entry.service),
            None => stage(&body, &Service::default()),
        };
        let (name, source) = match (&call.input, input) {
            (CallInput::Missing { message }, _) => {
                return Err(InputError::Missing(message.clone()));
            }
            (CallInput::Remote { key, .. }, _) => {
                return Err(InputError::Missing(format!(
                    "the input '{key}' has not arrived yet"
                )));
            }
            (CallInput::Object { key, size, .. }, _) => (
                safe_file_name(key),
                Source::Blob {
                    id: blob.ok_or_else(gone)?,
                    size: *size,
                },
            ),
            (CallInput::Body { name, .. }, StagedInput::Content { bytes, .. }) => {
                (name.clone(), Source::Bytes(bytes))
            }
            (CallInput::Body { name, .. }, _) => (name.clone(), Source::Bytes(body)),
            (CallInput::None, _) => ("event".to_owned(), Source::Bytes(Vec::new())),
        };
        Ok(Resolved {
            environment,
            event: event_text,
            name,
            source,
        })
    }
}

fn gone() -> InputError {
    InputError::Missing("the input is gone: the job has succeeded or was deleted".to_owned())
}
