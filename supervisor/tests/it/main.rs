//! The real supervisor, driven over its real socket by a simulated agent.
//!
//! Most tests run it as an ordinary process (`--any-peer`), which needs no rights. What only process 1 can show
//! is tried in a PID namespace of its own (`unshare`) and in real containers (`docker`), where those are allowed.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod agent;
mod connections;
mod containers;
mod deadlines;
mod leftovers;
mod logs;
mod process_one;
mod scripts;
