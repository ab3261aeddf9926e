//! Who sees what: the rules, and nothing else. Whoever answers a request asks here.

use std::sync::Arc;

use spillway_model::service::Service;

use super::{ADMINISTRATOR, Caller, User};
use crate::objects::Bucket;

/// Whether the caller may list, read and call the service, and see its jobs, logs and deployment.
pub(crate) fn may_see(caller: &Caller, service: &Service) -> bool {
    let Some(uid) = caller.uid() else {
        return true;
    };
    let listed = || service.allowed_users.iter().any(|user| user == uid);
    service.owner == uid
        || match service.visibility.as_str() {
            "public" => true,
            "restricted" => listed(),
            _ => false, // Unknown ones are hidden, too.
        }
}

/// Whether the caller may update, delete, stop and start the service, and see its credentials.
pub(crate) fn may_change(caller: &Caller, service: &Service) -> bool {
    caller.uid().is_none_or(|uid| service.owner == uid)
}

/// Who acts when a service does: its owner. No subject is empty.
pub(crate) fn in_the_name_of(owner: &str) -> Caller {
    if owner == ADMINISTRATOR || owner.is_empty() {
        return Caller::Administrator;
    }
    Caller::User(Arc::new(User {
        uid: owner.to_owned(),
        ..User::default()
    }))
}

/// Whether the caller may list the bucket and read its objects.
pub(crate) fn may_read_bucket(caller: &Caller, bucket: &Bucket) -> bool {
    let Some(uid) = caller.uid() else {
        return true;
    };
    let listed = || bucket.allowed_users.iter().any(|user| user == uid);
    owns(uid, bucket)
        || match bucket.visibility.as_str() {
            "public" => true,
            "restricted" => listed(),
            _ => false,
        }
}

/// Whether the caller may put and delete objects: whoever reads a bucket may write to it, as in OSCAR, where
/// buckets are shared to hand files to a service.
pub(crate) fn may_write_bucket(caller: &Caller, bucket: &Bucket) -> bool {
    may_read_bucket(caller, bucket)
}

/// Whether the caller may delete the bucket itself, and say who may see it.
pub(crate) fn may_change_bucket(caller: &Caller, bucket: &Bucket) -> bool {
    caller.uid().is_none_or(|uid| owns(uid, bucket))
}

/// The administrator's buckets have an empty owner, which is nobody's subject.
fn owns(uid: &str, bucket: &Bucket) -> bool {
    !uid.is_empty() && bucket.owner == uid
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(uid: &str) -> Caller {
        Caller::User(Arc::new(User {
            uid: uid.to_owned(),
            ..User::default()
        }))
    }

    #[test]
    fn the_table_of_who_sees_what_holds() {
        // Visibility; then who sees: owner, listed, other; only owner and administrator change anything.
        let table = [
            ("private", [true, false, false]),
            ("restricted", [true, true, false]),
            ("public", [true, true, true]),
            ("", [true, false, false]),
            ("secret", [true, false, false]),
        ];
        for (visibility, sees) in table {
            let service = Service {
                owner: "ann".to_owned(),
                visibility: visibility.to_owned(),
                allowed_users: vec!["bob".to_owned()],
                ..Service::default()
            };
            for (uid, sees) in ["ann", "bob", "eve"].into_iter().zip(sees) {
                let caller = user(uid);
                assert_eq!(may_see(&caller, &service), sees, "{uid}, {visibility:?}");
                assert_eq!(may_change(&caller, &service), uid == "ann", "{uid}");
            }
            assert!(may_see(&Caller::Administrator, &service), "{visibility:?}");
            assert!(may_change(&Caller::Administrator, &service));
        }
    }

    #[test]
    fn the_table_of_who_may_what_with_a_bucket_holds() {
        // Visibility; then who reads and writes: owner, listed, other.
        let table = [
            ("private", [true, false, false]),
            ("restricted", [true, true, false]),
            ("public", [true, true, true]),
            ("", [true, false, false]),
        ];
        for (visibility, may) in table {
            for owner in ["ann", ""] {
                let bucket = Bucket {
                    owner: owner.to_owned(),
                    visibility: visibility.to_owned(),
                    allowed_users: vec!["bob".to_owned()],
                    ..Bucket::default()
                };
                for (uid, may) in ["ann", "bob", "eve", ""]
                    .into_iter()
                    .zip(may.into_iter().chain([may[2]]))
                {
                    let owns = uid == "ann" && owner == "ann";
                    let may = if uid == "ann" && !owns {
                        visibility == "public"
                    } else {
                        may
                    };
                    let caller = user(uid);
                    assert_eq!(may_read_bucket(&caller, &bucket), may, "{uid}, {bucket:?}");
                    assert_eq!(may_write_bucket(&caller, &bucket), may, "{uid}, {bucket:?}");
                    assert_eq!(
                        may_change_bucket(&caller, &bucket),
                        owns,
                        "{uid}, {bucket:?}"
                    );
                }
                assert!(may_read_bucket(&Caller::Administrator, &bucket));
                assert!(may_change_bucket(&Caller::Administrator, &bucket));
            }
        }
    }
}
