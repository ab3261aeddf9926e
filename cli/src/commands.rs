//! One file for each command, or for a few that belong together.

pub(crate) mod apply;
pub(crate) mod buckets;
pub(crate) mod clusters;
pub(crate) mod dead_letters;
pub(crate) mod federation;
pub(crate) mod files;
pub(crate) mod jobs;
pub(crate) mod logs;
pub(crate) mod metrics;
pub(crate) mod quotas;
pub(crate) mod registries;
pub(crate) mod services;
mod status;
pub(crate) mod system_logs;
pub(crate) mod up;
mod version;
pub(crate) mod volumes;
mod watch;

use std::io::{self, IsTerminal, Write};

use clap_complete::generate;
use serde_json::Value;

use crate::arguments::{Arguments, Command, Shared};
use crate::client::{Access, Client};
use crate::clusters::{Cluster, ClustersError, ClustersFile};
use crate::exit::{CommandError, EXIT_CODES};
use crate::interrupt::Interrupt;
use crate::screen::Screen;

/// What commands work with.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) screen: Screen,
    pub(crate) interrupt: Interrupt,
}

/// Carries the command out.
pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let shared = &arguments.shared;
    let context = Context {
        shared,
        screen: Screen::new(shared.output, shared.quiet),
        interrupt: Interrupt::default(),
    };
    if let Command::Up(up) = &arguments.command {
        // It stops in an orderly way by itself; being asked to is no failure.
        return Box::pin(up::run(&context, up)).await;
    }
    let interrupt = context.interrupt.clone();
    interrupt
        .guard(Box::pin(dispatch(&context, &arguments.command)))
        .await
}

async fn dispatch(context: &Context<'_>, command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Services(services) => services::run(context, services).await,
        Command::Apply(apply) => apply::run(context, apply).await,
        Command::Files(files) => files::run(context, files).await,
        Command::Jobs(jobs) => jobs::run(context, jobs).await,
        Command::Logs(logs) => logs::run(context, logs).await,
        Command::DeadLetters(letters) => dead_letters::run(context, letters).await,
        Command::Buckets(it) => buckets::run(context, it).await,
        Command::Volumes(it) => volumes::run(context, it).await,
        Command::Quotas(it) => quotas::run(context, it).await,
        Command::Metrics(it) => metrics::run(context, it).await,
        Command::Federation(it) => federation::run(context, it).await,
        Command::SystemLogs(it) => system_logs::run(context, it).await,
        Command::Up(up) => Box::pin(up::run(context, up)).await,
        Command::Status => status::run(context).await,
        Command::Registries(registries) => registries::run(context, registries).await,
        Command::Config(config) => clusters::run(context, config).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            generate(*shell, &mut crate::command(), "spillway", &mut script);
            Ok(context.screen.bytes(&script)?)
        }
        Command::Version { server } => version::run(context, *server).await,
        Command::ExitCodes => Ok(context.screen.text(&format!("{EXIT_CODES}\n"))?),
    }
}

impl Shared {
    /// The fingerprint that was given, as the configuration writes it; empty for none.
    pub(crate) fn fingerprint(&self) -> String {
        let given = self.fingerprint.as_ref();
        given.map(ToString::to_string).unwrap_or_default()
    }

    /// The file of authorities that was given, independent of the folder we are in; empty for none.
    pub(crate) fn ca(&self) -> String {
        let path = self.ca.as_ref().map(|path| {
            let whole = std::path::absolute(path);
            whole.unwrap_or_else(|_| path.clone()).display().to_string()
        });
        path.unwrap_or_default()
    }
}

impl Context<'_> {
    /// The file with the clusters.
    pub(crate) fn clusters(&self) -> Result<ClustersFile, ClustersError> {
        ClustersFile::read(self.shared.config.as_deref())
    }

    /// The client of the cluster that the options name, or of the default one.
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        let access = match (&self.shared.endpoint, &self.shared.cluster) {
            (Some(endpoint), _) => self.named_endpoint(endpoint)?,
            (None, Some(id)) => self.named_cluster(id)?,
            (None, None) => {
                let file = self.clusters()?;
                let id = file.default_id()?.to_owned();
                Access {
                    cluster: file.cluster(&id)?.clone(),
                    id,
                }
            }
        };
        Ok(Client::new(access, self.shared.verbose)?)
    }

    /// The client of the cluster `id` of the configuration.
    pub(crate) fn client_of(&self, id: &str) -> anyhow::Result<Client> {
        Ok(Client::new(self.named_cluster(id)?, self.shared.verbose)?)
    }

    fn named_cluster(&self, id: &str) -> anyhow::Result<Access> {
        let cluster = self.clusters()?.cluster(id)?.clone();
        Ok(Access {
            cluster,
            id: id.to_owned(),
        })
    }

    fn named_endpoint(&self, endpoint: &str) -> anyhow::Result<Access> {
        if self.shared.user.is_none() && self.shared.password.is_some() {
            return Err(CommandError::Usage("--password needs --user".into()).into());
        }
        let cluster = Cluster {
            endpoint: endpoint.to_owned(),
            auth_user: self.shared.user.clone().unwrap_or_default(),
            auth_password: self.shared.password.clone().unwrap_or_default(),
            fingerprint: self.shared.fingerprint(),
            ca: self.shared.ca(),
            ..Cluster::default()
        };
        Ok(Access {
            id: String::new(),
            cluster,
        })
    }
}

/// Asks on the terminal; without one, the answer must be on the command line.
fn confirm(question: &str) -> anyhow::Result<()> {
    if !io::stdin().is_terminal() {
        return Err(CommandError::Usage(
            "this cannot be undone; say --yes to do it without a question".into(),
        )
        .into());
    }
    eprint!("{question} [y/N] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(CommandError::Interrupted.into())
}

/// A value of an answer in a table's cell.
fn word(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
