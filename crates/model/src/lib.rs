//! The language of Spillway: services and their definition files, events, jobs, quantities, and the messages
//! that its parts send each other.
//!
//! Pure data and pure functions: nothing here reads a file, opens a socket or looks at the clock, and nothing
//! here knows `tokio`. What a service may contain and how events look is OSCAR's; what is Spillway's own is
//! marked as an edge extension.
//!
//! Without the feature `full` only [`wire::supervisor`] remains, so that process 1 of every container stays small.

#[cfg(feature = "full")]
pub mod duration;
#[cfg(feature = "full")]
pub mod event;
#[cfg(feature = "full")]
pub mod fdl;
#[cfg(feature = "full")]
mod nearest;
#[cfg(feature = "full")]
pub mod quantity;
#[cfg(feature = "full")]
pub mod registry;
#[cfg(feature = "full")]
pub mod report;
#[cfg(feature = "full")]
pub mod service;
pub mod wire;
#[cfg(feature = "full")]
mod written;

#[cfg(feature = "full")]
pub use written::Place;
