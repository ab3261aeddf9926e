//! The main job, end to end: real gateway, real agent, real Docker, real S3.
#![allow(clippy::unwrap_used)]

mod examples;
mod failures;
mod files;
mod many;
mod outages;
mod providers;
mod registries;
mod tls;
mod triggers;

/// What happens to files whose names or sizes are unusual, and where outputs go.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
mod volumes;
