//! What a user may type.
//!
//! Comments on arguments are help texts: they are read in terminals, not rendered as Markdown.
#![allow(clippy::doc_markdown)]

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use spillway_trust::Fingerprint;

use crate::commands::{
    apply, buckets, clusters, dead_letters, federation, files, jobs, logs, metrics, quotas,
    registries, services, system_logs, up, volumes,
};
use crate::exit::EXIT_CODES;
use crate::screen::Format;

const ABOUT: &str = "Runs containers for files, on small machines, speaking OSCAR's languages";

const START: &str = "\
Start here:
  spillway up                               a whole cluster on this machine
  spillway apply service.yaml               create the services of an FDL file
  spillway put my-service picture.jpg --wait
  spillway get-file my-service --latest
  spillway status

Environment:
  SPILLWAY_CONFIG      file with the clusters, instead of ~/.oscar-cli/config.yaml
  SPILLWAY_CLUSTER     cluster to use, instead of the default
  SPILLWAY_ENDPOINT, SPILLWAY_USER, SPILLWAY_PASSWORD
                       cluster to use, without any file
  SPILLWAY_FINGERPRINT, SPILLWAY_CA
                       whose certificate to trust there
  NO_COLOR             no colours

Exit codes are told by `spillway help exit-codes`.";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "spillway", version, about = ABOUT, after_help = START, max_term_width = 110)]
#[command(arg_required_else_help = true, infer_long_args = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) shared: Shared,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Common options")]
pub(crate) struct Shared {
    /// Cluster to use, by its id in the configuration [default: the configuration's default]
    #[arg(
        long,
        short = 'c',
        global = true,
        env = "SPILLWAY_CLUSTER",
        hide_env = true,
        value_name = "ID"
    )]
    pub(crate) cluster: Option<String>,
    /// Gateway to use, without a configuration, such as http://192.168.1.10:8080
    #[arg(
        long,
        global = true,
        env = "SPILLWAY_ENDPOINT",
        hide_env = true,
        value_name = "URL"
    )]
    pub(crate) endpoint: Option<String>,
    /// User name for --endpoint
    #[arg(
        long,
        global = true,
        env = "SPILLWAY_USER",
        hide_env = true,
        value_name = "NAME"
    )]
    pub(crate) user: Option<String>,
    /// Password for --endpoint; better in the variable SPILLWAY_PASSWORD, where others cannot see it
    #[arg(
        long,
        global = true,
        env = "SPILLWAY_PASSWORD",
        hide_env = true,
        hide_env_values = true,
        value_name = "PASSWORD"
    )]
    pub(crate) password: Option<String>,
    /// Fingerprint of the key to trust, as the gateway prints it at its start; for --endpoint and `config add`
    #[arg(
        long,
        global = true,
        env = "SPILLWAY_FINGERPRINT",
        hide_env = true,
        value_name = "SHA256",
        conflicts_with = "ca"
    )]
    pub(crate) fingerprint: Option<Fingerprint>,
    /// PEM file with the authorities to trust instead of the system's; for --endpoint and `config add`
    #[arg(
        long,
        global = true,
        env = "SPILLWAY_CA",
        hide_env = true,
        value_name = "FILE"
    )]
    pub(crate) ca: Option<PathBuf>,
    /// File with the clusters [default: ~/.oscar-cli/config.yaml]
    #[arg(
        long,
        global = true,
        env = "SPILLWAY_CONFIG",
        hide_env = true,
        value_name = "FILE"
    )]
    pub(crate) config: Option<PathBuf>,
    /// How results are written
    #[arg(
        long,
        short = 'o',
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT"
    )]
    pub(crate) output: Format,
    /// Only results: no notes, no progress; lists print names alone
    #[arg(long, short = 'q', global = true)]
    pub(crate) quiet: bool,
    /// Tell every request on standard error, and errors in full
    #[arg(long, short = 'v', global = true)]
    pub(crate) verbose: bool,
}

/// One command.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Up(Box<up::Up>),
    #[command(flatten)]
    Services(services::Services),
    Apply(apply::Apply),
    #[command(flatten)]
    Files(files::Files),
    #[command(flatten)]
    Jobs(jobs::Jobs),
    Logs(logs::Logs),
    /// Jobs that were given up: look at them, try them again, delete them
    ///
    /// A job that failed as often as its service allows is kept with its input and the reason.
    #[command(name = "dead-letters", visible_alias = "dl", after_help = dead_letters::EXAMPLES)]
    DeadLetters(dead_letters::DeadLetters),
    /// Buckets: list, create, who may see them, links to objects, delete
    #[command(after_help = buckets::EXAMPLES)]
    Buckets(buckets::Buckets),
    /// Volumes: folders on a node that services mount and that survive their jobs
    #[command(after_help = volumes::EXAMPLES)]
    Volumes(volumes::Volumes),
    /// What users may use, and what they use
    #[command(after_help = quotas::EXAMPLES)]
    Quotas(quotas::Quotas),
    /// How often services were asked, by whom, and what that took
    #[command(after_help = metrics::EXAMPLES)]
    Metrics(metrics::Metrics),
    /// The same service on several clusters: who the members are
    #[command(after_help = federation::EXAMPLES)]
    Federation(federation::Federation),
    /// The last calls of services, as the gateway saw them
    #[command(name = "system-logs", after_help = system_logs::EXAMPLES)]
    SystemLogs(system_logs::SystemLogs),
    /// Nodes, jobs by state, and images on their way
    #[command(after_help = "Examples:\n  spillway status\n  spillway status --output json")]
    Status,
    /// Logins of image registries that services may use
    ///
    /// A service names them in `image_pull_secrets`; nodes use the one whose server is its image's.
    #[command(after_help = registries::EXAMPLES)]
    Registries(registries::Registries),
    /// The clusters you know, kept where OSCAR's client keeps them
    #[command(after_help = clusters::EXAMPLES)]
    Config(clusters::Config),
    /// Print a script that completes commands in your shell
    #[command(
        after_help = "Examples:\n  spillway completions bash > /etc/bash_completion.d/spillway\n  spillway completions fish > ~/.config/fish/completions/spillway.fish"
    )]
    Completions {
        /// Shell to complete in
        shell: Shell,
    },
    /// Version of this command and, with --server, of the cluster
    Version {
        /// Also ask the cluster
        #[arg(long)]
        server: bool,
    },
    /// What the exit codes mean
    #[command(name = "exit-codes", before_help = EXIT_CODES)]
    ExitCodes,
}
