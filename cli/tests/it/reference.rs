//! The reference in the book is made from the command's own help texts, and must be current.

use std::fmt::Write as _;
use std::path::Path;

use clap::Command;

use crate::run::User;

const INTRODUCTION: &str = "\
# The command `spillway`

<!-- Made from the command's help texts: UPDATE_DOCS=1 cargo test -p spillway reference -->

One command for everything: it starts a node (`spillway up`) and it is the client of a cluster (all the rest).
It speaks OSCAR's API, so most of it also works with an OSCAR cluster; it shares OSCAR's client's list of clusters.

* Results go to standard output, everything else (notes, progress, warnings, errors) to standard error.
* `--output json` and `--output yaml` give every list and report to programs; `--quiet` gives names alone.
* There are no progress bars without a terminal, and no colours with `NO_COLOR`.
* Ctrl-C ends an upload properly: nothing half-written stays in the store, nor on this machine.

## Exit codes

The same for every command:

```text
";

#[test]
fn the_reference_in_the_book_is_what_the_command_says_of_itself() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cli.md");
    let current = reference();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &current).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == current,
        "docs/cli.md is stale; run: UPDATE_DOCS=1 cargo test -p spillway reference"
    );
}

#[test]
fn every_command_and_every_argument_explains_itself() {
    each(&mut spillway_cli::command(), &mut |name, command| {
        assert!(
            command.get_about().is_some(),
            "{name} says nothing of itself"
        );
        for argument in command.get_arguments() {
            assert!(
                argument.get_help().is_some(),
                "{name} {} says nothing of itself",
                argument.get_id()
            );
        }
    });
}

#[test]
fn the_arguments_do_not_contradict_each_other() {
    spillway_cli::command().debug_assert();
}

#[test]
fn exit_codes_are_told_on_both_ways_of_asking() {
    let user = User::new();
    for arguments in [&["help", "exit-codes"][..], &["exit-codes"]] {
        let ran = user.run(arguments);
        assert!(
            ran.stdout.contains(spillway_cli::EXIT_CODES.trim()),
            "{}",
            ran.stdout
        );
    }
}

#[test]
fn completions_are_made_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = User::new().run(&["completions", shell]);
        assert_eq!(ran.code, 0);
        assert!(ran.stdout.contains("dead-letters"), "{shell}");
    }
}

#[test]
fn a_mistyped_command_is_corrected() {
    let ran = User::new().run(&["aply"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("apply"), "{}", ran.stderr);
}

fn reference() -> String {
    let mut text = INTRODUCTION.to_owned() + spillway_cli::EXIT_CODES + "\n```\n";
    let mut command = spillway_cli::command()
        .term_width(100)
        .disable_help_subcommand(true);
    command.build();
    let help = command.render_help().to_string();
    write!(text, "\n## spillway\n\n```text\n{}\n```\n", trimmed(&help)).unwrap();
    for sub in command.get_subcommands_mut() {
        each(sub, &mut |name, command| {
            // Common options are told once, above.
            // And what the variables say here is of no interest there.
            let mut command = command
                .clone()
                .mut_args(|argument| argument.hide_env_values(true))
                .mut_args(|argument| {
                    if argument.is_global_set() {
                        argument.hide(true)
                    } else {
                        argument
                    }
                });
            let help = command.render_long_help().to_string();
            write!(text, "\n## {name}\n\n```text\n{}\n```\n", trimmed(&help)).unwrap();
        });
    }
    text
}

fn trimmed(help: &str) -> String {
    help.lines()
        .map(str::trim_end)
        .collect::<Vec<_>>()
        .join("\n")
        .trim_end()
        .to_owned()
}

fn each(command: &mut Command, told: &mut dyn FnMut(&str, &Command)) {
    let name = command
        .get_bin_name()
        .unwrap_or(command.get_name())
        .to_owned();
    told(&name, command);
    for sub in command.get_subcommands_mut() {
        if sub.get_name() != "help" {
            each(sub, told);
        }
    }
}
