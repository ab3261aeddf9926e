//! `version`.

use serde::Serialize;

use super::Context;
use crate::client::ClusterInfo;
use crate::screen::Rows;

/// What `version` tells.
#[derive(Debug, Serialize)]
struct Versions {
    client: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<ClusterInfo>,
}

pub(crate) async fn run(context: &Context<'_>, server: bool) -> anyhow::Result<()> {
    let server = if server {
        Some(context.client()?.info().await?)
    } else {
        None
    };
    let versions = Versions {
        client: env!("CARGO_PKG_VERSION"),
        server,
    };
    context.screen.show(&versions, || {
        let mut rows = Rows::new(&["PART", "VERSION", "ARCHITECTURE"], "");
        rows.row([
            "spillway".into(),
            versions.client.into(),
            std::env::consts::ARCH.into(),
        ]);
        if let Some(server) = &versions.server {
            rows.row([
                "cluster".into(),
                server.version.clone(),
                server.architecture.clone(),
            ]);
        }
        rows
    })
}
