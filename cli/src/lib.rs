//! The command `spillway`: a whole node in one process (`up`), and the client of a cluster (all the rest).
//!
//! What it is not: it holds no state but the list of clusters, and knows nothing that the gateway's API does not
//! tell. `arguments` says what a user may type, `commands` has one file for each command, `client` speaks HTTP,
//! `screen` writes, and `exit` alone decides about exit codes.
//!
//! Invariants: results go to standard output and everything else to standard error; no command waits for ever
//! unless it was asked to follow; what a user reads of a failure says what to do.

mod arguments;
mod client;
mod clusters;
mod commands;
mod exit;
mod interrupt;
mod screen;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use arguments::Arguments;
pub use exit::EXIT_CODES;

/// Parses the arguments, carries the command out, and tells how it went.
pub fn run() -> ExitCode {
    let arguments = match command()
        .try_get_matches()
        .and_then(|found| Arguments::from_arg_matches(&found))
    {
        Ok(arguments) => arguments,
        Err(error) => {
            // A closed pipe is the only thing that can go wrong here, and then nobody reads.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() {
                exit::USAGE
            } else {
                exit::OK
            });
        }
    };
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(16)
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| {
            let outcome = runtime.block_on(commands::run(&arguments));
            // A read of standard input that never ends must not hold the process.
            runtime.shutdown_background();
            outcome
        });
    exit::report(&arguments.shared, outcome)
}

/// The whole command line as clap sees it; the reference in the book is made from it.
pub fn command() -> clap::Command {
    Arguments::command()
}
