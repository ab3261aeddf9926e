//! `config`: the list of clusters.

mod trust;

use std::io::Read;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::Context;
use crate::client::{Access, Client};
use crate::clusters::{Cluster, ClustersFile};
use crate::exit::CommandError;
use crate::screen::Rows;

pub(crate) const EXAMPLES: &str = "\
Examples:
  spillway config add farm http://192.168.1.10:8080 --user oscar --password-stdin < secret
  spillway config add barn https://192.168.1.11:8080 --fingerprint sha256:5f7b… --user oscar
  spillway config default farm
  spillway config list
  spillway config show farm
  spillway config remove farm";

/// Longest password that is read from standard input.
const MOST_PASSWORD: u64 = 4096;

#[derive(Debug, Args)]
pub(crate) struct Config {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Add a cluster, or change one; the first one becomes the default
    ///
    /// The user comes from --user, or its variable. When nobody vouches for the certificate of an https address, its
    /// fingerprint is shown and you are asked whether it is the one that the gateway prints at its start.
    Add {
        /// Id to call it by; FDL files name it too
        id: String,
        /// Address of the gateway; --endpoint does as well
        url: Option<String>,
        /// Read the password from standard input
        #[arg(long, conflicts_with = "password")]
        password_stdin: bool,
        /// Do not verify the certificate of an https endpoint: whoever sits in between can read and change everything
        #[arg(long, conflicts_with_all = ["fingerprint", "ca"])]
        no_verify: bool,
        /// Make it the default
        #[arg(long)]
        default: bool,
        /// Memory of services that name none
        #[arg(long, value_name = "QUANTITY")]
        memory: Option<String>,
    },
    /// List the clusters
    List,
    /// Forget a cluster; the cluster itself is not touched
    Remove {
        /// Id of the cluster
        id: String,
    },
    /// Say which cluster is used when none is named, or make another one the default
    Default {
        /// Id of the new default
        id: Option<String>,
    },
    /// Show one cluster [default: the default one]
    Show {
        /// Id of the cluster
        id: Option<String>,
        /// Show the password as well
        #[arg(long)]
        reveal: bool,
    },
}

/// A cluster as it is shown.
#[derive(Debug, Serialize)]
struct Shown {
    id: String,
    endpoint: String,
    auth_user: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_password: Option<String>,
    ssl_verify: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    fingerprint: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    ca: String,
    default: bool,
}

pub(crate) async fn run(context: &Context<'_>, config: &Config) -> anyhow::Result<()> {
    let mut file = context.clusters()?;
    match &config.what {
        What::Add {
            id,
            url,
            password_stdin,
            no_verify,
            default,
            memory,
        } => {
            let mut cluster = file.clusters.oscar.get(id).cloned().unwrap_or_default();
            let former = cluster.endpoint.clone();
            fill(context, &mut cluster, url.as_deref(), *password_stdin)?;
            cluster.ssl_verify = !no_verify;
            trust::choose(context, &mut cluster, &former);
            if let Some(memory) = memory {
                cluster.memory.clone_from(memory);
            }
            // A wrong address is better found now than with the first command.
            let access = |cluster: &Cluster| Access {
                id: id.clone(),
                cluster: cluster.clone(),
            };
            let client = Client::new(access(&cluster), false)?;
            if let Some(key) = trust::ask(context, &client).await? {
                cluster.fingerprint = key.to_string();
                Client::new(access(&cluster), false)?;
            }
            file.clusters.oscar.insert(id.clone(), cluster);
            if *default || file.clusters.default.is_empty() {
                file.clusters.default.clone_from(id);
            }
            file.write()?;
            context
                .screen
                .note(format!("{id}: kept in {}", file.path().display()));
            Ok(())
        }
        What::List => {
            let shown: Vec<Shown> = file
                .clusters
                .oscar
                .keys()
                .map(|id| shown(&file, id, false))
                .collect::<Result<_, _>>()?;
            context.screen.show(&shown, || table(&shown))
        }
        What::Remove { id } => {
            file.cluster(id)?;
            file.clusters.oscar.remove(id);
            if file.clusters.default == *id {
                file.clusters.default.clear();
            }
            file.write()?;
            context.screen.note(format!("{id}: forgotten"));
            Ok(())
        }
        What::Default { id: None } => {
            Ok(context.screen.text(&format!("{}\n", file.default_id()?))?)
        }
        What::Default { id: Some(id) } => {
            file.cluster(id)?;
            file.clusters.default.clone_from(id);
            file.write()?;
            context
                .screen
                .note(format!("{id}: the default from now on"));
            Ok(())
        }
        What::Show { id, reveal } => {
            let id = match id.as_ref().or(context.shared.cluster.as_ref()) {
                Some(id) => id.clone(),
                None => file.default_id()?.to_owned(),
            };
            let shown = shown(&file, &id, *reveal)?;
            context.screen.show(&shown, || details(&shown, &file))
        }
    }
}

fn fill(
    context: &Context<'_>,
    cluster: &mut Cluster,
    url: Option<&str>,
    password_stdin: bool,
) -> anyhow::Result<()> {
    if let Some(endpoint) = url.or(context.shared.endpoint.as_deref()) {
        endpoint
            .trim_end_matches('/')
            .clone_into(&mut cluster.endpoint);
    }
    if cluster.endpoint.is_empty() {
        let text = "the address is missing: where is the gateway? Such as `spillway config add farm http://192.168.1.10:8080`";
        return Err(CommandError::Usage(text.into()).into());
    }
    if let Some(user) = &context.shared.user {
        cluster.auth_user.clone_from(user);
    }
    if let Some(password) = &context.shared.password {
        cluster.auth_password.clone_from(password);
    }
    if password_stdin {
        let mut text = String::new();
        std::io::stdin()
            .lock()
            .take(MOST_PASSWORD)
            .read_to_string(&mut text)?;
        text.trim_end_matches(['\n', '\r'])
            .clone_into(&mut cluster.auth_password);
    }
    if !cluster.auth_user.is_empty() && cluster.auth_password.is_empty() {
        let text =
            "the password is missing: pipe it in with --password-stdin, or set SPILLWAY_PASSWORD";
        return Err(CommandError::Usage(text.into()).into());
    }
    Ok(())
}

fn shown(file: &ClustersFile, id: &str, reveal: bool) -> anyhow::Result<Shown> {
    let cluster = file.cluster(id)?;
    Ok(Shown {
        id: id.to_owned(),
        endpoint: cluster.endpoint.clone(),
        auth_user: cluster.auth_user.clone(),
        auth_password: reveal.then(|| cluster.auth_password.clone()),
        ssl_verify: cluster.ssl_verify,
        fingerprint: cluster.fingerprint.clone(),
        ca: cluster.ca.clone(),
        default: file.default_id().is_ok_and(|default| default == id),
    })
}

fn table(clusters: &[Shown]) -> Rows {
    let mut rows = Rows::new(
        &["ID", "ENDPOINT", "USER", "DEFAULT"],
        "There are no clusters yet. Start one with `spillway up`, or add one with `spillway config add`.",
    );
    for cluster in clusters {
        let default = if cluster.default { "yes" } else { "" };
        rows.row([
            cluster.id.clone(),
            cluster.endpoint.clone(),
            cluster.auth_user.clone(),
            default.into(),
        ]);
    }
    rows
}

fn details(cluster: &Shown, file: &ClustersFile) -> Rows {
    let mut rows = Rows::new(&["CLUSTER", "VALUE"], "");
    rows.row(["id".into(), cluster.id.clone()]);
    rows.row(["endpoint".into(), cluster.endpoint.clone()]);
    rows.row(["user".into(), cluster.auth_user.clone()]);
    rows.row([
        "password".into(),
        cluster
            .auth_password
            .clone()
            .unwrap_or_else(|| "(hidden; see it with --reveal)".into()),
    ]);
    rows.row(["verify".into(), cluster.ssl_verify.to_string()]);
    for (name, value) in [("fingerprint", &cluster.fingerprint), ("ca", &cluster.ca)] {
        if !value.is_empty() {
            rows.row([name.into(), value.clone()]);
        }
    }
    rows.row(["file".into(), file.path().display().to_string()]);
    rows
}
