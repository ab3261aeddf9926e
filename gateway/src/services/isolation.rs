//! Isolation level USER: each allowed user has a copy of the input buckets, which nobody else sees. Uploads there
//! start jobs of the service, and the results come back to the same bucket.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;
use spillway_model::service::Service;

use super::{FROM_SERVICE, Rules, ServiceError, people, places, rows};
use crate::auth::ADMINISTRATOR;
use crate::objects::{Bucket, buckets};

/// The level that makes buckets.
const USER: &str = "USER";

/// One bucket of one user.
#[derive(Debug)]
pub(super) struct Copy {
    bucket: String,
    /// The input bucket it stands beside.
    of: String,
    user: String,
}

/// Says in `bucket_list` which buckets there are, and lets the owner in, who gets no bucket by that.
pub(super) fn settle(
    service: &mut Service,
    old: Option<&Service>,
) -> Result<Vec<Copy>, ServiceError> {
    // An update brings the list of users back with the owner in it, who had not put himself there.
    let was_added = old.is_some_and(|old| {
        let own = format!("-{}", as_name(&people::short(&old.owner)));
        !old.bucket_list.is_empty() && !old.bucket_list.iter().any(|name| name.ends_with(&own))
    });
    let owner = service.owner.clone();
    let copies = copies(service, |user| was_added && *user == owner)?;
    service.bucket_list = copies.iter().map(|copy| copy.bucket.clone()).collect();
    if !copies.is_empty() && owner != ADMINISTRATOR {
        let short = people::label(&people::short(&owner));
        service.labels.insert("uid".to_owned(), short);
        if !service.allowed_users.contains(&owner) {
            service.allowed_users.push(owner);
        }
    }
    Ok(copies)
}

/// Makes the buckets with their folders and triggers. What is there of a former version of the service stays.
pub(super) fn attach(
    db: &Connection,
    service: &Service,
    copies: &[Copy],
    rules: &Rules,
) -> Result<(), ServiceError> {
    let outputs: BTreeSet<String> = places::outputs(service)
        .into_iter()
        .map(|place| place.folder)
        .collect();
    for copy in copies {
        rules.users.ensure(db, &copy.user)?;
        match buckets::get(db, &copy.bucket)? {
            Some(bucket) if belongs(&bucket, service, &copy.user) => (),
            Some(_) => return Err(ServiceError::BucketTaken(copy.bucket.clone())),
            None => buckets::create(db, &new_bucket(copy, service))?,
        }
        let mut inputs = places::inputs(service);
        inputs.retain(|place| place.bucket == copy.of);
        let folders = inputs.iter().map(|place| &place.folder).chain(&outputs);
        for folder in folders.filter(|folder| !folder.is_empty()) {
            buckets::ensure_folder(db, &copy.bucket, folder)?;
        }
        for place in &inputs {
            rows::put_trigger(db, &service.name, &copy.bucket, &place.prefix())?;
        }
    }
    Ok(())
}

/// Deletes the buckets of `old` that `new` does not have, with all they hold.
pub(super) fn remove(
    db: &Connection,
    old: &Service,
    new: Option<&Service>,
) -> Result<(), ServiceError> {
    for name in &old.bucket_list {
        if new.is_some_and(|new| new.bucket_list.contains(name)) {
            continue;
        }
        let bucket = buckets::get(db, name)?;
        // One that its user has deleted and somebody else made anew is not ours.
        if bucket.is_some_and(|bucket| {
            old.allowed_users
                .iter()
                .any(|user| belongs(&bucket, old, user))
        }) {
            buckets::delete(db, name)?;
        }
    }
    Ok(())
}

fn copies(
    service: &Service,
    leave_out: impl Fn(&String) -> bool,
) -> Result<Vec<Copy>, ServiceError> {
    if !service.isolation_level.eq_ignore_ascii_case(USER) {
        return Ok(Vec::new());
    }
    let inputs = places::inputs(service);
    let of: BTreeSet<String> = inputs.into_iter().map(|place| place.bucket).collect();
    let mut users: Vec<&String> = Vec::new();
    for user in service.allowed_users.iter().filter(|user| !leave_out(user)) {
        if !users.contains(&user) {
            users.push(user);
        }
    }
    let mut taken: BTreeMap<String, &String> = BTreeMap::new();
    let mut copies = Vec::new();
    for of in &of {
        for user in &users {
            crate::auth::check_uid(user)
                .map_err(|cause| ServiceError::Unavailable(format!("allowed_users: {cause}")))?;
            let bucket = format!("{of}-{}", as_name(&people::short(user)));
            if let Some(other) = taken.insert(bucket.clone(), user) {
                return Err(ServiceError::Unavailable(format!(
                    "allowed_users: {other:?} and {user:?} would share the bucket {bucket:?}, because their first ten \
                     characters are alike; leave isolation_level USER out, or make a service for each"
                )));
            }
            copies.push(Copy {
                bucket,
                of: of.clone(),
                user: (*user).clone(),
            });
        }
    }
    Ok(copies)
}

/// As a part of a bucket's name.
fn as_name(uid: &str) -> String {
    let fits = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name: String = uid.to_ascii_lowercase().chars().map(fits).collect();
    name.trim_end_matches('-').to_owned()
}

fn belongs(bucket: &Bucket, service: &Service, user: &str) -> bool {
    bucket.owner == user && bucket.tags.get(FROM_SERVICE) == Some(&service.name)
}

fn new_bucket(copy: &Copy, service: &Service) -> Bucket {
    let tags = [
        ("owner", &copy.user),
        (FROM_SERVICE, &service.name),
        ("owner_name", &copy.user),
    ];
    Bucket {
        name: copy.bucket.clone(),
        owner: copy.user.clone(),
        visibility: "private".to_owned(),
        allowed_users: Vec::new(),
        tags: tags
            .map(|(key, value)| (key.to_owned(), value.clone()))
            .into(),
    }
}
