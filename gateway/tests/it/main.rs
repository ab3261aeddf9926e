//! Stories about the gateway, told to a real one on free ports with a folder of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc)]

mod access;
mod bodies;
mod buckets;
mod clients;
mod conformance;
mod durability;
mod federation;
mod flow;
mod harness;
mod isolation;
mod jobs;
mod metrics;
mod notifications;
mod oidc;
mod presign;
mod provider;
mod quotas;
mod refusals;
mod registries;
mod s3;
mod secrets;
mod services;
mod system;
mod tls;
mod visibility;
mod volumes;
