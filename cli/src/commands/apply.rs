//! `apply`: the services of an FDL file, created or updated.

mod load;
mod pulls;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use spillway_model::fdl::DEFAULT_CLUSTER;
use spillway_model::service::{Cluster as ServiceCluster, Service};

use super::Context;
use super::services::paths;
use crate::client::{Client, PLAIN, PREFETCH};
use crate::exit::CommandError;
use crate::screen::Rows;
use crate::screen::progress::Bars;
use load::Wanted;

const EXAMPLES: &str = "\
Examples:
  spillway apply grayify.yaml
  spillway apply grayify.yaml --cluster farm --name grayify-test
  spillway apply grayify.yaml --wait          and watch the image arrive
  spillway apply grayify.yaml --dry-run -o yaml

Each service goes to the cluster that stands above it in the file, as your configuration knows it; the key
`default-cluster` means the configuration's default. --cluster and --endpoint send all of them elsewhere.
Scripts are looked for beside the file. The first failure ends the command; what was done stays done.";

/// Create or update the services of an FDL file
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Apply {
    /// The file, `-` for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Another name for the service, and for its buckets where they have the old one
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Use the configuration's default cluster, whatever the file says
    #[arg(long, conflicts_with = "endpoint")]
    default_cluster: bool,
    /// Show the images that the nodes fetch beforehand, until they have arrived
    #[arg(long, short = 'w')]
    wait: bool,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

/// What was done with one service.
#[derive(Debug, Serialize)]
struct Applied {
    cluster: String,
    action: Action,
    service: Service,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    Create,
    Update,
}

pub(crate) async fn run(context: &Context<'_>, apply: &Apply) -> anyhow::Result<()> {
    let wanted = load::load(context, &apply.file, apply.name.as_deref())?;
    let clients = clients(context, apply, &wanted).await?;
    let bars = Bars::new(context.screen);
    let mut done = Vec::new();
    let mut failure = None;
    for Wanted {
        cluster_id,
        mut service,
    } in wanted
    {
        let Some(client) = clients.get(&cluster_id) else {
            continue;
        };
        complete(context, client, &mut service);
        let bar = bars.spinner(&service.name);
        let outcome = send(client, &service, apply.dry_run).await;
        drop(bar);
        match outcome {
            Ok(action) => done.push(Applied {
                cluster: client.name().to_owned(),
                action,
                service,
            }),
            Err(error) => {
                failure = Some(error);
                break;
            }
        }
    }
    drop(bars);
    if failure.is_none() || !done.is_empty() {
        context.screen.show(&done, || table(&done, apply.dry_run))?;
    }
    if let Some(error) = failure {
        return Err(error);
    }
    if apply.wait && !apply.dry_run {
        for client in clients.values() {
            let images = done
                .iter()
                .filter(|done| done.cluster == client.name())
                .map(|done| &done.service);
            pulls::wait(context, client, images).await?;
        }
    }
    if let (Some(first), false) = (
        done.iter().find(|done| !done.service.input.is_empty()),
        apply.dry_run,
    ) {
        context.screen.note(format!(
            "\nNext: spillway put {} FILE --wait",
            first.service.name
        ));
    }
    Ok(())
}

/// A client for every cluster that the services go to, by the key in the file. All are asked for a sign of life
/// before anything is changed.
async fn clients(
    context: &Context<'_>,
    apply: &Apply,
    wanted: &[Wanted],
) -> anyhow::Result<BTreeMap<String, Client>> {
    let mut clients: BTreeMap<String, Client> = BTreeMap::new();
    for Wanted { cluster_id, .. } in wanted {
        if clients.contains_key(cluster_id) {
            continue;
        }
        let shared = context.shared;
        let client = if apply.default_cluster
            || cluster_id == DEFAULT_CLUSTER
                && shared.cluster.is_none()
                && shared.endpoint.is_none()
        {
            context.client_of(context.clusters()?.default_id()?)?
        } else if shared.cluster.is_some() || shared.endpoint.is_some() {
            context.client()?
        } else {
            named_in_file(context, cluster_id)?
        };
        client.info().await?;
        clients.insert(cluster_id.clone(), client);
    }
    Ok(clients)
}

fn named_in_file(context: &Context<'_>, id: &str) -> anyhow::Result<Client> {
    let file = context.clusters()?;
    if file.clusters.oscar.contains_key(id) {
        return context.client_of(id);
    }
    Err(CommandError::NotFound(format!(
        "the file sends services to the cluster {id:?}, which {} does not have (it has {}); choose another one with --cluster ID or --default-cluster, or add it with `spillway config add {id}`",
        file.path().display(),
        file.clusters.known(),
    ))
    .into())
}

/// What the client adds: defaults of its configuration, and the access to other clusters that the service names.
fn complete(context: &Context<'_>, client: &Client, service: &mut Service) {
    let cluster = client.cluster();
    if service.memory.is_empty() {
        service.memory.clone_from(&cluster.memory);
    }
    if service.log_level.is_empty() {
        service.log_level.clone_from(&cluster.log_level);
    }
    let Some(federation) = &service.federation else {
        return;
    };
    // OSCAR's client sends the passwords of all clusters of the file along. Only those of clusters that the service
    // really hands work to are needed.
    let Ok(known) = context.clusters() else {
        return;
    };
    for member in &federation.members {
        if let Some(other) = known.clusters.oscar.get(&member.cluster_id) {
            service
                .clusters
                .entry(member.cluster_id.clone())
                .or_insert_with(|| ServiceCluster {
                    endpoint: other.endpoint.clone(),
                    auth_user: other.auth_user.clone(),
                    auth_password: other.auth_password.clone(),
                    ssl_verify: other.ssl_verify,
                });
        }
    }
}

async fn send(client: &Client, service: &Service, dry_run: bool) -> anyhow::Result<Action> {
    let action = match client.find_service(&service.name).await? {
        Some(_) => Action::Update,
        None => Action::Create,
    };
    let limit = if service.image_prefetch {
        PREFETCH
    } else {
        PLAIN
    };
    match action {
        _ if dry_run => (),
        Action::Create => client.create_service(service, limit).await?,
        Action::Update => client.update_service(service, limit).await?,
    }
    Ok(action)
}

fn table(done: &[Applied], dry_run: bool) -> Rows {
    let mut rows = Rows::new(
        &["SERVICE", "CLUSTER", "ACTION", "INPUT", "OUTPUT"],
        "The file has no services.",
    );
    for Applied {
        cluster,
        action,
        service,
    } in done
    {
        let action = match (action, dry_run) {
            (Action::Create, false) => "created",
            (Action::Update, false) => "updated",
            (Action::Create, true) => "would create",
            (Action::Update, true) => "would update",
        };
        rows.row([
            service.name.clone(),
            cluster.clone(),
            action.into(),
            paths(&service.input),
            paths(&service.output),
        ]);
    }
    rows
}
