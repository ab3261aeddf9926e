//! What the gateway tells about jobs and nodes beyond OSCAR's API, under [`PREFIX`]. The CLI and the dashboard
//! read these; they change only by new members.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET jobs?service=&state=&limit=&before=` | [`JobPage`], newest first |
//! | `GET jobs/{name}` | [`JobReport`] |
//! | `GET jobs/{name}/log?follow=true` | the log as text, kept open until the job ends |
//! | `GET jobs/{name}/input` | bytes of the input, while the job has not succeeded |
//! | `GET dead-letters?service=&limit=&before=` | [`JobPage`] of dead jobs |
//! | `POST dead-letters/retry?service=` and `POST dead-letters/{name}/retry` | [`Touched`] |
//! | `DELETE dead-letters?service=` and `DELETE dead-letters/{name}` | [`Touched`] |
//! | `GET deliveries?service=&state=&limit=&before=` | [`DeliveryPage`], newest first |
//! | `GET deliveries/{id}` | [`DeliveryReport`] |
//! | `POST deliveries/retry?service=` and `POST deliveries/{id}/retry` | [`Touched`] |
//! | `DELETE deliveries?service=` (dead ones) and `DELETE deliveries/{id}` | [`Touched`] |
//! | `GET nodes` | array of [`NodeReport`] |

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::wire::link::{Attempt, Heartbeat, Join, Resources, Spans, Usage};

/// Path in front of every request of this API.
pub const PREFIX: &str = "/spillway/v1";

/// State of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waiting for a node, for its back-off to end, or for the service's cap. OSCAR: `Pending`.
    Queued,
    /// Granted to a node. OSCAR: `Running` once the script began, `Pending` before.
    Leased,
    /// Done, outputs published.
    Succeeded,
    /// Given up; in the dead-letter list with input and reason. OSCAR: `Failed`.
    Dead,
}

/// Everything known of one job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobReport {
    /// `<service>-<uuid>`.
    pub name: String,
    pub service: String,
    pub state: JobState,
    /// Number of the newest attempt; 0 before the first.
    pub attempt: u32,
    /// Attempts that failed by the service's doing.
    pub failures: u32,
    /// Attempts that ended for reasons of the node's.
    pub interruptions: u32,
    /// Node of the newest attempt; empty before the first.
    pub node: String,
    /// When the event was accepted.
    pub created_at: Timestamp,
    /// When the newest attempt's script began.
    pub started_at: Option<Timestamp>,
    /// When the outcome was final.
    pub finished_at: Option<Timestamp>,
    /// Not before this will it be tried again.
    pub ready_at: Option<Timestamp>,
    /// Kind of the last failure; empty if there was none.
    pub reason: String,
    /// A sentence on the last failure.
    pub message: String,
    /// What started it: `s3:ObjectCreated:Put`, `request` …
    pub event: String,
    /// The input.
    pub input: Option<InputReport>,
    /// Resources of the last attempt.
    pub usage: Usage,
    /// Where the last attempt's time went.
    pub spans: Spans,
    /// From acceptance (or the end of the back-off) to the grant of the last attempt, in microseconds.
    pub queued_us: u64,
    /// What it published, as `bucket/key`: the first hundred at most.
    #[serde(default)]
    pub outputs: Vec<String>,
    /// How many objects it published, named in `outputs` or not.
    #[serde(default)]
    pub output_count: u64,
}

/// The input of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputReport {
    /// Bucket and key in one, as `bucket/key`; the file's name for a direct call.
    pub path: String,
    /// Bytes.
    pub size: u64,
}

/// Some jobs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct JobPage {
    pub jobs: Vec<JobReport>,
    /// Pass as `before` for the next page; absent on the last.
    pub next: Option<String>,
}

/// How many jobs a bulk request changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touched {
    pub touched: u64,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeReport {
    /// What it said when it joined.
    pub about: Join,
    /// Whether it was heard of within the lease time.
    pub ready: bool,
    pub last_seen: Timestamp,
    /// What its leases take.
    pub leased: Resources,
    /// Its leases.
    pub running: Vec<Attempt>,
    /// Its last heartbeat.
    pub heartbeat: Heartbeat,
}

/// State of a file on its way to a storage elsewhere. One that has arrived is not listed any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It is delivered, or will be tried again.
    Waiting,
    /// Given up; content and reason are kept.
    Dead,
}

/// A file on its way to a storage elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryReport {
    pub id: i64,
    /// The job whose output it is.
    pub job: String,
    pub service: String,
    /// `<type>.<id>`
    pub provider: String,
    /// Where it goes: `bucket/key`, or the path where the provider has no buckets.
    pub path: String,
    /// Bytes.
    pub size: u64,
    pub state: DeliveryState,
    /// Tries that failed.
    pub tries: u32,
    /// Not before this will it be tried again.
    pub ready_at: Option<Timestamp>,
    /// When its job ended.
    pub created_at: Timestamp,
    /// When it was given up.
    pub dead_at: Option<Timestamp>,
    /// What the last try came to, in the provider's own words.
    pub message: String,
}

/// Some deliveries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryPage {
    pub deliveries: Vec<DeliveryReport>,
    /// Pass as `before` for the next page; absent on the last.
    pub next: Option<String>,
}
