//! Jobs: accepted in the transaction of their event, granted to agents as leases, retried, and kept as dead
//! letters when all else failed.
//!
//! Owner of this module: the queue. Others use what is public here.

use jiff::Timestamp;
use rusqlite::Connection;

use crate::objects::Blobs;
use crate::store::{Store, StoreError};

/// Clonable handle to the queue.
#[derive(Debug, Clone)]
pub struct Queue {
    store: Store,
    blobs: Blobs,
}

/// Settings of the queue.
#[derive(Debug, Clone, Default)]
pub struct QueueSettings {}

/// An object that has just come into being, as its trigger sees it.
#[derive(Debug, Clone)]
pub struct CreatedObject {
    pub bucket: String,
    pub key: String,
    /// Blob that holds exactly this content; the job keeps a reference of its own.
    pub blob: i64,
    pub size: u64,
    pub etag: String,
    pub content_type: String,
    /// `s3:ObjectCreated:Put`, `…:Post`, `…:Copy`, `…:CompleteMultipartUpload`.
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

/// A job that is in a transaction, to be announced after its commit.
#[derive(Debug, Clone)]
pub struct QueuedJob {
    pub id: i64,
    pub name: String,
    pub service: String,
}

/// Which jobs of a service to delete.
#[derive(Debug, Clone)]
pub enum Which {
    Succeeded,
    All,
    One(String),
}

impl Queue {
    /// Starts a new epoch: everything that was leased is queued again unless its agent comes back for it.
    pub async fn start(
        _store: Store,
        _blobs: Blobs,
        _settings: QueueSettings,
    ) -> Result<Self, StoreError> {
        todo!()
    }

    /// Inside a write: adds the jobs that a new object triggers, each with a reference to its blob.
    pub fn trigger(
        &self,
        _db: &Connection,
        _created: &CreatedObject,
    ) -> Result<Vec<QueuedJob>, StoreError> {
        todo!()
    }

    /// After the commit: the jobs may be granted from now on.
    pub fn announce(&self, _jobs: Vec<QueuedJob>) {
        todo!()
    }

    /// Accepts a direct call durably and announces it.
    pub async fn call(&self, _call: DirectCall) -> Result<QueuedJob, StoreError> {
        todo!()
    }

    /// After the commit of any change to the table of services.
    pub fn services_changed(&self) {
        todo!()
    }

    /// Deletes jobs with their logs and inputs, killing those that run; returns how many.
    pub async fn delete(&self, _service: &str, _which: Which) -> Result<u64, StoreError> {
        todo!()
    }
}
