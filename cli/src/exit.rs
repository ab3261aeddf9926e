//! How a failure becomes an exit code and a message. The only file that knows the codes.

use std::io;
use std::process::ExitCode;

use spillway_storage::{StorageError, Why};

use crate::arguments::Shared;
use crate::client::{ClientError, Refusal};
use crate::clusters::ClustersError;
use crate::screen::paint;

pub(crate) const OK: u8 = 0;
pub(crate) const FAILED: u8 = 1;
pub(crate) const USAGE: u8 = 2;
pub(crate) const NOT_FOUND: u8 = 3;
pub(crate) const DENIED: u8 = 4;
pub(crate) const UNREACHABLE: u8 = 5;
pub(crate) const JOB_FAILED: u8 = 6;
pub(crate) const INTERRUPTED: u8 = 130;

/// What every command's exit code means.
pub const EXIT_CODES: &str = "  0    all went well
  1    it failed for a reason that has no code of its own
  2    the command line, the configuration or the file given is wrong
  3    there is no such service, job, bucket, object or cluster
  4    the cluster refused the user name, password or keys
  5    the cluster (or its object store) cannot be reached, or its certificate is not trusted
  6    a job that was waited for failed
  130  interrupted with Ctrl-C";

/// Failures that commands find by themselves.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// The command line makes no sense.
    #[error("{0}")]
    Usage(String),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// A job that was waited for went to the dead letters.
    #[error("{0}")]
    JobFailed(String),
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

/// Tells the user what went wrong and returns the exit code for it.
pub(crate) fn report(shared: &Shared, outcome: anyhow::Result<()>) -> ExitCode {
    let Err(error) = outcome else {
        return ExitCode::from(OK);
    };
    if is_closed_pipe(&error) {
        return ExitCode::from(OK);
    }
    let code = code(&error);
    if code == INTERRUPTED {
        eprintln!("interrupted");
    } else {
        eprintln!("{} {error}", paint::stderr("1;31", "error:"));
        let mut said = error.to_string();
        for cause in error.chain().skip(1) {
            let cause = cause.to_string();
            // Layers underneath like to repeat each other.
            if !said.contains(&cause) {
                eprintln!(
                    "  {} {}",
                    paint::stderr("2", "because:"),
                    first_line(&cause, shared.verbose)
                );
                said = cause;
            }
        }
    }
    ExitCode::from(code)
}

fn first_line(text: &str, whole: bool) -> &str {
    if whole {
        text
    } else {
        text.lines().next().unwrap_or_default()
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

fn code(error: &anyhow::Error) -> u8 {
    error.chain().find_map(code_of).unwrap_or(FAILED)
}

fn code_of(cause: &(dyn std::error::Error + 'static)) -> Option<u8> {
    if let Some(error) = cause.downcast_ref::<CommandError>() {
        return Some(match error {
            CommandError::Usage(_) => USAGE,
            CommandError::NotFound(_) => NOT_FOUND,
            CommandError::JobFailed(_) => JOB_FAILED,
            CommandError::Interrupted => INTERRUPTED,
        });
    }
    if let Some(error) = cause.downcast_ref::<ClustersError>() {
        return Some(match error {
            ClustersError::Unknown { .. } => NOT_FOUND,
            ClustersError::Read { .. } | ClustersError::Write { .. } => FAILED,
            _ => USAGE,
        });
    }
    if let Some(error) = cause.downcast_ref::<ClientError>() {
        return Some(match error {
            ClientError::Connect { .. }
            | ClientError::AnotherKey { .. }
            | ClientError::Untrusted { .. }
            | ClientError::TimedOut { .. }
            | ClientError::Broken { .. } => UNREACHABLE,
            ClientError::Refused { refusal, .. } => match refusal {
                Refusal::NotFound => NOT_FOUND,
                Refusal::Denied => DENIED,
                Refusal::Other(_) => FAILED,
            },
            ClientError::Endpoint { .. } | ClientError::Trust(_) => USAGE,
            ClientError::Answer { .. } => FAILED,
        });
    }
    if let Some(error) = cause.downcast_ref::<StorageError>() {
        return Some(match error {
            StorageError::Settings { .. } | StorageError::Key { .. } => USAGE,
            StorageError::Read { .. } => FAILED,
            StorageError::Provider { why, .. } => match why {
                Why::NotFound => NOT_FOUND,
                Why::Denied => DENIED,
                Why::Busy | Why::Unreachable => UNREACHABLE,
                Why::Other => FAILED,
            },
        });
    }
    None
}
