//! The container runtime against a real container engine. Without one, or without `busybox-static`, these tests
//! fail: they would prove nothing.

// Helpers of tests are tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod containers;
mod engine;
#[path = "../shared/leftovers.rs"]
mod leftovers;
mod pool;
mod speed;
