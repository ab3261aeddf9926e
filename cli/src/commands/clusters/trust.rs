//! Whose certificate is accepted as a cluster's: what was said, or what the user confirms.

use std::io::{IsTerminal, Write};

use anyhow::Context as _;
use reqwest::Url;
use spillway_trust::{Fingerprint, probe};

use crate::client::{Client, ClientError};
use crate::clusters::Cluster;
use crate::commands::Context;
use crate::exit::CommandError;

/// Takes what the options say. What was trusted before belongs to the former address alone.
pub(super) fn choose(context: &Context<'_>, cluster: &mut Cluster, former: &str) {
    let (fingerprint, ca) = (context.shared.fingerprint(), context.shared.ca());
    let said = !fingerprint.is_empty() || !ca.is_empty();
    if said || cluster.endpoint != former || !cluster.ssl_verify {
        cluster.fingerprint = fingerprint;
        cluster.ca = ca;
    }
}

/// The key to pin, when nobody vouches for the cluster's certificate and the user says that it is the right one.
/// Nothing is trusted without a word from the user.
pub(super) async fn ask(
    context: &Context<'_>,
    client: &Client,
) -> anyhow::Result<Option<Fingerprint>> {
    let endpoint = &client.cluster().endpoint;
    let url = Url::parse(endpoint)?;
    if url.scheme() != "https" {
        return Ok(None);
    }
    match client.health().await {
        Err(ClientError::Untrusted { .. }) => (),
        Err(error @ ClientError::AnotherKey { .. }) => return Err(error.into()),
        Err(ClientError::Connect { .. } | ClientError::TimedOut { .. }) => {
            context.screen.warn(format!(
                "{endpoint} cannot be reached now; its certificate is checked when it is used"
            ));
            return Ok(None);
        }
        _ => return Ok(None),
    }
    let host = url.host_str().unwrap_or_default();
    let found = probe(host, url.port_or_known_default().unwrap_or(443))
        .await
        .with_context(|| format!("asking {endpoint} for its key"))?;
    if confirmed(endpoint, found)? {
        Ok(Some(found))
    } else {
        let text = format!(
            "{endpoint} is not trusted, so nothing was kept. When the gateway prints this fingerprint at its start, add \
             it with --fingerprint {found}"
        );
        Err(CommandError::Usage(text).into())
    }
}

/// Shows the fingerprint and waits for a clear yes. Where nobody can be asked, the answer is no.
fn confirmed(endpoint: &str, found: Fingerprint) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    let mut out = std::io::stderr();
    write!(
        out,
        "Nobody whom this machine trusts vouches for the certificate of {endpoint}. Its key has the fingerprint\n\n  \
         {found}\n\nThe gateway prints the fingerprint of its key at its start, and keeps it in addresses.json of its \
         data folder.\nIs it the same? Type yes to trust this key from now on: "
    )?;
    out.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(answer.trim() == "yes" || answer.parse() == Ok(found))
}
