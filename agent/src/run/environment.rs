//! The variables that a script sees beside those of its service and its image.

use std::collections::BTreeMap;

use spillway_model::wire::link::Lease;

/// The longest event that is also put into `EVENT`: Linux takes strings of up to 128 KiB.
const MAX_EVENT: usize = 128 * 1024 - 4 * 1024;

/// The longest `NAME=value` that Linux takes, with the zero byte at its end.
const MAX_VARIABLE: usize = 128 * 1024;

/// Variables for one run, whose folder is called `folder` inside the container. Those that no process could take
/// are named in the second list.
pub(super) fn environment(lease: &Lease, folder: &str) -> (Vec<(String, String)>, Vec<String>) {
    let mut variables: BTreeMap<String, String> = lease.environment.clone();
    let mut set = |name: &str, value: String| {
        variables.insert(name.to_owned(), value);
    };
    set("JOB_UUID", lease.attempt.job.clone());
    set("TMP_INPUT_DIR", format!("{folder}/input"));
    set("TMP_OUTPUT_DIR", format!("{folder}/output"));
    set("TMPDIR", format!("{folder}/tmp"));
    if let Some(input) = &lease.input {
        set("INPUT_FILE_PATH", format!("{folder}/input/{}", input.name));
    }
    if lease.event.len() <= MAX_EVENT && !lease.event.contains('\0') {
        set("EVENT", lease.event.clone());
    }
    // As in OSCAR, what is empty is not set at all.
    variables.retain(|_, value| !value.is_empty());
    let (good, bad): (Vec<_>, Vec<_>) = variables.into_iter().partition(|(name, value)| {
        name.len() + value.len() + 2 <= MAX_VARIABLE
            && !value.contains('\0')
            && !name.contains(['\0', '='])
    });
    (good, bad.into_iter().map(|(name, _)| name).collect())
}

#[cfg(test)]
#[allow(clippy::items_after_statements)] // The helper of a table of cases comes last.
mod tests {
    use spillway_model::wire::link::{Attempt, InputFile, Resources};

    use super::*;

    fn lease(event: &str, variables: &[(&str, &str)]) -> Lease {
        Lease {
            attempt: Attempt {
                job: "s-1".to_owned(),
                attempt: 1,
            },
            service: "s".to_owned(),
            revision: 1,
            resources: Resources::default(),
            environment: variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            event: event.to_owned(),
            input: Some(InputFile {
                name: "a b.jpg".to_owned(),
                size: 1,
                inline: None,
            }),
        }
    }

    #[test]
    fn a_script_sees_what_oscar_documents() {
        let (good, bad) = environment(
            &lease(
                "{}",
                &[("STORAGE_OBJECT_KEY", "in/a b.jpg"), ("NOTHING", "")],
            ),
            "/r",
        );
        let text: Vec<String> = good
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let expected = [
            "EVENT={}",
            "INPUT_FILE_PATH=/r/input/a b.jpg",
            "JOB_UUID=s-1",
            "STORAGE_OBJECT_KEY=in/a b.jpg",
            "TMPDIR=/r/tmp",
            "TMP_INPUT_DIR=/r/input",
            "TMP_OUTPUT_DIR=/r/output",
        ];
        assert_eq!(text, expected);
        assert!(bad.is_empty());
    }

    #[test]
    fn an_event_that_no_process_could_take_is_not_in_the_environment() {
        check(&"x".repeat(MAX_EVENT), true);
        check(&"x".repeat(MAX_EVENT + 1), false);
        check("a\0b", false);
        check("", false);

        #[track_caller]
        fn check(event: &str, expected: bool) {
            let (good, bad) = environment(&lease(event, &[]), "/r");
            assert_eq!(good.iter().any(|(name, _)| name == "EVENT"), expected);
            assert!(bad.is_empty());
        }
    }

    #[test]
    fn variables_that_no_process_could_take_are_named() {
        let long = "x".repeat(MAX_VARIABLE);
        let (good, bad) = environment(
            &lease("", &[("LONG", &long), ("ZERO", "a\0"), ("FINE", "1")]),
            "/r",
        );
        assert_eq!(bad, ["LONG", "ZERO"]);
        assert!(good.iter().any(|(name, _)| name == "FINE"));
    }
}
