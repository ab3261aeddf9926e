//! Jobs: accepted in the transaction of their event, granted to agents as leases, retried, and kept as dead
//! letters when all else failed.
//!
//! The rows in the database are the truth. One task, the dispatcher, holds a window on them and decides who gets
//! what in memory; every consequence of a decision is written on the condition that the row still agrees. So a
//! crash at any point costs at most a repeated run, never a lost job nor a second publication.

mod accept;
mod backoff;
mod board;
mod catalog;
mod cause;
mod clock;
mod completion;
mod dispatcher;
mod event;
mod leasing;
mod listing;
mod live;
mod reach;
mod removal;
mod retention;
mod room;
mod rows;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::Connection;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use accept::CallError;
pub use backoff::Backoff;
pub(crate) use catalog::Needs;
pub use clock::Clock;
pub(crate) use clock::timestamp;
pub use completion::CompleteError;
pub use listing::JobFilter;
pub(crate) use listing::revive;
pub(crate) use live::Live;

use crate::metrics::{Kind, Metrics};
use crate::objects::{Blobs, Hub, NewBlob};
use crate::store::{Store, StoreError};
use board::{Board, Ready};
use catalog::Catalog;
pub(crate) use catalog::Entry;
use cause::Stored;
pub(crate) use cause::with_input;
use dispatcher::Dispatcher;
use room::Room;

/// Clonable handle to the queue.
#[derive(Debug, Clone)]
pub struct Queue(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Store,
    blobs: Blobs,
    settings: QueueSettings,
    epoch: i64,
    dispatcher: dispatcher::Handle,
    /// What the services look like since the last change; written by the dispatcher alone.
    catalog: watch::Sender<Arc<Catalog>>,
    errands: Arc<Errands>,
    staged: Arc<completion::Staging>,
    hub: Hub,
    live: Live,
    room: Room,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// Settings of the queue.
#[derive(Debug, Clone)]
pub struct QueueSettings {
    /// A lease lapses so long after the last heartbeat that named it.
    pub lease: Duration,
    /// Agents send a heartbeat at least this often.
    pub heartbeat: Duration,
    /// A lease that the agent's next heartbeat does not name is taken back when it is older than this: the
    /// connection broke while it was handed over.
    pub handover: Duration,
    /// Between attempts that failed.
    pub backoff: Backoff,
    /// Interruptions after which a job is given up.
    pub interruptions: u32,
    /// Jobs that are neither done nor given up, at most; beyond that, new events are refused. Outputs of jobs are
    /// not: what they trigger must not be lost.
    pub unfinished: u64,
    /// Finished jobs and dead letters are kept so long (OSCAR's `TTL_JOB`).
    pub keep: Duration,
    /// So many of them at most; the oldest go first.
    pub keep_jobs: u64,
    /// Their logs together take at most so many bytes.
    pub keep_log_bytes: u64,
    /// Largest body of a direct call that is read back, in bytes.
    pub body_limit: u64,
    /// Largest output, in bytes.
    pub output_limit: u64,
    /// Files that may wait to be delivered to storages elsewhere; jobs that would add more fail.
    pub deliveries: u64,
    /// Folder of the logs of running attempts; made when missing, emptied at start. Absent: `live` beside the
    /// database.
    pub live: Option<PathBuf>,
    /// Where accepted jobs are counted.
    pub metrics: Metrics,
    /// What time it is.
    pub clock: Clock,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(30),
            heartbeat: Duration::from_secs(10),
            handover: Duration::from_secs(5),
            backoff: Backoff::default(),
            interruptions: 100,
            unfinished: 1_000_000,
            keep: Duration::from_hours(720),
            keep_jobs: 100_000,
            keep_log_bytes: 256 * 1024 * 1024,
            body_limit: 64 * 1024 * 1024,
            output_limit: 64 * 1024 * 1024 * 1024,
            deliveries: 1_000_000,
            live: None,
            metrics: Metrics::default(),
            clock: Clock::System,
        }
    }
}

/// An object that has just come into being, or has been deleted, as its trigger sees it.
#[derive(Debug, Clone)]
pub struct CreatedObject {
    pub bucket: String,
    pub key: String,
    /// Blob that holds exactly this content; the job keeps a reference of its own.
    pub blob: i64,
    pub size: u64,
    pub etag: String,
    pub content_type: String,
    /// `s3:ObjectCreated:Put`, `…:Post`, `…:Copy`, `…:CompleteMultipartUpload`; `s3:ObjectRemoved:Delete`.
    pub event: &'static str,
    /// Access key of whoever wrote it; the service's owner for outputs of a job.
    pub principal: String,
    pub source_ip: String,
    pub user_agent: String,
    pub time: Timestamp,
}

/// A job that a client asked for with `POST /job/{service}`.
#[derive(Debug, Clone)]
pub struct DirectCall {
    pub service: String,
    /// Name to use (`X-Delegated-Job-ID`), else one is made.
    pub name: Option<String>,
    /// The raw request body.
    pub body: Vec<u8>,
    /// Who called; empty for a service token.
    pub caller: String,
}

/// A file that was fetched from a watched folder.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    pub(crate) service: String,
    /// `<type>.<id>`
    pub(crate) provider: String,
    /// Empty where the provider has none.
    pub(crate) bucket: String,
    /// The watched folder, without slashes around it.
    pub(crate) folder: String,
    pub(crate) key: String,
    pub(crate) etag: String,
    pub(crate) content_type: String,
    /// Of the service.
    pub(crate) owner: String,
    /// When the file was written.
    pub(crate) time: Timestamp,
}

/// A job that is in a transaction, to be announced after its commit.
#[derive(Debug, Clone)]
pub struct QueuedJob {
    pub id: i64,
    pub name: String,
    pub service: String,
    /// Who triggered it; empty: nobody in particular.
    pub owner: String,
    priority: i32,
    ready_ms: i64,
    stored: Option<Arc<Stored>>,
}

/// Wakes up those who carry files to and from storages elsewhere.
#[derive(Debug, Default)]
pub(crate) struct Errands {
    /// There are new deliveries.
    pub(crate) deliveries: Notify,
    /// Somebody wants deliveries to be tried again at once.
    pub(crate) retried: Notify,
    /// There are jobs whose input is to be fetched.
    pub(crate) fetches: Notify,
}

/// Which jobs of a service to delete.
#[derive(Debug, Clone)]
pub enum Which {
    Succeeded,
    All,
    One(String),
}

impl Queue {
    /// Starts a new epoch. What was leased stays with its node for one lease time, so that the agent can go on with
    /// it or deliver it; what nobody names by then is queued again.
    pub async fn start(
        store: Store,
        blobs: Blobs,
        settings: QueueSettings,
    ) -> Result<Self, StoreError> {
        let (epoch, leased, nodes, catalog, unfinished) = store
            .write(|db| {
                let epoch = dispatcher::next_epoch(db)?;
                Ok::<_, StoreError>((
                    epoch,
                    rows::leased(db)?,
                    dispatcher::known_nodes(db)?,
                    Catalog::load(db)?,
                    room::count(db)?,
                ))
            })
            .await?;
        let live = Live::open(
            settings
                .live
                .clone()
                .unwrap_or_else(|| store.folder().join("live")),
        )
        .await;
        let room = Room::new(unfinished, settings.unfinished);
        let (handle, inbox) = dispatcher::channel();
        let catalog = Arc::new(catalog);
        let mut board = Board::new(epoch, settings.lease);
        board.set_catalog(Arc::clone(&catalog));
        dispatcher::restore(&mut board, leased, nodes);
        let shared = Arc::new(Shared {
            store,
            blobs,
            settings,
            epoch,
            dispatcher: handle,
            catalog: watch::Sender::new(catalog),
            errands: Arc::default(),
            staged: Arc::default(),
            hub: Hub::default(),
            live,
            room,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        });
        let dispatcher = Dispatcher::new(&shared, board, inbox);
        shared.tasks.spawn(dispatcher.run());
        shared.tasks.spawn(retention::run(
            shared.store.clone(),
            shared.settings.clone(),
            shared.room.clone(),
            shared.stop.clone(),
        ));
        Ok(Self(shared))
    }

    /// Answers the polls that wait and grants nothing any more. What is completed is still taken.
    pub fn stop_granting(&self) {
        self.0.stop.cancel();
        self.0.hub.close();
    }

    /// Stops granting and waits for what is being written.
    pub async fn stop(&self) {
        self.stop_granting();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    /// Inside a write: adds the jobs that a new object triggers, each with a reference to its blob.
    pub fn trigger(
        &self,
        db: &Connection,
        created: &CreatedObject,
    ) -> Result<Vec<QueuedJob>, StoreError> {
        accept::trigger(
            db,
            created,
            &self.catalog(),
            self.0.epoch,
            self.0.settings.clock.now_ms(),
        )
    }

    /// After the commit: the jobs may be granted from now on.
    pub fn announce(&self, jobs: Vec<QueuedJob>) {
        self.0.room.add(jobs.len());
        for job in &jobs {
            let metrics = &self.0.settings.metrics;
            metrics.request(Kind::Async, &job.service, &job.owner);
        }
        self.0.dispatcher.announce(jobs);
    }

    /// Accepts a direct call durably and announces it. A second call with the name of a job that is there already
    /// is the same job.
    pub async fn call(&self, call: DirectCall) -> Result<QueuedJob, CallError> {
        accept::call(self, call).await
    }

    /// A service as it is now, without what is large or secret.
    pub(crate) async fn service(
        &self,
        name: &str,
    ) -> Result<Option<spillway_model::service::Service>, StoreError> {
        if let Some(entry) = self.catalog().get(name) {
            return Ok(Some(entry.service.clone()));
        }
        // It may have been made a moment ago: the catalog follows the table, it does not lead.
        let catalog = self.0.store.read(Catalog::load).await?;
        Ok(catalog.get(name).map(|entry| entry.service.clone()))
    }

    /// Those who listen to buckets.
    pub(crate) fn hub(&self) -> &Hub {
        &self.0.hub
    }

    /// Accepts a file from a watched folder durably and announces its job; returns the job's name. Nothing when `mark`, which
    /// notes in the same transaction that the file was seen, says no, or the queue is full.
    pub(crate) async fn arrive(
        &self,
        arrival: Arrival,
        blob: NewBlob,
        mark: impl FnOnce(&Connection) -> Result<bool, StoreError> + Send + 'static,
    ) -> Result<Option<String>, StoreError> {
        accept::arrive(self, arrival, blob, mark).await
    }

    /// Jobs of the service became ready without being announced.
    pub(crate) async fn look_again(&self, service: String) {
        self.0
            .dispatcher
            .ask(dispatcher::Ask::Revived(vec![service]))
            .await;
    }

    /// A job ended outside of the dispatcher.
    pub(crate) fn one_less(&self) {
        self.0.room.one_less();
    }

    /// The limit of unfinished jobs, if it is reached: no new event is to be accepted.
    pub(crate) fn exhausted(&self) -> Option<u64> {
        self.0.room.exhausted()
    }

    /// After the commit of any change to the table of services.
    pub fn services_changed(&self) {
        self.0.dispatcher.services_changed();
    }

    /// Deletes jobs with their logs and inputs, killing those that run; returns how many.
    pub async fn delete(&self, service: &str, which: Which) -> Result<u64, StoreError> {
        self.delete_of(service, which, None).await
    }

    /// The same for the jobs of one owner, if there is one named.
    pub(crate) async fn delete_of(
        &self,
        service: &str,
        which: Which,
        owner: Option<String>,
    ) -> Result<u64, StoreError> {
        let (queue, service) = (self.clone(), service.to_owned());
        // On its own task: what was deleted must be told to those who run it, even if the client hangs up.
        let work = self
            .0
            .tasks
            .spawn(async move { removal::delete(&queue.0, &service, which, owner).await });
        work.await.unwrap_or(Err(StoreError::Closed))
    }

    /// What a service asks of its node; nothing while it is not known here.
    pub(crate) fn needs(&self, service: &str) -> Option<Needs> {
        let catalog = self.catalog();
        let entry = catalog.get(service)?;
        Some(Needs {
            resources: entry.resources,
            selector: entry.selector.clone(),
        })
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.0.stop.is_cancelled()
    }

    fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.0.catalog.borrow())
    }

    /// The service as the queue knows it: without its script, but with the credentials of its providers.
    pub(crate) fn definition(&self, service: &str) -> Option<Arc<Entry>> {
        self.catalog().get(service).cloned()
    }

    /// Tells of each change of the services, once the queue knows of it.
    pub(crate) fn catalog_changes(&self) -> watch::Receiver<Arc<Catalog>> {
        self.0.catalog.subscribe()
    }

    /// What the queue leaves to others.
    pub(crate) fn errands(&self) -> &Errands {
        &self.0.errands
    }

    pub(crate) fn epoch(&self) -> i64 {
        self.0.epoch
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.0.settings.clock.now_ms()
    }

    /// What agents are told when they join.
    pub(crate) fn settings(&self) -> &QueueSettings {
        &self.0.settings
    }

    pub(crate) fn live(&self) -> &Live {
        &self.0.live
    }

    pub(crate) fn blobs(&self) -> &Blobs {
        &self.0.blobs
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }
}

impl QueuedJob {
    fn ready(self) -> Ready {
        Ready {
            id: self.id,
            name: self.name,
            priority: self.priority,
            ready_ms: self.ready_ms,
            attempt: 0,
            fresh: true,
            stored: self.stored,
        }
    }
}
