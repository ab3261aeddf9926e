//! The command line. By hand: a parser crate would double the size of this binary.

use std::ffi::OsString;
use std::path::PathBuf;

/// Where the agent expects the socket when nothing else is said.
const SOCKET: &str = "/spillway/supervisor.sock";

const HELP: &str = "\
Process 1 of a Spillway service container.

Usage: spillway-supervisor [serve] [--socket PATH] [--scratch FOLDER]... [--any-peer]
       spillway-supervisor hold
       spillway-supervisor true

  serve               run a script per invocation for the agent that connects (the default)
    --socket PATH     listen here [default: /spillway/supervisor.sock]
    --scratch FOLDER  after each invocation remove what is new in this folder; repeatable
                      [default: /tmp, /var/tmp and /dev/shm as process 1, otherwise none]
    --any-peer        also obey processes of the same PID namespace; for tests only
  hold                sleep until SIGTERM: keeps a network namespace open for other containers
  true                exit with 0: measures what a container start costs
  --version           say the version
  --help              say this
";

const VERSION: &str = concat!("spillway-supervisor ", env!("CARGO_PKG_VERSION"), "\n");

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Serve(Settings),
    Hold,
    True,
    Print(&'static str),
}

/// How to serve.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// The Unix socket to listen on.
    pub(crate) socket: PathBuf,
    /// Folders to clean after each invocation; empty for the usual ones.
    pub(crate) scratch: Vec<PathBuf>,
    /// Whether processes of our own PID namespace may give orders.
    pub(crate) any_peer: bool,
}

/// What is wrong with the command line.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum ArgumentError {
    #[error("unknown argument {0:?}; try --help")]
    Unknown(OsString),
    #[error("--socket needs a path, such as --socket {SOCKET}")]
    SocketWithoutPath,
    #[error("--scratch needs a folder, such as --scratch /tmp")]
    ScratchWithoutFolder,
}

/// Reads the arguments that follow the program's name.
pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Command, ArgumentError> {
    let mut arguments = arguments.peekable();
    let other = match arguments.peek().and_then(|first| first.to_str()) {
        Some("hold") => Some(Command::Hold),
        Some("true") => Some(Command::True),
        Some("--version" | "-V") => Some(Command::Print(VERSION)),
        Some("--help" | "-h") => Some(Command::Print(HELP)),
        Some("serve") => {
            arguments.next();
            None
        }
        _ => None,
    };
    if let Some(command) = other {
        return match arguments.nth(1) {
            None => Ok(command),
            Some(further) => Err(ArgumentError::Unknown(further)),
        };
    }
    let mut settings = Settings {
        socket: PathBuf::from(SOCKET),
        scratch: Vec::new(),
        any_peer: false,
    };
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--socket") => {
                settings.socket = arguments
                    .next()
                    .ok_or(ArgumentError::SocketWithoutPath)?
                    .into();
            }
            Some("--scratch") => settings.scratch.push(
                arguments
                    .next()
                    .ok_or(ArgumentError::ScratchWithoutFolder)?
                    .into(),
            ),
            Some("--any-peer") => settings.any_peer = true,
            _ => return Err(ArgumentError::Unknown(argument)),
        }
    }
    Ok(Command::Serve(settings))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(arguments: &[&str], expected: &Result<Command, ArgumentError>) {
        assert_eq!(
            &parse(arguments.iter().map(OsString::from)),
            expected,
            "for {arguments:?}"
        );
    }

    #[test]
    fn every_way_to_call_it_is_understood_or_refused_by_name() {
        let serve = |socket: &str, any_peer| {
            Ok(Command::Serve(Settings {
                socket: socket.into(),
                scratch: Vec::new(),
                any_peer,
            }))
        };
        let unknown = |argument: &str| Err(ArgumentError::Unknown(argument.into()));
        check(&[], &serve(SOCKET, false));
        check(&["serve"], &serve(SOCKET, false));
        check(&["--socket", "/a"], &serve("/a", false));
        check(
            &["serve", "--any-peer", "--socket", "/a"],
            &serve("/a", true),
        );
        check(&["hold"], &Ok(Command::Hold));
        check(&["true"], &Ok(Command::True));
        check(&["--version"], &Ok(Command::Print(VERSION)));
        check(&["--help"], &Ok(Command::Print(HELP)));
        check(&["--scratch"], &Err(ArgumentError::ScratchWithoutFolder));
        check(&["--socket"], &Err(ArgumentError::SocketWithoutPath));
        check(&["hold", "still"], &unknown("still"));
        check(&["--any-peer", "hold"], &unknown("hold"));
        check(&["sreve"], &unknown("sreve"));
    }
}
