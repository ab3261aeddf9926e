//! The agent: runs services in containers on its node.
//!
//! It asks the gateway for work (`link`, `work`), carries out attempts (`run`), stages inputs and outputs
//! (`staging`), and runs scripts in containers of the local Docker Engine (`runtime`). `node` knows what the machine
//! has and how it fares, `home` is the data folder.
//!
//! Invariants: no credential and no socket of ours enters a container; whatever carries our label and is not
//! accounted for is removed; every wait has an end.

mod agent;
mod config;
mod definitions;
mod home;
mod ledger;
mod link;
mod log;
mod node;
mod run;
pub mod runtime;
mod site;
mod staging;
mod work;

pub use agent::Agent;
pub use config::{Config, ConfigError, DEFAULT_DATA, DEFAULT_DOCKER, Secret};
