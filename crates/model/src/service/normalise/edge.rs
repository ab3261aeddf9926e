//! Rules of the `edge` block.

use super::one_of;
use crate::duration;
use crate::service::{Service, SpecError};

/// Most further attempts after a failed one: with the longest back-off, 100 are more than eight hours.
pub(super) const MOST_RETRIES: u32 = 100;

/// Checks the block. Nothing is filled in: what was not given stays away.
pub(super) fn check(service: &Service, problems: &mut Vec<SpecError>) {
    let Some(edge) = &service.edge else { return };
    let mut wrong = |member: &str, message: String| {
        problems.push(SpecError::new(format!("edge.{member}"), message));
    };
    for (member, text) in [("deadline", &edge.deadline), ("timeout", &edge.timeout)] {
        match text.as_deref().map(duration::parse) {
            Some(Err(error)) => wrong(member, error.to_string()),
            Some(Ok(span)) if span.is_zero() => {
                wrong(member, "it is nothing; expected more than 0s".to_owned());
            }
            _ => {}
        }
    }
    if let Some(retries) = edge.retries.filter(|retries| *retries > MOST_RETRIES) {
        wrong(
            "retries",
            format!("{retries} are too many; at most {MOST_RETRIES} are possible"),
        );
    }
    let choices: [(&str, &Option<String>, &[&str]); 2] = [
        ("offload", &edge.offload, &["auto", "never", "always"]),
        ("network", &edge.network, &["default", "none"]),
    ];
    for (member, text, known) in choices {
        if let Some(text) = text.as_deref().filter(|text| !known.contains(text)) {
            wrong(
                member,
                format!("{text:?} is not known; expected {}", one_of(known)),
            );
        }
    }
    if let Some(after) = edge.after.as_deref() {
        let moved = after.strip_prefix("move:").map(str::trim);
        let good = moved.is_some_and(|folder| {
            !folder.is_empty() && !folder.split('/').any(|segment| segment == "..")
        });
        if !good && !["keep", "delete"].contains(&after) {
            wrong(
                "after",
                format!("{after:?} is not known; expected keep, delete or move:<folder>"),
            );
        }
    }
    for (at, device) in edge.devices.iter().enumerate() {
        let inner = device.strip_prefix("/dev/").filter(|rest| !rest.is_empty());
        if inner.is_none_or(|rest| {
            rest.split('/')
                .any(|segment| matches!(segment, "." | ".." | ""))
        }) {
            wrong(
                &format!("devices[{at}]"),
                format!("{device:?} is no device; expected a path such as \"/dev/video0\""),
            );
        }
    }
    if edge.node_selector.keys().any(String::is_empty) {
        wrong(
            "node_selector",
            "a label without a name; expected <label>: <value>".to_owned(),
        );
    }
}
