//! What a service may reach of the object store: what its owner may, besides the buckets that isolation has made for
//! it. Checked when it matters, not only when the service is made: a bucket may have been closed since.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension};
use spillway_model::service::Service;

use super::catalog::Entry;
use super::cause::Cause;
use super::rows::from_json;
use crate::auth::Caller;
use crate::auth::access::{in_the_name_of, may_read_bucket, may_write_bucket};
use crate::objects::{Bucket, ObjectError, buckets};
use crate::store::StoreError;

/// Whether uploads to the bucket may start jobs of the service. One that is too new to be known has just been checked.
pub(super) fn may_hear(
    db: &Connection,
    entry: Option<&Entry>,
    bucket: &str,
) -> Result<bool, StoreError> {
    let Some(entry) = entry else {
        return Ok(true);
    };
    if entry.service.bucket_list.iter().any(|own| own == bucket) {
        return Ok(true);
    }
    allows(db, &in_the_name_of(&entry.owner), bucket, may_read_bucket)
}

/// Whether a call may name an object of the bucket as its input: the caller's right, or that of the service's owner
/// when the call is nobody's in particular.
pub(super) fn may_read(
    db: &Connection,
    caller: &str,
    entry: Option<&Entry>,
    bucket: &str,
) -> Result<bool, StoreError> {
    let owner = entry.map_or("", |entry| &entry.owner);
    let acting = if caller.is_empty() { owner } else { caller };
    allows(db, &in_the_name_of(acting), bucket, may_read_bucket)
}

/// Whether results of the service may go to the bucket.
pub(super) fn may_write(db: &Connection, owner: &str, bucket: &str) -> Result<bool, StoreError> {
    allows(db, &in_the_name_of(owner), bucket, may_write_bucket)
}

fn allows(
    db: &Connection,
    caller: &Caller,
    bucket: &str,
    may: fn(&Caller, &Bucket) -> bool,
) -> Result<bool, StoreError> {
    if caller.is_administrator() {
        return Ok(true);
    }
    let bucket = buckets::get(db, bucket).map_err(|error| match error {
        ObjectError::Store(error) => error,
        other => StoreError::Commit(other.to_string()),
    })?;
    Ok(bucket.is_none_or(|bucket| may(caller, &bucket))) // That it is missing is somebody else's complaint.
}

/// In whose name a job's results are written, and where they go instead of the service's own buckets.
pub(super) struct Home {
    /// The user who caused the job, or the service's owner.
    pub(super) principal: String,
    /// The bucket of one user that the input came from.
    bucket: Option<String>,
    /// The service's own output buckets.
    instead_of: BTreeSet<String>,
}

impl Home {
    pub(super) fn of(
        db: &Connection,
        job: &str,
        entry: Option<&Entry>,
    ) -> Result<Self, StoreError> {
        let row: Option<(String, bool, Cause)> = db
            .prepare_cached(
                "SELECT owner, EXISTS (SELECT 1 FROM users WHERE uid = jobs.owner), cause FROM jobs WHERE name = ?1",
            )?
            .query_row([job], |row| Ok((row.get(0)?, row.get(1)?, from_json(row, 2)?)))
            .optional()?;
        let service = entry.map(|entry| &entry.service);
        let owner = entry.map_or("", |entry| entry.owner.as_str());
        let principal = match &row {
            Some((user, true, _)) => user.clone(),
            _ => owner.to_owned(),
        };
        let isolated = |bucket: &String| service.is_some_and(|it| it.bucket_list.contains(bucket));
        let bucket = match row {
            Some((_, _, Cause::Object(object))) => Some(object.bucket).filter(isolated),
            _ => None,
        };
        Ok(Self {
            principal,
            bucket,
            instead_of: service.map(outputs).unwrap_or_default(),
        })
    }

    /// Whether the output goes to the user's bucket; `bucket` is changed then.
    pub(super) fn take_in(&self, bucket: &mut String) -> bool {
        match &self.bucket {
            Some(home) if self.instead_of.contains(bucket) => {
                bucket.clone_from(home);
                true
            }
            _ => false,
        }
    }
}

fn outputs(service: &Service) -> BTreeSet<String> {
    let built_in = service.output.iter().filter(|output| output.is_built_in());
    built_in
        .map(|output| output.bucket_and_folder().0.to_owned())
        .collect()
}
