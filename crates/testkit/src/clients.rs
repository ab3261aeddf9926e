//! Other people's clients and servers, as their registries have them, unmodified.
//!
//! `scripts/setup test` installs them below `target/clients/` with `scripts/clients`; a test that finds one missing
//! has it installed, too. What is installed, and in exactly which versions, say the lists in
//! `crates/testkit/clients/`: `NAME.txt` becomes a virtual environment that is had by [`Python::with`]`("NAME")`, a
//! line of `go.modules` a program that is had by [`go_program`].

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::process::Command;
use tokio::time::timeout;

/// How long installing may take: tens of megabytes over a slow line.
const INSTALLING: Duration = Duration::from_mins(15);
/// How long a client may run before it counts as hung, unless a test says otherwise.
const RUNNING: Duration = Duration::from_mins(5);

/// A Python with the packages of one list.
#[derive(Debug, Clone)]
pub struct Python {
    folder: PathBuf,
}

impl Python {
    /// The environment of `crates/testkit/clients/<name>.txt`, made when it is not there or the list has changed.
    pub async fn with(name: &str) -> Result<Self> {
        let folder = installed(name).await?;
        Ok(Self { folder })
    }

    /// A command that a package of the list brings, such as `schemathesis`; to be started with what else it needs.
    pub fn command(&self, name: &str) -> Result<Command> {
        let path = self.folder.join("bin").join(name);
        ensure!(path.is_file(), "{} is not there", path.display());
        let mut command = Command::new(path);
        command
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PYTHONUNBUFFERED", "1")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        Ok(command)
    }

    /// Runs a script; what it printed to its standard output. An error holds all that it printed.
    pub async fn run(
        &self,
        script: &Path,
        arguments: &[impl AsRef<OsStr>],
        environment: &[(&str, &str)],
    ) -> Result<String> {
        let mut python = self.command("python")?;
        python.arg(script).args(arguments);
        python.envs(environment.iter().copied());
        said(python).await
    }

    /// Runs the tests in a file or folder with pytest, which must be in the list; one test of them when
    /// `SPILLWAY_PYTEST` names it.
    pub async fn pytest(&self, tests: &Path, environment: &[(&str, &str)]) -> Result<String> {
        let mut pytest = self.command("python")?;
        pytest.args(["-m", "pytest", "-q", "--no-header", "--maxfail=30"]);
        pytest.args(["-p", "no:cacheprovider", "--tb=short", "--durations=3"]);
        if let Some(only) = std::env::var_os("SPILLWAY_PYTEST") {
            pytest.args([OsString::from("-k"), only]);
        }
        pytest.arg(tests).envs(environment.iter().copied());
        said(pytest).await
    }
}

/// A program of `crates/testkit/clients/go.modules`, or `shapes`, our own stand-in for OSCAR's command-line client. The
/// inner error is the reason why the registry or the compiler of this machine does not give it.
pub async fn go_program(name: &str) -> Result<Result<PathBuf, String>> {
    let folder = installed("go").await?;
    let missing = folder.join(format!("{name}.missing"));
    if let Ok(why) = std::fs::read_to_string(missing) {
        return Ok(Err(why));
    }
    let path = folder.join(name);
    ensure!(path.is_file(), "{} is not there", path.display());
    Ok(Ok(path))
}

/// Has `scripts/clients` install one list, if it is not there; its folder.
async fn installed(name: &str) -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut script = Command::new(root.join("scripts/clients"));
    script.arg(name);
    said_within(script, INSTALLING).await?;
    Ok(root.join("target/clients").join(name).canonicalize()?)
}

/// Runs a program to its end; what it printed to its standard output. It fails when the program does, or does not
/// end in five minutes, with everything that it printed.
pub async fn said(program: Command) -> Result<String> {
    said_within(program, RUNNING).await
}

/// The same with a patience of its own.
pub async fn said_within(program: Command, patience: Duration) -> Result<String> {
    let called = format!("{:?}", program.as_std());
    let output = outcome(program, patience).await?;
    if !output.status.success() {
        bail!(
            "{called} ended with {}:\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a program to its end, whatever that is.
pub async fn outcome(mut program: Command, patience: Duration) -> Result<Output> {
    let called = format!("{:?}", program.as_std());
    program.stdin(Stdio::null()).kill_on_drop(true);
    timeout(patience, program.output())
        .await
        .with_context(|| format!("{called} did not end within {patience:?}"))?
        .with_context(|| format!("starting {called}"))
}
