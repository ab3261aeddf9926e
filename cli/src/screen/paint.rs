//! Colours, where they are wanted.

use std::io::{self, IsTerminal};

/// `text` in the style of an ANSI `code` when standard error is a terminal and `NO_COLOR` is not set.
pub(crate) fn stderr(code: &str, text: &str) -> String {
    if on_stderr() {
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}

/// Whether standard error shows colours.
pub(crate) fn on_stderr() -> bool {
    wanted(io::stderr().is_terminal())
}

fn wanted(terminal: bool) -> bool {
    terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
