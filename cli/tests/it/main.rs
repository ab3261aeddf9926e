//! The real command, as users call it.
#![allow(clippy::unwrap_used)] // In helpers of tests, too.

mod apply;
mod clusters;
mod errors;
mod reference;
mod run;
mod tls;
mod up;
