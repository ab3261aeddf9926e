//! Which groups somebody is in, in the three dialects that OSCAR reads.

use std::collections::BTreeSet;

use serde_json::Value;

/// How an issuer writes groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// EGI Check-in: entitlements, `urn:mace:egi.eu:group:<group>:role=…`.
    Egi,
    /// AI4EOSC: roles of the realm.
    Roles,
    /// Any other Keycloak: the claim `group_membership`.
    Groups,
}

impl Dialect {
    /// Told by the address at which people log in.
    pub(super) fn of(authorization_endpoint: &str) -> Self {
        if authorization_endpoint.contains("/realms/egi") {
            Self::Egi
        } else if authorization_endpoint.contains("/realms/ai4eosc") {
            Self::Roles
        } else {
            Self::Groups
        }
    }
}

/// What an entitlement of a group begins with.
const EGI_GROUP: &str = "urn:mace:egi.eu:group";

/// The groups that the claims name.
pub(super) fn of(claims: &Value, dialect: Dialect) -> BTreeSet<String> {
    match dialect {
        Dialect::Egi => texts(claims.get("entitlements")).filter_map(egi).collect(),
        Dialect::Roles => texts(claims.pointer("/realm_access/roles"))
            .map(str::to_owned)
            .collect(),
        Dialect::Groups => texts(claims.get("group_membership"))
            .map(str::to_owned)
            .collect(),
    }
}

fn texts(list: Option<&Value>) -> impl Iterator<Item = &str> {
    list.and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

/// The fifth field. An authority may follow behind `#` when no role does.
fn egi(entitlement: &str) -> Option<String> {
    let entitlement = entitlement.to_lowercase();
    if !entitlement.starts_with(EGI_GROUP) {
        return None;
    }
    let group = entitlement.split(':').nth(4)?;
    let group = group.split('#').next().unwrap_or(group);
    (!group.is_empty()).then(|| group.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_dialect_is_told_by_the_address_of_the_login() {
        let table = [
            (
                "https://aai.egi.eu/auth/realms/egi/protocol/openid-connect/auth",
                Dialect::Egi,
            ),
            (
                "https://login.example/realms/ai4eosc/protocol/openid-connect/auth",
                Dialect::Roles,
            ),
            (
                "https://keycloak.local/realms/grycap/protocol/openid-connect/auth",
                Dialect::Groups,
            ),
            ("", Dialect::Groups),
        ];
        for (address, dialect) in table {
            assert_eq!(Dialect::of(address), dialect, "for {address:?}");
        }
    }

    #[test]
    fn groups_are_read_as_each_dialect_writes_them() {
        let claims = json!({
            "entitlements": [
                "urn:mace:egi.eu:group:vo.Example.eu:role=member#aai.egi.eu",
                "URN:mace:egi.eu:group:plain.eu#aai.egi.eu",
                "urn:mace:egi.eu:group",
                "urn:mace:egi.eu:res:something:else",
                7,
            ],
            "realm_access": { "roles": ["access:vo.a", "default"] },
            "group_membership": ["/staff", "guests"],
        });
        let table = [
            (Dialect::Egi, ["plain.eu", "vo.example.eu"]),
            (Dialect::Roles, ["access:vo.a", "default"]),
            (Dialect::Groups, ["/staff", "guests"]),
        ];
        for (dialect, expected) in table {
            let found: Vec<_> = of(&claims, dialect).into_iter().collect();
            assert_eq!(found, expected, "for {dialect:?}");
        }
    }

    #[test]
    fn claims_of_another_shape_are_no_groups() {
        for claims in [
            json!({}),
            json!({ "group_membership": "staff" }),
            json!({ "group_membership": null, "realm_access": [], "entitlements": {} }),
        ] {
            for dialect in [Dialect::Egi, Dialect::Roles, Dialect::Groups] {
                assert!(of(&claims, dialect).is_empty(), "{dialect:?} of {claims}");
            }
        }
    }
}
