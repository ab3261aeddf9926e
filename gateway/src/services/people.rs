//! Whose a service is: its owner's name in labels and tags, and the group (VO) it belongs to.

use spillway_model::service::Service;

use super::{Rules, ServiceError};
use crate::auth::Caller;

/// Longest value of a label, in characters.
const LONGEST_LABEL: usize = 63;

/// Characters of an owner's id in labels and names of buckets.
const SHORT: usize = 10;

/// A name to be shown, in letters that labels and tags can hold: accents are taken away.
pub(super) fn plain(name: &str) -> String {
    name.chars().flat_map(without_accent).collect()
}

/// The same as the value of a label.
pub(super) fn label(name: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let text: String = plain(name)
        .replace(' ', "_")
        .chars()
        .filter(|&c| fits(c))
        .take(LONGEST_LABEL)
        .collect();
    text.trim_matches(|c: char| !c.is_ascii_alphanumeric())
        .to_owned()
}

/// The first characters of a user's id, or all if there are fewer.
pub(super) fn short(uid: &str) -> String {
    uid.chars().take(SHORT).collect()
}

/// Checks the group of a user's service, and chooses one if the service names none. Nothing is asked of the
/// administrator.
pub(super) fn settle_group(
    service: &mut Service,
    caller: &Caller,
    rules: &Rules,
) -> Result<(), ServiceError> {
    let Caller::User(user) = caller else {
        return Ok(());
    };
    if service.vo.is_empty() {
        let own = rules
            .groups
            .iter()
            .find(|group| user.groups.contains(*group));
        let Some(own) = own else {
            let groups = rules.groups.join(" ");
            return Err(ServiceError::Group(format!(
                "service must be part of one of the following VO:  [{groups}]"
            )));
        };
        service.vo.clone_from(own);
    } else if rules.groups.contains(&service.vo) && !user.groups.contains(&service.vo) {
        return Err(ServiceError::Group(format!(
            "this user isn't enrrolled on the vo: {}",
            service.vo
        )));
    }
    Ok(())
}

/// The label of a group.
pub(super) fn group_label(vo: &str) -> String {
    vo.replacen('/', "", 1)
        .replace('/', "--")
        .replace(' ', "__")
        .replace(':', "___")
}

/// One letter, or two for those that stand for two; what is no letter of Latin alphabets goes.
fn without_accent(letter: char) -> impl Iterator<Item = char> {
    // Letters of Latin-1 and Latin Extended-A, each group behind the plain one it becomes.
    const PLAIN: [(&str, &str); 44] = [
        ("A", "ÀÁÂÃÄÅĀĂĄ"),
        ("a", "àáâãäåāăą"),
        ("AE", "Æ"),
        ("ae", "æ"),
        ("C", "ÇĆĈĊČ"),
        ("c", "çćĉċč"),
        ("D", "ĎĐÐ"),
        ("d", "ďđð"),
        ("E", "ÈÉÊËĒĔĖĘĚ"),
        ("e", "èéêëēĕėęě"),
        ("G", "ĜĞĠĢ"),
        ("g", "ĝğġģ"),
        ("H", "ĤĦ"),
        ("h", "ĥħ"),
        ("I", "ÌÍÎÏĨĪĬĮİ"),
        ("i", "ìíîïĩīĭįı"),
        ("J", "Ĵ"),
        ("j", "ĵ"),
        ("K", "Ķ"),
        ("k", "ķ"),
        ("L", "ĹĻĽĿŁ"),
        ("l", "ĺļľŀł"),
        ("N", "ÑŃŅŇ"),
        ("n", "ñńņň"),
        ("O", "ÒÓÔÕÖØŌŎŐ"),
        ("o", "òóôõöøōŏő"),
        ("OE", "Œ"),
        ("oe", "œ"),
        ("R", "ŔŖŘ"),
        ("r", "ŕŗř"),
        ("S", "ŚŜŞŠȘ"),
        ("s", "śŝşšș"),
        ("ss", "ß"),
        ("T", "ŢŤŦȚ"),
        ("t", "ţťŧț"),
        ("U", "ÙÚÛÜŨŪŬŮŰŲ"),
        ("u", "ùúûüũūŭůűų"),
        ("W", "Ŵ"),
        ("w", "ŵ"),
        ("Y", "ÝŶŸ"),
        ("y", "ýÿŷ"),
        ("Z", "ŹŻŽ"),
        ("z", "źżž"),
        ("Th", "Þþ"),
    ];
    let found = PLAIN.iter().find(|(_, accented)| accented.contains(letter));
    let plain = found.map_or("", |(plain, _)| *plain);
    let itself = (letter.is_ascii() && !letter.is_control()).then_some(letter);
    itself.into_iter().chain(plain.chars())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::auth::User;

    #[test]
    fn names_become_labels() {
        for (name, expected) in [
            ("Ann Field", "Ann_Field"),
            ("Ánn Ñandú-Müller", "Ann_Nandu-Muller"),
            ("Straße Łódź", "Strasse_Lodz"),
            ("O'Neil, Tim (x)", "ONeil_Tim_x"),
            ("  ", ""),
            ("木", ""),
        ] {
            assert_eq!(label(name), expected, "for {name:?}");
        }
        assert_eq!(label(&"x".repeat(100)).len(), LONGEST_LABEL);
        assert_eq!(plain("Ánn Field"), "Ann Field");
        assert_eq!(group_label("/vo/a b:c/d"), "vo--a__b___c--d");
    }

    #[test]
    fn a_user_names_only_groups_of_his_own_among_those_that_are_known() {
        let rules = Rules {
            groups: Arc::from(["one".to_owned(), "two".to_owned()]),
            ..Rules::for_tests()
        };
        let user = Caller::User(Arc::new(User {
            uid: "ann".to_owned(),
            groups: ["two".to_owned(), "other".to_owned()].into(),
            ..User::default()
        }));
        let settled = |caller: &Caller, vo: &str| {
            let mut service = Service {
                vo: vo.to_owned(),
                ..Service::default()
            };
            settle_group(&mut service, caller, &rules)
                .map(|()| service.vo)
                .map_err(|error| error.to_string())
        };
        assert_eq!(settled(&user, "").as_deref(), Ok("two"));
        assert_eq!(settled(&user, "two").as_deref(), Ok("two"));
        assert_eq!(settled(&user, "unknown").as_deref(), Ok("unknown"));
        assert_eq!(
            settled(&user, "one"),
            Err("this user isn't enrrolled on the vo: one".to_owned())
        );
        assert_eq!(settled(&Caller::Administrator, "one").as_deref(), Ok("one"));
        assert_eq!(settled(&Caller::Administrator, "").as_deref(), Ok(""));
    }
}
