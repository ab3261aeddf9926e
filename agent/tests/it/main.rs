//! The whole agent against a gateway made for tests, and a real container engine.

#![allow(clippy::unwrap_used, clippy::expect_used)] // Helpers of tests are tests.
#![allow(clippy::items_after_statements)] // The helper of a table of cases comes last.

mod gateway;
#[path = "../shared/leftovers.rs"]
mod leftovers;
mod node;

mod membership;
mod outages;
mod program;
mod runs;
