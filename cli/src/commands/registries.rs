//! `registries`: logins with which nodes pull private images.

use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use super::Context;
use crate::client::Login;
use crate::exit::CommandError;
use crate::screen::Rows;

pub(crate) const EXAMPLES: &str = "\
Examples:
  spillway registries add work --server registry.example.org:5000 --username ci
  spillway registries add hub --server docker.io --username ann --password-stdin < token
  spillway registries list
  spillway registries remove work

A service uses a login when it names it: image_pull_secrets: [work]";

/// Longest password that is read.
const MOST_PASSWORD: u64 = 64 * 1024;

#[derive(Debug, Args)]
pub(crate) struct Registries {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Keep a login, or replace it; the password is asked for unless it comes from a file or a pipe
    ///
    /// There is no option for the password itself: others on this machine could read it in the list of processes.
    Add {
        /// What services call it
        name: String,
        /// Host of the registry, with its port if it has one, as it stands in front of the images' names
        #[arg(long, value_name = "HOST")]
        server: String,
        /// Name of the registry's user
        #[arg(long, value_name = "NAME")]
        username: String,
        /// Read the password, or token, from standard input
        #[arg(long, conflicts_with = "password_file")]
        password_stdin: bool,
        /// Read it from a file
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// List them, without passwords
    #[command(alias = "ls")]
    List,
    /// Forget a login; services that still name it stand in the way
    #[command(alias = "rm")]
    Remove {
        /// Name of the login
        name: String,
    },
}

pub(crate) async fn run(context: &Context<'_>, registries: &Registries) -> anyhow::Result<()> {
    let client = context.client()?;
    match &registries.what {
        What::Add {
            name,
            server,
            username,
            password_stdin,
            password_file,
        } => {
            let password = password(*password_stdin, password_file.as_deref())?;
            let login = Login {
                server: server.clone(),
                username: username.clone(),
                password,
            };
            client.put_registry(name, &login).await?;
            context
                .screen
                .note(format!("{name}: kept by the cluster, sealed"));
            Ok(())
        }
        What::List => {
            let all = client.registries().await?;
            context.screen.show(&all, || {
                let mut rows = Rows::new(
                    &["NAME", "SERVER", "USER", "SERVICES"],
                    "There are no logins of registries yet; `spillway registries add` keeps one.",
                );
                for it in &all {
                    rows.row([
                        it.name.clone(),
                        it.server.clone(),
                        it.username.clone(),
                        it.services.join(", "),
                    ]);
                }
                rows
            })
        }
        What::Remove { name } => {
            client.delete_registry(name).await?;
            context.screen.note(format!("{name}: forgotten"));
            Ok(())
        }
    }
}

fn password(from_stdin: bool, file: Option<&Path>) -> anyhow::Result<String> {
    let text = if let Some(path) = file {
        let file = std::fs::File::open(path);
        let file = file.with_context(|| format!("reading the password in {}", path.display()))?;
        whole(file)?
    } else if from_stdin {
        whole(std::io::stdin().lock())?
    } else if std::io::stdin().is_terminal() {
        asked()?
    } else {
        let text = "the password is missing: pipe it in with --password-stdin, or name a file with --password-file";
        return Err(CommandError::Usage(text.into()).into());
    };
    let password = text.trim_end_matches(['\n', '\r']);
    if password.is_empty() {
        return Err(CommandError::Usage("the password is empty".into()).into());
    }
    Ok(password.to_owned())
}

fn whole(from: impl Read) -> anyhow::Result<String> {
    let mut text = String::new();
    from.take(MOST_PASSWORD).read_to_string(&mut text)?;
    Ok(text)
}

/// Asks for it without showing what is typed.
fn asked() -> anyhow::Result<String> {
    let stdin = std::io::stdin();
    eprint!("Password: ");
    std::io::stderr().flush()?;
    let former = tcgetattr(&stdin)?;
    let mut silent = former.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Flush, &silent)?;
    let mut text = String::new();
    let read = stdin.read_line(&mut text);
    tcsetattr(&stdin, OptionalActions::Flush, &former)?;
    eprintln!();
    read?;
    Ok(text)
}
