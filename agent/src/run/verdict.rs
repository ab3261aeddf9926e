//! What the end of a run means, in words for the user.

use std::time::Duration;

use spillway_model::wire::link::{FailureReason, Outcome};

use crate::log::Level;
use crate::runtime::RunEnd;

/// An outcome, and lines about it for the log.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) outcome: Outcome,
    pub(super) notes: Vec<(Level, String)>,
}

/// Judges a run of a script with these limits.
pub(super) fn verdict(end: &RunEnd, memory: &str, timeout: Duration) -> Verdict {
    let exited = &end.exited;
    let mut notes = Vec::new();
    match exited.left_behind {
        0 => {}
        1 => notes.push((Level::Info, "1 process left behind was killed".to_owned())),
        many => notes.push((
            Level::Info,
            format!("{many} processes left behind were killed"),
        )),
    }
    let failed = if let Some(error) = &exited.error {
        Some((FailureReason::ContainerStart, error.clone()))
    } else if exited.timed_out {
        Some((FailureReason::TimedOut, timed_out(timeout)))
    } else if exited.code == Some(0) {
        if end.out_of_memory {
            let words = format!(
                "a process of the script was killed: exceeded the memory limit of {memory}"
            );
            notes.push((Level::Info, words));
        }
        None
    } else if end.out_of_memory {
        Some((
            FailureReason::OutOfMemory,
            format!("killed: exceeded its memory limit of {memory}"),
        ))
    } else if exited.killed {
        return Verdict {
            outcome: super::interrupted("The script was killed on the node's demand."),
            notes,
        };
    } else if let Some(code) = exited.code {
        Some((
            FailureReason::ExitCode,
            format!("the script ended with exit code {code}{}", hint(code)),
        ))
    } else if let Some(signal) = exited.signal {
        Some((
            FailureReason::Signal,
            format!("the script was ended by signal {signal}{}", name(signal)),
        ))
    } else {
        return Verdict {
            outcome: super::interrupted("The supervisor did not say how the script ended."),
            notes,
        };
    };
    let outcome = match failed {
        None => Outcome::Succeeded,
        Some((reason, words)) => {
            let message = sentence(&words);
            notes.push((Level::Error, words));
            Outcome::Failed { reason, message }
        }
    };
    Verdict { outcome, notes }
}

/// Words for a script that ran too long.
pub(super) fn timed_out(timeout: Duration) -> String {
    format!(
        "timed out after {}",
        spillway_model::duration::format(timeout)
    )
}

/// Words as a sentence: a capital, and a full stop.
pub(super) fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    let stop = if words.ends_with(['.', '!', '?']) {
        ""
    } else {
        "."
    };
    match letters.next() {
        Some(first) => format!("{}{}{stop}", first.to_uppercase(), letters.as_str()),
        None => String::new(),
    }
}

/// What the shell means by some exit codes.
fn hint(code: i32) -> &'static str {
    match code {
        126 => {
            " (a command could not be executed: is it executable, and made for this architecture?)"
        }
        127 => " (a command was not found in the image)",
        137 => " (a command was killed)",
        139 => " (a command crashed: segmentation fault)",
        _ => "",
    }
}

fn name(signal: i32) -> &'static str {
    match signal {
        1 => " (SIGHUP)",
        2 => " (SIGINT)",
        3 => " (SIGQUIT)",
        4 => " (SIGILL)",
        6 => " (SIGABRT)",
        7 => " (SIGBUS)",
        8 => " (SIGFPE)",
        9 => " (SIGKILL)",
        11 => " (SIGSEGV)",
        13 => " (SIGPIPE)",
        14 => " (SIGALRM)",
        15 => " (SIGTERM)",
        _ => "",
    }
}

#[cfg(test)]
#[allow(clippy::items_after_statements)] // The helper of a table of cases comes last.
mod tests {
    use spillway_model::wire::supervisor::Exited;

    use super::*;

    #[test]
    fn every_end_has_a_reason_and_words() {
        use FailureReason as Why;
        let end = Exited::default();
        let code = |code| Exited {
            code: Some(code),
            ..Exited::default()
        };
        check(&code(0), false, None, "");
        check(&code(0), true, None, "");
        check(
            &code(3),
            false,
            Some(Why::ExitCode),
            "The script ended with exit code 3.",
        );
        check(
            &code(127),
            false,
            Some(Why::ExitCode),
            "not found in the image",
        );
        check(
            &code(137),
            true,
            Some(Why::OutOfMemory),
            "Killed: exceeded its memory limit of 64Mi.",
        );
        check(
            &Exited {
                signal: Some(11),
                ..end.clone()
            },
            false,
            Some(Why::Signal),
            "signal 11 (SIGSEGV).",
        );
        check(
            &Exited {
                timed_out: true,
                signal: Some(9),
                ..end.clone()
            },
            false,
            Some(Why::TimedOut),
            "after 1m.",
        );
        let error = Some("there is no /bin/sh in the image".to_owned());
        check(
            &Exited { error, ..end },
            false,
            Some(Why::ContainerStart),
            "There is no /bin/sh in the image.",
        );

        #[track_caller]
        fn check(
            exited: &Exited,
            out_of_memory: bool,
            expected: Option<FailureReason>,
            words: &str,
        ) {
            let end = RunEnd {
                exited: exited.clone(),
                out_of_memory,
                peak_memory_bytes: 0,
            };
            let verdict = verdict(&end, "64Mi", Duration::from_mins(1));
            match (verdict.outcome, expected) {
                (Outcome::Succeeded, None) => {}
                (Outcome::Failed { reason, message }, Some(expected)) => {
                    assert_eq!(reason, expected);
                    assert!(message.contains(words), "{message:?} has no {words:?}");
                    assert_eq!(verdict.notes.last().unwrap().0, Level::Error);
                }
                (outcome, expected) => panic!("{outcome:?} instead of {expected:?}"),
            }
        }
    }

    #[test]
    fn runs_that_the_node_ended_are_interrupted() {
        for exited in [
            Exited {
                killed: true,
                signal: Some(9),
                ..Exited::default()
            },
            Exited::default(),
        ] {
            let end = RunEnd {
                exited,
                out_of_memory: false,
                peak_memory_bytes: 0,
            };
            assert!(matches!(
                verdict(&end, "", Duration::ZERO).outcome,
                Outcome::Interrupted { .. }
            ));
        }
    }

    #[test]
    fn processes_left_behind_are_told() {
        let exited = Exited {
            code: Some(0),
            left_behind: 2,
            ..Exited::default()
        };
        let end = RunEnd {
            exited,
            out_of_memory: false,
            peak_memory_bytes: 0,
        };
        let notes = verdict(&end, "", Duration::ZERO).notes;
        assert_eq!(
            notes,
            [(
                Level::Info,
                "2 processes left behind were killed".to_owned()
            )]
        );
    }
}
