//! The language as its users meet it: files of every kind, and properties over services of every kind.

#![allow(clippy::unwrap_used)] // These are tests, but clippy does not see it here.

mod corpus;
mod round_trips;
mod services;
