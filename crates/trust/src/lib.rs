//! Whom clients of a gateway trust: the system's authorities, an authority of the user's own, or one key.
//!
//! A gateway at the edge has no name that a public authority would vouch for. Its clients pin its key instead: they
//! know the key's [`Fingerprint`], which the gateway prints at its start and keeps when it renews its certificate.
//! What is pinned is the key alone. Names and dates of the certificate do not matter then, because a small machine
//! without a clock of its own lives in 1970 until somebody tells it the time.
//!
//! Nothing in here decides on its own to trust anybody: [`probe()`] only tells which key a server shows.
//!
//! ```
//! use spillway_trust::{Fingerprint, Trust};
//!
//! let printed = "sha256:5f7b6a0e1c2d3e4f5f7b6a0e1c2d3e4f5f7b6a0e1c2d3e4f5f7b6a0e1c2d3e4f";
//! let trust = Trust::Key(printed.parse::<Fingerprint>()?);
//! let client = trust.apply(reqwest::Client::builder())?;
//! # let _ = client;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(feature = "client")]
mod client;
mod fingerprint;
#[cfg(feature = "client")]
mod probe;
#[cfg(feature = "client")]
mod verify;

#[cfg(feature = "client")]
pub use client::{Trust, TrustError};
pub use fingerprint::{Fingerprint, NoFingerprint};
#[cfg(feature = "client")]
pub use probe::{ProbeError, probe};
#[cfg(feature = "client")]
pub use verify::{AnotherKey, another_key, is_untrusted};
