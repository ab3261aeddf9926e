//! Messages between Spillway's own parts.

#[cfg(feature = "full")]
pub mod link;
pub mod supervisor;
