//! Process 1 of every service container: runs the user's script once per invocation, for an agent outside.
//!
//! It is not a service of its own: it keeps nothing on disk, holds no key, and knows neither the gateway nor the
//! network. The agent connects over a Unix socket in a folder that container and node share, sends an invocation,
//! and gets the script's output as it is written and in the end how it went (`spillway_model::wire::supervisor`).
//!
//! Invariants: one invocation at a time; when an invocation is reported as over, none of its processes lives and
//! the scratch folders look as they did at the container's start; nobody inside the container may give orders;
//! no wait and no buffer is without a limit. One thread, one `poll(2)` loop, no heap use worth naming at rest.

mod arguments;
mod connection;
mod folders;
mod hold;
mod output;
mod processes;
mod run;
mod sacrifice;
mod serve;
mod signals;
mod spawn;

use std::io::Write;
use std::process::ExitCode;

use arguments::Command;

fn main() -> ExitCode {
    match arguments::parse(std::env::args_os().skip(1)) {
        Ok(Command::Serve(settings)) => match serve::serve(&settings) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error, 1),
        },
        Ok(Command::Hold) => match hold::hold() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error, 1),
        },
        Ok(Command::True) => ExitCode::SUCCESS,
        Ok(Command::Print(text)) => {
            // Nobody listening is no failure.
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error, 2),
    }
}

/// Says an error with its causes on standard error.
fn fail(error: &dyn std::error::Error, code: u8) -> ExitCode {
    let mut text = format!("spillway-supervisor: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text.push('\n');
    let _ = std::io::stderr().write_all(text.as_bytes());
    ExitCode::from(code)
}
