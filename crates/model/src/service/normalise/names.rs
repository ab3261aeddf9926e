//! Rules for names, and the labels every service has.

use crate::service::normalise::LONGEST_NAME;
use crate::service::{Service, SpecError};

/// Longest value of a label, in characters.
const LONGEST_LABEL: usize = 63;

/// Checks the name of a service.
pub(super) fn service_name(name: &str) -> Result<(), String> {
    let length = name.chars().count();
    if length > LONGEST_NAME {
        return Err(format!(
            "{name:?} has {length} characters; at most {LONGEST_NAME} are possible"
        ));
    }
    dns_label(name)
}

/// Checks lower-case letters, digits and hyphens, with a letter or digit at both ends.
pub(super) fn dns_label(name: &str) -> Result<(), String> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if let Some(odd) = name.chars().find(|&c| !inner(c)) {
        return Err(format!(
            "{name:?} contains {odd:?}; use lower-case letters, digits and hyphens"
        ));
    }
    if name.is_empty() || name.starts_with('-') || name.ends_with('-') {
        return Err(format!(
            "{name:?} must begin and end with a letter or a digit"
        ));
    }
    if name.len() > LONGEST_LABEL {
        return Err(format!(
            "{name:?} has {} characters; at most {LONGEST_LABEL} are possible",
            name.len()
        ));
    }
    Ok(())
}

/// Adds the reserved labels and checks the client's.
pub(super) fn labels(service: &mut Service, problems: &mut Vec<SpecError>) {
    for (key, value) in &service.labels {
        let field = format!("labels.{key}");
        let name = key.rsplit_once('/').map_or(key.as_str(), |(_, name)| name);
        if name.is_empty() || !is_label(name) || key.len() > 253 {
            problems.push(SpecError::new(
                field,
                format!(
                    "{key:?} is no name of a label; use letters, digits, \"-\", \"_\" and \".\""
                ),
            ));
        } else if !is_label(value) {
            let message = format!(
                "{value:?} is no value of a label; use at most {LONGEST_LABEL} letters, digits, \"-\", \"_\" and \".\", with a letter or digit at both ends"
            );
            problems.push(SpecError::new(field, message));
        }
    }
    let name = service.name.clone();
    let reserved = [
        ("oscar.grycap/user-service", "true".to_owned()),
        ("oscar_service", name.clone()),
        ("applicationId", name.clone()),
        ("queue", format!("root.oscar-queue.{name}")),
    ];
    service.labels.extend(
        reserved
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value)),
    );
    if !service.vo.is_empty() {
        let vo = service
            .vo
            .replacen('/', "", 1)
            .replace('/', "--")
            .replace(' ', "__")
            .replace(':', "___");
        service.labels.insert("vo".to_owned(), vo);
    }
}

/// Whether a text can be a label's value; an empty one can.
fn is_label(text: &str) -> bool {
    let ends = |c: char| c.is_ascii_alphanumeric();
    text.len() <= LONGEST_LABEL
        && text
            .chars()
            .all(|c| ends(c) || matches!(c, '-' | '_' | '.'))
        && text.chars().next().is_none_or(ends)
        && text.chars().next_back().is_none_or(ends)
}
