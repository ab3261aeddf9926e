//! Creating, updating and deleting a service, each inside one transaction.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use rusqlite::Connection;
use spillway_model::service::{Replica, Service, VolumeStatus};

use super::{FROM_SERVICE, Rules, ServiceError, isolation, people, places, rows, unavailable};
use crate::auth::{Caller, TOKEN_DIGITS, access, random};
use crate::federation::{self, Edit};
use crate::objects::{Bucket, buckets, quotas};
use crate::registries;
use crate::volumes;

/// Where services live; there is only one place, the name is OSCAR's.
const NAMESPACE: &str = "oscar-svc";

/// Label and tag with the owner's name to be shown.
const OWNER_NAME: &str = "owner_name";

pub(super) fn create(
    db: &Connection,
    caller: &Caller,
    rules: &Rules,
    mut service: Service,
    now: Timestamp,
) -> Result<(), ServiceError> {
    if rows::exists(db, &service.name)? {
        return Err(ServiceError::Exists);
    }
    check(db, &service)?;
    check_federation(&service)?;
    caller.owner().clone_into(&mut service.owner);
    service.token = token(&service)?;
    people::settle_group(&mut service, caller, rules)?;
    settle(&mut service, people::label(caller.name()));
    let copies = isolation::settle(&mut service, None)?;
    let secrets = service.take_secrets();
    rows::insert(db, &service, now)?;
    for (name, value) in &secrets {
        rows::put_secret(db, &service.name, name, value)?;
    }
    volumes::attach(db, caller.uid().unwrap_or_default(), &service)?;
    attach(db, &service, &people::plain(caller.name()))?;
    isolation::attach(db, &service, &copies, rules)
}

/// Token, owner and place of the service stay, and so do secrets that are sent blank or not at all.
pub(super) fn update(
    db: &Connection,
    caller: &Caller,
    rules: &Rules,
    mut service: Service,
    now: Timestamp,
) -> Result<(), ServiceError> {
    let old = changeable(db, caller, &service.name)?;
    volumes::keeps_its_volume(&old, &service)?;
    check(db, &service)?;
    if service.vo != old.vo {
        people::settle_group(&mut service, caller, rules)?;
    }
    service.owner.clone_from(&old.owner);
    // A copy follows the service it was made of.
    if !(federation::is_worker(&old) && is_token(&service.token)) {
        service.token.clone_from(&old.token);
    }
    let owner_name = match old.labels.get(OWNER_NAME) {
        Some(name) if caller.owner() != old.owner => name.clone(),
        _ => people::label(caller.name()),
    };
    settle(&mut service, owner_name.clone());
    let copies = isolation::settle(&mut service, Some(&old))?;
    replace_secrets(db, &mut service)?;
    check_federation(&service)?;
    rows::replace(db, &service, now)?;
    rows::delete_triggers(db, &service.name)?;
    attach(db, &service, &owner_name)?;
    isolation::attach(db, &service, &copies, rules)?;
    isolation::remove(db, &old, Some(&service))?;
    apply_visibility(db, &old, &service)
}

/// Changes the members of the federation alone; returns those that are gone, too.
pub(super) fn federate(
    db: &Connection,
    caller: &Caller,
    name: &str,
    edit: &Edit,
    now: Timestamp,
) -> Result<(Service, Vec<Replica>), ServiceError> {
    let mut service = changeable(db, caller, name)?;
    let gone = edit.apply(&mut service);
    check_federation(&service)?;
    rows::replace(db, &service, now)?;
    Ok((service, gone))
}

fn check_federation(service: &Service) -> Result<(), ServiceError> {
    federation::problem(service).map_or(Ok(()), |problem| Err(ServiceError::Federation(problem)))
}

/// A new one; the copy of a federated service has that of the original, so that one opens all.
fn token(service: &Service) -> Result<String, ServiceError> {
    if federation::is_worker(service) && is_token(&service.token) {
        return Ok(service.token.clone());
    }
    Ok(hex::encode(random::<32>()?))
}

fn is_token(text: &str) -> bool {
    text.len() == TOKEN_DIGITS
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Buckets that the service made go with all they hold, unless another service uses them.
pub(super) fn delete(db: &Connection, caller: &Caller, name: &str) -> Result<(), ServiceError> {
    let service = changeable(db, caller, name)?;
    volumes::detach(db, name)?;
    rows::delete(db, name)?;
    let mut kept: BTreeSet<String> = rows::list(db)?
        .iter()
        .flat_map(places::used_buckets)
        .collect();
    if service.mount.is_built_in() {
        kept.insert(places::Place::of_path(&service.mount.path).bucket);
    }
    for bucket in places::buckets(&service).difference(&kept) {
        if made_by(db, bucket, &service)?.is_some() {
            buckets::delete(db, bucket)?;
        }
    }
    isolation::remove(db, &service, None)
}

/// The service, if the caller may change it. To those who may not even see it there is none.
pub(super) fn changeable(
    db: &Connection,
    caller: &Caller,
    name: &str,
) -> Result<Service, ServiceError> {
    let found = rows::get(db, name)?.filter(|service| access::may_see(caller, service));
    let service = found.ok_or(ServiceError::Unknown)?;
    if access::may_change(caller, &service) {
        Ok(service)
    } else {
        Err(ServiceError::NotYours)
    }
}

fn check(db: &Connection, service: &Service) -> Result<(), ServiceError> {
    if let Some(reason) = unavailable::reason(service) {
        return Err(ServiceError::Unavailable(reason));
    }
    if let Some(name) = registries::unknown(db, &service.image_pull_secrets)? {
        return Err(ServiceError::Unavailable(format!(
            "image_pull_secrets: the cluster keeps no login {name:?}; the administrator adds it with `spillway registries \
             add {name}`"
        )));
    }
    let allowed = rows::allowed_images(db)?;
    if allowed.is_empty() || allowed.iter().any(|part| service.image.contains(part)) {
        Ok(())
    } else {
        Err(ServiceError::ImageNotAllowed(service.image.clone()))
    }
}

/// What the server sets whatever the client says.
fn settle(service: &mut Service, owner_name: String) {
    NAMESPACE.clone_into(&mut service.namespace);
    service.volume_status = VolumeStatus::default();
    let labels = &mut service.labels;
    labels.insert(OWNER_NAME.to_owned(), owner_name);
    if !service.vo.is_empty() {
        labels.insert("vo".to_owned(), people::group_label(&service.vo));
    }
}

fn replace_secrets(db: &Connection, service: &mut Service) -> Result<(), ServiceError> {
    let stored = rows::secret_names(db, &service.name)?;
    let sent = service.take_secrets();
    if sent.is_empty() {
        service.environment.secrets = stored
            .into_iter()
            .map(|name| (name, String::new()))
            .collect();
        return Ok(());
    }
    for name in stored.iter().filter(|name| !sent.contains_key(*name)) {
        rows::delete_secret(db, &service.name, name)?;
    }
    for (name, value) in sent
        .iter()
        .filter(|(name, value)| !value.is_empty() || !stored.contains(name))
    {
        rows::put_secret(db, &service.name, name, value)?;
    }
    Ok(())
}

/// Buckets, folders and triggers. What exists already is shared, if the owner of the service may write there.
fn attach(db: &Connection, service: &Service, owner_name: &str) -> Result<(), ServiceError> {
    let owner = access::in_the_name_of(&service.owner);
    for place in places::all(service) {
        match buckets::get(db, &place.bucket)? {
            Some(bucket) if access::may_write_bucket(&owner, &bucket) => (),
            Some(_) => return Err(ServiceError::BucketTaken(place.bucket)),
            None => {
                let bucket = new_bucket(&place.bucket, service, &owner, owner_name);
                quotas::check_buckets(db, &bucket.owner)?;
                buckets::create(db, &bucket)?;
            }
        }
        if !place.folder.is_empty() {
            buckets::ensure_folder(db, &place.bucket, &place.folder)?;
        }
    }
    for place in places::inputs(service) {
        rows::put_trigger(db, &service.name, &place.bucket, &place.prefix())?;
    }
    Ok(())
}

fn new_bucket(name: &str, service: &Service, owner: &Caller, owner_name: &str) -> Bucket {
    let uid = owner.uid().unwrap_or_default();
    let tags = [
        ("owner", uid),
        (FROM_SERVICE, service.name.as_str()),
        (OWNER_NAME, owner_name),
    ];
    Bucket {
        name: name.to_owned(),
        owner: uid.to_owned(),
        visibility: service.visibility.clone(),
        allowed_users: service.allowed_users.clone(),
        tags: tags
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect::<BTreeMap<_, _>>(),
    }
}

/// Buckets that the service made share its visibility; those it uses no longer become private.
fn apply_visibility(db: &Connection, old: &Service, new: &Service) -> Result<(), ServiceError> {
    let current = places::buckets(new);
    for name in &current {
        if (&old.visibility, &old.allowed_users) != (&new.visibility, &new.allowed_users)
            && let Some(mut bucket) = made_by(db, name, new)?
        {
            bucket.visibility.clone_from(&new.visibility);
            bucket.allowed_users.clone_from(&new.allowed_users);
            buckets::update(db, &bucket)?;
        }
    }
    for name in places::buckets(old).difference(&current) {
        if let Some(mut bucket) = made_by(db, name, new)? {
            "private".clone_into(&mut bucket.visibility);
            bucket.allowed_users.clear();
            buckets::update(db, &bucket)?;
        }
    }
    Ok(())
}

/// The bucket, if the service made it. Tags alone do not tell: anybody may write the name of a service into them.
fn made_by(
    db: &Connection,
    bucket: &str,
    service: &Service,
) -> Result<Option<Bucket>, ServiceError> {
    let bucket = buckets::get(db, bucket)?;
    let owner = access::in_the_name_of(&service.owner);
    Ok(bucket.filter(|bucket| {
        bucket.owner == owner.uid().unwrap_or_default()
            && bucket.tags.get(FROM_SERVICE) == Some(&service.name)
    }))
}
