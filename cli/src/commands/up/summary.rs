//! What `up` tells when everything runs, and the cluster `local` in the user's configuration.

use std::net::SocketAddr;
use std::path::Path;

use serde::Serialize;
use spillway_gateway::Gateway;

use super::{Up, loopback, scheme};
use crate::clusters::{Cluster, ClustersFile};
use crate::commands::Context;
use crate::screen::Format;

/// Id of the cluster that `up` starts.
const LOCAL: &str = "local";

/// Where everything is.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    api: String,
    s3: String,
    /// Of the key that both show, with TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
    user: &'a str,
    credentials: String,
    node: &'a str,
    data: &'a Path,
    /// Whether the configuration's cluster `local` leads here.
    configured: bool,
}

/// Tells the user where everything is and what to do next.
pub(super) fn tell(
    context: &Context<'_>,
    up: &Up,
    root: &Path,
    gateway: &Gateway,
    node: &str,
) -> anyhow::Result<()> {
    let fingerprint = gateway.fingerprint().map(|key| key.borrow().to_string());
    let api = url(gateway, gateway.api_address());
    let credentials = &gateway.settings().credentials;
    let mine = Cluster {
        endpoint: api.clone(),
        auth_user: credentials.username.clone(),
        auth_password: credentials.password.reveal().to_owned(),
        fingerprint: fingerprint.clone().unwrap_or_default(),
        ..Cluster::default()
    };
    let configured = !up.no_config && configure(context, mine)?;
    let summary = Summary {
        api,
        s3: url(gateway, gateway.s3_address()),
        fingerprint,
        user: &credentials.username,
        credentials: root.join("gateway/credentials.json").display().to_string(),
        node,
        data: root,
        configured,
    };
    match context.screen.format() {
        Format::Table if context.screen.quiet() => Ok(()),
        Format::Table => Ok(context.screen.text(&text(&summary))?),
        Format::Json => Ok(context
            .screen
            .text(&format!("{}\n", serde_json::to_string(&summary)?))?),
        Format::Yaml => Ok(context.screen.text(&serde_saphyr::to_string(&summary)?)?),
    }
}

fn text(summary: &Summary<'_>) -> String {
    let Summary {
        api,
        s3,
        fingerprint,
        user,
        credentials,
        node,
        data,
        configured,
    } = summary;
    let key = fingerprint
        .as_ref()
        .map(|key| format!("  Key       {key}\n"));
    let key = key.unwrap_or_default();
    let (cluster, next) = if *configured {
        ("  Cluster   local, in your configuration\n", "spillway")
    } else {
        ("", "spillway --endpoint URL --user NAME")
    };
    format!(
        "Spillway is up.\n\n  API       {api}\n  S3        {s3}\n{key}  User      {user}\n  Password  in {credentials}\n{cluster}  \
         Node      {node}\n  Data      {}\n\nNext, in another terminal:\n  {next} apply FILE\n  {next} put SERVICE FILE \
         --wait\n  {next} status\n\nCtrl-C stops it.\n",
        data.display()
    )
}

fn url(gateway: &Gateway, address: SocketAddr) -> String {
    format!("{}://{}", scheme(gateway), loopback(address))
}

/// Writes the cluster `local`, or says why not. It is ours to change as long as it leads to this machine.
fn configure(context: &Context<'_>, mine: Cluster) -> anyhow::Result<bool> {
    let mut file: ClustersFile = context.clusters()?;
    let former = file.clusters.oscar.get(LOCAL);
    if former.is_some_and(|former| {
        (&former.endpoint, &former.auth_password, &former.fingerprint)
            == (&mine.endpoint, &mine.auth_password, &mine.fingerprint)
    }) {
        return Ok(true);
    }
    if let Some(former) = former.filter(|former| !leads_here(&former.endpoint)) {
        context.screen.warn(format!(
            "your configuration has another cluster {LOCAL:?}, at {}; it is left alone, use --endpoint {} instead",
            former.endpoint, mine.endpoint
        ));
        return Ok(false);
    }
    file.clusters.oscar.insert(LOCAL.to_owned(), mine);
    if file.clusters.default.is_empty() {
        LOCAL.clone_into(&mut file.clusters.default);
    }
    file.write()?;
    Ok(true)
}

fn leads_here(endpoint: &str) -> bool {
    let host = endpoint
        .split_once("://")
        .map_or(endpoint, |(_, rest)| rest);
    ["127.", "localhost", "[::1]"]
        .iter()
        .any(|loopback| host.starts_with(loopback))
}
