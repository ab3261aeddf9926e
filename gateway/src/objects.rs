//! The built-in S3 object store: buckets, objects, the blobs that hold their bytes, and the S3 protocol on top.
//!
//! [`blobs`] keeps bytes, [`rows`], [`listing`], [`uploads`] and [`buckets`] are plain functions on a transaction,
//! and [`s3`] speaks the protocol. An object, the release of what it replaces and the jobs it triggers are one
//! transaction; the client hears of success after its commit.

pub mod blobs;
pub mod buckets;
mod chunks;
mod conditions;
mod cors;
mod crc;
mod effects;
mod error;
mod hub;
mod keys;
pub mod listing;
pub(crate) mod quotas;
mod rows;
mod s3;
mod service;
mod signing;
mod triggers;
pub(crate) mod unread;
mod uploads;

pub use blobs::{Blobs, NewBlob, release, retain};
pub(crate) use blobs::{signed, unsigned};
pub use buckets::Bucket;
use conditions::Conditions;
pub use effects::Effects;
pub(crate) use effects::{Actor, listens};
pub use error::ObjectError;
pub(crate) use hub::Hub;
pub use keys::{MAX_KEY, check_bucket_name, check_key};
pub use listing::list_page;
pub(crate) use rows::put_output;
pub use rows::{NewObject, Object, find as find_object, get as get_object, put_object};
pub use s3::Credentials;
pub use service::{Objects, Settings, service};
pub(crate) use signing::Signing;

/// MD5 of nothing, in hexadecimal.
const EMPTY_MD5: &str = "d41d8cd98f00b204e9800998ecf8427e";
