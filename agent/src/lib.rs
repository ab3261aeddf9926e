//! The agent: runs services in containers on its node.
//!
//! It asks the gateway for work (`link`), stages inputs and outputs (`staging`), and runs scripts in containers of
//! the local Docker Engine (`runtime`). `node` knows what the machine has and how it fares.
//!
//! Invariants: no credential and no socket of ours enters a container; whatever carries our label and is not
//! accounted for is removed; every wait has an end.

pub mod runtime;
