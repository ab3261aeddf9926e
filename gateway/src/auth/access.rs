//! Who sees what: the rules, and nothing else. Whoever answers a request asks here.

use spillway_model::service::Service;

use super::Caller;

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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::auth::User;

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
}
