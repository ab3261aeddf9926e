//! The end of an attempt: outputs, log, state and the jobs that the outputs trigger, in one transaction.

mod outputs;

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};
use spillway_model::service::Service;
use spillway_model::wire::link::{Attempt, Completion, FailureReason, Outcome, Spans, Usage};
use tracing::{error, info, warn};

use super::Queue;
use super::catalog::{Catalog, Entry};
use super::dispatcher::Ask;
use super::reach::{self, Home};
use super::rows::{self, Account, After, Ending, Finished, Limits};
use crate::objects::{self, Effects, NewBlob, ObjectError};
use crate::outbox;
use crate::store::StoreError;
pub(super) use outputs::Staging;
use outputs::{Delivery, Outputs};

/// Longest log that is kept of one attempt, in bytes; agents cut theirs long before.
const LOG_LIMIT: usize = 4 * 1024 * 1024;

/// Why a completion (or the upload of an output) was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum CompleteError {
    #[error("the attempt is no longer this node's")]
    Gone,
    #[error("{0}")]
    Invalid(String),
    #[error("keeping an output")]
    Object(#[from] ObjectError),
    #[error("the database")]
    Store(#[from] StoreError),
}

/// What the last attempt took, as the column `report` keeps it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct LastAttempt {
    pub(crate) usage: Usage,
    pub(crate) spans: Spans,
    pub(crate) queued_us: u64,
    /// `bucket/key` of what was published, the first few.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) outputs: Vec<String>,
    /// How many there are, named or not.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) output_count: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // As serde calls it.
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What is published in the transaction. Handed back after the commit, so that the files are kept only then.
struct Published {
    finished: Finished,
    blobs: Vec<NewBlob>,
    effects: Effects,
    has_deliveries: bool,
}

enum PublishError {
    /// The outputs cannot be published as they are: the service's doing.
    Refused(String),
    Store(StoreError),
}

impl From<StoreError> for PublishError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Queue {
    /// Commits the end of an attempt. Accepted once; the same end reported again is well, an older attempt's is
    /// [`CompleteError::Gone`].
    pub(crate) async fn complete(
        &self,
        node: &str,
        attempt: Attempt,
        completion: Completion,
    ) -> Result<(), CompleteError> {
        let queue = self.clone();
        let node = node.to_owned();
        // On its own task: the agent may hang up between the commit and the moment the files are kept.
        let work = self
            .0
            .tasks
            .spawn(async move { Box::pin(queue.carry_out(&node, attempt, completion)).await });
        work.await
            .unwrap_or(Err(CompleteError::Store(StoreError::Closed)))
    }

    async fn carry_out(
        &self,
        node: &str,
        attempt: Attempt,
        completion: Completion,
    ) -> Result<(), CompleteError> {
        let account = self.account(&completion);
        let staged = self.0.staged.take(&attempt);
        let ending = match completion.outcome {
            Outcome::Failed { reason, message } => Ending::Failed { reason, message },
            Outcome::Interrupted { message } => Ending::Interrupted { message },
            Outcome::Succeeded => match self.collect(completion.outputs, staged).await {
                Ok(outputs) => return self.publish(node, attempt, outputs, account).await,
                Err(CompleteError::Invalid(message)) => {
                    warn!(job.id = %attempt.job, attempt = attempt.attempt, "{message}; the job runs again");
                    Ending::Interrupted { message }
                }
                Err(error) => return Err(error),
            },
        };
        self.write_end(node, attempt, ending, Some(account)).await
    }

    /// Ends an attempt for reasons of our own, before any agent has seen it.
    pub(super) async fn end(&self, node: &str, attempt: Attempt, ending: Ending) {
        let message = match &ending {
            Ending::Failed { message, .. }
            | Ending::Hopeless { message, .. }
            | Ending::Interrupted { message } => message.clone(),
            Ending::Succeeded => String::new(),
        };
        let account = Account {
            log: format!("{} {message}\n", super::timestamp(self.now_ms())),
            started_ms: None,
            report: None,
        };
        let job = attempt.job.clone();
        if let Err(error) = self.write_end(node, attempt, ending, Some(account)).await {
            error!(%error, job.id = %job, "the end of an attempt could not be written; its lease will lapse");
        }
    }

    async fn write_end(
        &self,
        node: &str,
        attempt: Attempt,
        ending: Ending,
        account: Option<Account>,
    ) -> Result<(), CompleteError> {
        let (owner, ended, epoch, now_ms) = (
            node.to_owned(),
            attempt.clone(),
            self.0.epoch,
            self.now_ms(),
        );
        let cpu_us = cpu_us(account.as_ref());
        let (limits, catalog) = (self.limits(), self.catalog());
        let finished = self
            .0
            .store
            .write(move |db| {
                let retries = retries(db, &ended.job, &catalog)?;
                let limits = Limits {
                    retries: retries.unwrap_or(limits.retries),
                    ..limits
                };
                rows::finish(
                    db,
                    &owner,
                    &ended,
                    &ending,
                    account.as_ref(),
                    &limits,
                    epoch,
                    now_ms,
                )
            })
            .await?;
        self.tell(attempt, finished, cpu_us).await
    }

    /// Publishes the outputs and marks the job as succeeded, or, if they cannot be published, as failed.
    async fn publish(
        &self,
        node: &str,
        attempt: Attempt,
        outputs: Outputs,
        account: Account,
    ) -> Result<(), CompleteError> {
        let cpu_us = cpu_us(Some(&account));
        let told = account.clone();
        let (queue, owner, ended) = (self.clone(), node.to_owned(), attempt.clone());
        let written = self
            .0
            .store
            .write(move |db| queue.publish_in(db, &owner, &ended, outputs, told))
            .await;
        match written {
            Ok(Published {
                finished,
                blobs,
                effects,
                has_deliveries,
            }) => {
                blobs.into_iter().for_each(NewBlob::keep);
                effects.announce(self);
                if has_deliveries {
                    self.errands().deliveries.notify_one();
                }
                self.tell(attempt, finished, cpu_us).await
            }
            Err(PublishError::Refused(message)) => {
                let ending = Ending::Failed {
                    reason: FailureReason::StageOut,
                    message,
                };
                self.write_end(node, attempt, ending, Some(account)).await
            }
            Err(PublishError::Store(error)) => Err(error.into()),
        }
    }

    fn publish_in(
        &self,
        db: &Connection,
        node: &str,
        attempt: &Attempt,
        mut outputs: Outputs,
        mut account: Account,
    ) -> Result<Published, PublishError> {
        let (epoch, now_ms) = (self.0.epoch, self.now_ms());
        let entry = entry_of(db, &attempt.job, &self.catalog())?;
        let home = Home::of(db, &attempt.job, entry.as_deref())?;
        self.note_deliveries(&mut outputs, entry.as_deref(), &mut account);
        for (object, _) in &mut outputs.objects {
            object.principal.clone_from(&home.principal);
            let owner = entry.as_ref().map_or("", |entry| &entry.owner);
            if !home.take_in(&mut object.bucket) && !reach::may_write(db, owner, &object.bucket)? {
                return Err(PublishError::Refused(format!(
                    "the output '{}' cannot be written to the bucket '{}': the owner of the service has no access to it any more",
                    object.key, object.bucket
                )));
            }
        }
        if let Some(last) = &mut account.report {
            last.outputs = outputs.names();
            last.output_count = outputs.objects.len() as u64;
        }
        let finished = rows::finish(
            db,
            node,
            attempt,
            &Ending::Succeeded,
            Some(&account),
            &self.limits(),
            epoch,
            now_ms,
        )?;
        if !matches!(finished.after, After::Over) {
            // Stale or a repetition: nothing is published, the files go.
            return Ok(Published {
                finished,
                blobs: Vec::new(),
                effects: Effects::default(),
                has_deliveries: false,
            });
        }
        let Outputs {
            blobs,
            objects,
            deliveries,
        } = outputs;
        for blob in &blobs {
            blob.insert(db)?;
        }
        let mut effects = Effects::default();
        for (object, place) in objects {
            let Some(blob) = blobs.get(place) else {
                continue;
            };
            let led_to =
                objects::put_output(db, self, &object, blob.id).map_err(|error| match error {
                    ObjectError::Store(error) => PublishError::Store(error),
                    refused => PublishError::Refused(format!(
                        "the output '{}' cannot be written to the bucket '{}': {refused}",
                        object.key, object.bucket
                    )),
                })?;
            effects.add(led_to);
        }
        self.hand_to_outbox(db, attempt, &finished.service, &blobs, &deliveries)?;
        Ok(Published {
            finished,
            blobs,
            effects,
            has_deliveries: !deliveries.is_empty(),
        })
    }

    /// Outputs for storages elsewhere, in the transaction that ends their job.
    fn hand_to_outbox(
        &self,
        db: &Connection,
        attempt: &Attempt,
        service: &str,
        blobs: &[NewBlob],
        deliveries: &[(Delivery, usize)],
    ) -> Result<(), PublishError> {
        if deliveries.is_empty() {
            return Ok(());
        }
        let limit = self.0.settings.deliveries;
        if outbox::waiting(db)? >= limit {
            return Err(PublishError::Refused(format!(
                "{limit} files wait to be delivered to storages elsewhere, which is the limit; GET /spillway/v1/deliveries says why"
            )));
        }
        for (delivery, place) in deliveries {
            let Some(blob) = blobs.get(*place) else {
                continue;
            };
            outbox::insert(
                db,
                &outbox::NewDelivery {
                    job: &attempt.job,
                    service,
                    provider: &delivery.provider,
                    bucket: &delivery.bucket,
                    key: &delivery.key,
                    content_type: &delivery.content_type,
                    blob: blob.id,
                    size: blob.size,
                    now_ms: self.now_ms(),
                },
            )?;
        }
        Ok(())
    }

    /// Tells what is left for storages elsewhere, and says so in the job's log.
    fn note_deliveries(&self, outputs: &mut Outputs, entry: Option<&Entry>, account: &mut Account) {
        let service = entry.map(|entry| &entry.service);
        let counts = outputs.bring_home(service.unwrap_or(&Service::default()));
        for (provider, files) in counts {
            let word = if files == 1 { "file" } else { "files" };
            let now = super::timestamp(self.now_ms());
            let line = format!("{now} delivering {files} {word} to {provider}\n");
            account.log.push_str(&line);
        }
    }

    /// Lets the dispatcher know; the answer to whoever completed.
    async fn tell(
        &self,
        attempt: Attempt,
        finished: Finished,
        cpu_us: u64,
    ) -> Result<(), CompleteError> {
        let is_accepted = !matches!(finished.after, After::Stale);
        if matches!(finished.after, After::Over) {
            self.0.room.one_less();
        }
        match &finished.after {
            After::Over | After::Queued(_) => {
                self.0.settings.metrics.cpu(&finished.service, cpu_us);
                info!(job.id = %attempt.job, attempt = attempt.attempt, after = finished.after.word(), "attempt ended");
            }
            After::Stale => {
                warn!(job.id = %attempt.job, attempt = attempt.attempt, "refused the result of an old attempt");
            }
            After::Repeated => (),
        }
        let number = attempt.attempt;
        self.0.live.end(&attempt).await;
        self.0
            .dispatcher
            .ask(Ask::Ended {
                finished,
                attempt: number,
            })
            .await;
        if is_accepted {
            Ok(())
        } else {
            Err(CompleteError::Gone)
        }
    }

    fn limits(&self) -> Limits {
        Limits {
            retries: spillway_model::service::DEFAULT_RETRIES,
            interruptions: self.0.settings.interruptions,
            backoff: self.0.settings.backoff,
        }
    }

    fn account(&self, completion: &Completion) -> Account {
        // The node's clock may be off; how long ago something was is not.
        let ran_ms = completion
            .started_at
            .map(|started| completion.finished_at.duration_since(started).as_millis());
        let since_ms = |ran: i128| {
            let staged_out = i128::from(completion.spans.stage_out_us / 1000);
            i64::try_from(ran.max(0) + staged_out).unwrap_or(0)
        };
        let started_ms = ran_ms.map(|ran| self.now_ms() - since_ms(ran));
        let last = LastAttempt {
            usage: completion.usage,
            spans: completion.spans,
            ..LastAttempt::default()
        };
        Account {
            log: cut(&completion.log).to_owned(),
            started_ms,
            report: Some(last),
        }
    }
}

/// `edge.retries` of the job's service as it is now.
fn retries(db: &Connection, job: &str, catalog: &Catalog) -> Result<Option<u32>, StoreError> {
    Ok(entry_of(db, job, catalog)?.map(|entry| entry.retries))
}

/// The job's service as it is now.
fn entry_of(
    db: &Connection,
    job: &str,
    catalog: &Catalog,
) -> Result<Option<Arc<Entry>>, StoreError> {
    let service: Option<String> = db
        .prepare_cached("SELECT service FROM jobs WHERE name = ?1")?
        .query_row([job], |row| row.get(0))
        .optional()?;
    Ok(service.and_then(|service| catalog.get(&service).cloned()))
}

/// Processor time of the attempt.
fn cpu_us(account: Option<&Account>) -> u64 {
    let report = account.and_then(|account| account.report.as_ref());
    report.map_or(0, |last| last.usage.cpu_us)
}

/// The log's first part, up to the limit and the end of a character.
fn cut(log: &str) -> &str {
    log.get(..log.floor_char_boundary(LOG_LIMIT)).unwrap_or(log)
}
