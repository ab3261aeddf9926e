//! `system-logs`: the last calls of services.

use clap::Args;
use serde_json::Value;

use super::{Context, word};
use crate::client::path;
use crate::screen::Rows;

pub(crate) const EXAMPLES: &str = "\
Examples:
  spillway system-logs
  spillway system-logs --previous --output json";

#[derive(Debug, Args)]
pub(crate) struct SystemLogs {
    /// Those that the former process of the gateway served
    #[arg(long)]
    previous: bool,
}

pub(crate) async fn run(context: &Context<'_>, logs: &SystemLogs) -> anyhow::Result<()> {
    let client = context.client()?;
    let query = [("previous", logs.previous.to_string())];
    let found = client
        .value("the log of calls", &path(&["logs"]), &query)
        .await?;
    context.screen.show(&found, || table(&found))
}

fn table(found: &Value) -> Rows {
    let mut rows = Rows::new(
        &["TIME", "STATUS", "LATENCY", "FROM", "PATH", "USER"],
        "No service was called.",
    );
    for log in found["logs"].as_array().into_iter().flatten() {
        let members = [
            "timestamp",
            "status",
            "latency",
            "client_ip",
            "path",
            "user",
        ];
        rows.row(members.map(|name| word(&log[name])));
    }
    rows
}
