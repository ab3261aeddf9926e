//! `services`, `get`, `delete`.

use clap::Subcommand;
use spillway_model::service::{Service, StorageIo};

use super::Context;
use crate::screen::{Format, Rows};

/// Commands about services that exist.
#[derive(Debug, Subcommand)]
pub(crate) enum Services {
    /// List the services
    #[command(
        visible_alias = "list",
        after_help = "Examples:\n  spillway services\n  spillway services -q | xargs spillway delete"
    )]
    #[command(name = "services")]
    List,
    /// Show one service in full
    #[command(
        after_help = "Examples:\n  spillway get grayify\n  spillway get grayify --output json"
    )]
    Get {
        /// Name of the service
        name: String,
    },
    /// Delete services, with their buckets and all that is in them
    #[command(
        after_help = "Examples:\n  spillway delete grayify\n  spillway delete grayify ocr --missing-ok"
    )]
    Delete {
        /// Names of the services
        #[arg(required = true)]
        names: Vec<String>,
        /// No error when one is not there
        #[arg(long)]
        missing_ok: bool,
    },
}

pub(crate) async fn run(context: &Context<'_>, command: &Services) -> anyhow::Result<()> {
    let client = context.client()?;
    match command {
        Services::List => {
            let services = client.services().await?;
            context.screen.show(&services, || table(&services))
        }
        Services::Get { name } => {
            let service = client.service(name).await?;
            if context.screen.format() == Format::Table {
                // A service is a tree: YAML is what people read it in.
                return Ok(context.screen.text(&serde_saphyr::to_string(&service)?)?);
            }
            context
                .screen
                .show(&service, || table(std::slice::from_ref(&service)))
        }
        Services::Delete { names, missing_ok } => {
            for name in names {
                match client.delete_service(name).await {
                    Err(error) if *missing_ok && error.is_not_found() => {
                        context.screen.note(format!("{name}: not there"));
                    }
                    outcome => {
                        outcome?;
                        context.screen.note(format!("{name}: deleted"));
                    }
                }
            }
            Ok(())
        }
    }
}

fn table(services: &[Service]) -> Rows {
    let mut rows = Rows::new(
        &["NAME", "IMAGE", "CPU", "MEMORY", "INPUT", "OUTPUT"],
        "There are no services yet. Create one with: spillway apply FILE",
    );
    for service in services {
        rows.row([
            service.name.clone(),
            service.image.clone(),
            service.cpu.clone(),
            service.memory.clone(),
            paths(&service.input),
            paths(&service.output),
        ]);
    }
    rows
}

/// Paths for people; the built-in store goes without saying.
pub(super) fn paths(ends: &[StorageIo]) -> String {
    let shown: Vec<String> = ends
        .iter()
        .map(|end| match end.storage_provider.as_str() {
            "" | "minio" | "minio.default" => end.path.clone(),
            other => format!("{other}:{}", end.path),
        })
        .collect();
    if shown.is_empty() {
        "-".into()
    } else {
        shown.join(", ")
    }
}
