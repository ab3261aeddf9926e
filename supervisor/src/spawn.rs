//! Starting the script, quickly: one `posix_spawn(3)`, which neither copies page tables nor runs code of ours in the child.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{AccessFlags, Pid, access, pipe2};
use spillway_model::wire::supervisor::Invocation;

use crate::sacrifice::Sacrifice;

/// The shell that runs every script.
const SHELL: &CStr = c"/bin/sh";

/// Why a script did not start, in words for its author.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpawnError {
    #[error("the script {0} is missing in the container")]
    ScriptMissing(String),
    #[error("the script {path} cannot be read: {cause}")]
    Script { path: String, cause: Errno },
    #[error("the event file {path} cannot be opened: {cause}")]
    Stdin { path: String, cause: io::Error },
    #[error(
        "the environment variable {0:?} cannot be set: a name is not empty and has no '=', and neither name nor value has a NUL"
    )]
    Variable(String),
    #[error(
        "this image has no /bin/sh (or not the loader that it needs); scripts are run by it, so choose an image with a shell"
    )]
    NoShell,
    #[error("/bin/sh of this image is for another processor architecture than this node's")]
    WrongArchitecture,
    #[error(
        "the environment is too large for the kernel: at most 128 KiB in one variable and about 2 MiB in all"
    )]
    EnvironmentTooLarge,
    #[error("no more processes or memory for the script in this container: {0}")]
    NoResources(Errno),
    #[error("the script cannot be started: {0}")]
    Other(Errno),
}

/// A script that runs, and the ends of its output that we read.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) process: Pid,
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
}

/// What is the same for every start, prepared once.
#[derive(Debug)]
pub(crate) struct Spawner {
    attributes: PosixSpawnAttr,
    sacrifice: Option<Sacrifice>,
    /// The container's own environment: length of the name, and `name=value`.
    environment: Vec<(usize, CString)>,
}

impl Spawner {
    /// Takes the environment of this process as the container's. To be called while this process may still write
    /// to its own files under `/proc`.
    pub(crate) fn prepare() -> nix::Result<Self> {
        let mut attributes = PosixSpawnAttr::init()?;
        attributes.set_flags(
            PosixSpawnFlags::POSIX_SPAWN_SETPGROUP
                | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK
                | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF,
        )?;
        attributes.set_pgroup(Pid::from_raw(0))?;
        // We block signals to poll for them, and Rust ignores SIGPIPE; the script shall know of neither.
        attributes.set_sigmask(&SigSet::empty())?;
        attributes.set_sigdefault(&SigSet::from(Signal::SIGPIPE))?;
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| {
                let length = name.len();
                let mut variable = name.into_vec();
                variable.push(b'=');
                variable.append(&mut value.into_vec());
                Some((length, CString::new(variable).ok()?))
            })
            .collect();
        Ok(Self {
            attributes,
            sacrifice: Sacrifice::prepare(),
            environment,
        })
    }

    /// Starts the script in a process group of its own.
    pub(crate) fn spawn(&self, invocation: &Invocation) -> Result<Script, SpawnError> {
        let own = own_variables(&invocation.environment)?;
        let inherited = self.environment.iter().filter(|(length, variable)| {
            let name = &variable.to_bytes()[..*length];
            !invocation
                .environment
                .iter()
                .any(|(own, _)| own.as_bytes() == name)
        });
        let environment: Vec<&CStr> = inherited
            .map(|(_, text)| text)
            .chain(&own)
            .map(CString::as_c_str)
            .collect();

        let script = readable(&invocation.script)?;
        let stdin = open_stdin(invocation.stdin.as_deref())?;
        let (stdout, stdout_of_script) = pipe()?;
        let (stderr, stderr_of_script) = pipe()?;
        let mut files = PosixSpawnFileActions::init().map_err(SpawnError::NoResources)?;
        for (ours, theirs) in [
            (stdin.as_raw_fd(), 0),
            (stdout_of_script.as_raw_fd(), 1),
            (stderr_of_script.as_raw_fd(), 2),
        ] {
            files
                .add_dup2(ours, theirs)
                .map_err(SpawnError::NoResources)?;
        }
        if let Some(sacrifice) = &self.sacrifice {
            sacrifice.raise();
        }
        let process = posix_spawn(
            SHELL,
            &files,
            &self.attributes,
            &[c"/bin/sh", script.as_c_str()],
            &environment,
        );
        if let Some(sacrifice) = &self.sacrifice {
            sacrifice.restore();
        }
        let process = process.map_err(explain)?;
        Ok(Script {
            process,
            stdout,
            stderr,
        })
    }
}

fn explain(error: Errno) -> SpawnError {
    match error {
        Errno::ENOENT | Errno::EACCES | Errno::ENOTDIR | Errno::ELIBBAD => SpawnError::NoShell,
        Errno::ENOEXEC => SpawnError::WrongArchitecture,
        Errno::E2BIG => SpawnError::EnvironmentTooLarge,
        Errno::EAGAIN | Errno::ENOMEM | Errno::EMFILE | Errno::ENFILE => {
            SpawnError::NoResources(error)
        }
        other => SpawnError::Other(other),
    }
}

fn own_variables(environment: &[(String, String)]) -> Result<Vec<CString>, SpawnError> {
    let variable = |(name, value): &(String, String)| {
        let wrong = || SpawnError::Variable(name.clone());
        if name.is_empty() || name.contains('=') {
            return Err(wrong());
        }
        let mut text = Vec::with_capacity(name.len() + value.len() + 2);
        text.extend_from_slice(name.as_bytes());
        text.push(b'=');
        text.extend_from_slice(value.as_bytes());
        CString::new(text).map_err(|_| wrong())
    };
    environment.iter().map(variable).collect()
}

/// The script's path, once it is known that the shell can read it: the shell's own words would go to the log as the
/// script's.
fn readable(script: &str) -> Result<CString, SpawnError> {
    let path = CString::new(script).map_err(|_| SpawnError::ScriptMissing(script.to_owned()))?;
    match access(path.as_c_str(), AccessFlags::R_OK) {
        Ok(()) => Ok(path),
        Err(Errno::ENOENT | Errno::ENOTDIR) => Err(SpawnError::ScriptMissing(script.to_owned())),
        Err(cause) => Err(SpawnError::Script {
            path: script.to_owned(),
            cause,
        }),
    }
}

fn open_stdin(path: Option<&str>) -> Result<File, SpawnError> {
    let path = path.unwrap_or("/dev/null");
    File::open(path).map_err(|cause| SpawnError::Stdin {
        path: path.to_owned(),
        cause,
    })
}

/// A pipe whose end for us does not block; the script's does, as programs expect.
fn pipe() -> Result<(OwnedFd, OwnedFd), SpawnError> {
    let (ours, theirs) = pipe2(OFlag::O_CLOEXEC).map_err(SpawnError::NoResources)?;
    fcntl(&ours, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(SpawnError::NoResources)?;
    Ok((ours, theirs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_that_no_program_could_read_are_refused_by_name() {
        let wrong = |name: &str, value: &str| {
            own_variables(&[(name.into(), value.into())])
                .unwrap_err()
                .to_string()
        };
        assert!(wrong("", "x").contains("\"\""));
        assert!(wrong("A=B", "x").contains("\"A=B\""));
        assert!(wrong("NUL", "a\0b").contains("\"NUL\""));
        let right =
            own_variables(&[("A".into(), "b=c".into()), ("EMPTY".into(), String::new())]).unwrap();
        assert_eq!(right, [c"A=b=c".to_owned(), c"EMPTY=".to_owned()]);
    }
}
