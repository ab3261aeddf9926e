//! `volumes`: folders on nodes that services mount.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Context, confirm, word};
use crate::client::path;
use crate::screen::{Rows, units};

pub(crate) const EXAMPLES: &str = "\
Examples:
  spillway volumes list
  spillway volumes create models 2Gi
  spillway volumes delete models --yes
  spillway volumes delete models --yes --force    its node is gone for good";

#[derive(Debug, Args)]
pub(crate) struct Volumes {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List your volumes
    List,
    /// Create a volume, for services to mount
    Create {
        /// Name of the volume
        name: String,
        /// Its size, such as 1Gi
        size: String,
    },
    /// Show one volume
    Get {
        /// Name of the volume
        name: String,
    },
    /// Delete volumes with all that is in them
    Delete {
        /// Names of the volumes
        #[arg(required = true)]
        names: Vec<String>,
        /// Do not wait for the node, which is gone for good
        #[arg(long)]
        force: bool,
        /// Do not ask
        #[arg(long, short = 'y')]
        yes: bool,
    },
}

pub(crate) async fn run(context: &Context<'_>, volumes: &Volumes) -> anyhow::Result<()> {
    let client = context.client()?;
    let all = path(&["volumes"]);
    match &volumes.what {
        What::List => {
            let found = client.value("volumes", &all, &[]).await?;
            let list = found.as_array().cloned().unwrap_or_default();
            context.screen.show(&found, || table(&list))
        }
        What::Create { name, size } => {
            let what = format!("creating the volume {name:?}");
            let body = json!({ "name": name, "size": size });
            let made = client
                .exchange(&what, Method::POST, &all, Some(&body))
                .await?;
            let made: Value = serde_json::from_str(&made)?;
            context
                .screen
                .show(&made, || table(std::slice::from_ref(&made)))
        }
        What::Get { name } => {
            let what = format!("the volume {name:?}");
            let found = client.value(&what, &path(&["volumes", name]), &[]).await?;
            context
                .screen
                .show(&found, || table(std::slice::from_ref(&found)))
        }
        What::Delete { names, force, yes } => {
            if !yes {
                confirm("Delete these volumes with all that is in them for good?")?;
            }
            for name in names {
                let what = format!("deleting the volume {name:?}");
                let place = format!("{}?force={force}", path(&["volumes", name]));
                client.exchange(&what, Method::DELETE, &place, None).await?;
                context.screen.note(format!("{name}: deleted"));
            }
            Ok(())
        }
    }
}

fn table(volumes: &[Value]) -> Rows {
    let mut rows = Rows::new(
        &[
            "VOLUME", "SIZE", "USED", "PHASE", "NODE", "SERVICES", "MESSAGE",
        ],
        "There are no volumes yet. Create one with: spillway volumes create NAME SIZE",
    );
    for volume in volumes {
        let services = volume["attachments"].as_array().into_iter().flatten();
        let services: Vec<_> = services.map(|it| word(&it["service_name"])).collect();
        let used = volume["status"]["used_bytes"].as_u64();
        rows.row([
            word(&volume["name"]),
            word(&volume["size"]),
            used.map_or_else(|| "-".into(), units::bytes),
            word(&volume["status"]["phase"]),
            word(&volume["node"]),
            if services.is_empty() {
                "-".into()
            } else {
                services.join(", ")
            },
            word(&volume["status"]["message"]),
        ]);
    }
    rows
}
