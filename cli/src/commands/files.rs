//! `put`, `get-file`, `ls`, `rm`: files in and out of buckets.

mod get;
mod list;
mod put;
mod remove;
mod target;

use clap::Subcommand;

use super::Context;

/// Commands about files.
#[derive(Debug, Subcommand)]
pub(crate) enum Files {
    Put(put::Put),
    #[command(name = "get-file")]
    GetFile(get::GetFile),
    Ls(list::Ls),
    Rm(remove::Rm),
}

pub(crate) async fn run(context: &Context<'_>, command: &Files) -> anyhow::Result<()> {
    match command {
        Files::Put(put) => put::run(context, put).await,
        Files::GetFile(get) => get::run(context, get).await,
        Files::Ls(ls) => list::run(context, ls).await,
        Files::Rm(rm) => remove::run(context, rm).await,
    }
}
