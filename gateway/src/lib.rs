//! The gateway: the cluster's front door.
//!
//! It speaks OSCAR's REST API (`api`), keeps objects (`objects`), turns them into jobs (`queue`) and grants the
//! jobs to agents that ask (`link`). All state is one `SQLite` database and one folder of blobs.
//!
//! Invariants: only one thread writes to `SQLite`; nothing in `store` knows HTTP; an acknowledgement is sent after
//! the commit; a handler never talks to Docker.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use spillway_gateway::{Config, Gateway};
//!
//! let gateway = Gateway::start(Config { data: Some("/var/lib/spillway/gateway".into()), ..Config::default() }).await?;
//! println!("the API listens at {}", gateway.api_address());
//! gateway.stop().await;
//! # Ok(())
//! # }
//! ```

mod api;
mod auth;
pub mod config;
#[cfg(test)]
mod document;
mod executions;
mod federation;
mod gateway;
mod intake;
mod link;
mod metrics;
pub mod objects;
mod outbox;
mod providers;
pub mod queue;
mod quotas;
mod registries;
mod report;
mod routes;
mod serve;
mod services;
pub mod store;
mod tls;
mod vault;
mod volumes;
mod watch;

pub use config::{Config, Secret};
pub use gateway::Gateway;
