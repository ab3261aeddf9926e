//! `federation`: the same service on several clusters.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Context, word};
use crate::client::{Client, path};
use crate::screen::Rows;

pub(crate) const EXAMPLES: &str = "\
Examples:
  spillway federation get grayify
  spillway federation add grayify cloud/grayify --priority 1
  spillway federation replace grayify cloud/grayify --by far/grayify
  spillway federation remove grayify far/grayify --delete

A member is CLUSTER/SERVICE, where CLUSTER is one of the service's `clusters`.";

#[derive(Debug, Args)]
pub(crate) struct Federation {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show the members
    Get {
        /// Name of the service
        service: String,
    },
    /// Add members
    Add {
        /// Name of the service
        service: String,
        /// The members, each as CLUSTER/SERVICE
        #[arg(required = true, value_parser = member)]
        members: Vec<Member>,
        /// Order among members; 0 is tried first
        #[arg(long, default_value_t = 0, value_name = "NUMBER")]
        priority: u32,
    },
    /// Replace a member by another one
    Replace {
        /// Name of the service
        service: String,
        /// The member that goes, as CLUSTER/SERVICE
        #[arg(value_parser = member)]
        old: Member,
        /// The member that comes, as CLUSTER/SERVICE
        #[arg(long, value_parser = member, value_name = "MEMBER")]
        by: Member,
        /// Its order among members; 0 is tried first
        #[arg(long, default_value_t = 0, value_name = "NUMBER")]
        priority: u32,
    },
    /// Remove members
    Remove {
        /// Name of the service
        service: String,
        /// The members, each as CLUSTER/SERVICE
        #[arg(required = true, value_parser = member)]
        members: Vec<Member>,
        /// Delete their copies of the service, too
        #[arg(long)]
        delete: bool,
    },
}

#[derive(Debug, Clone)]
struct Member {
    cluster: String,
    service: String,
}

fn member(text: &str) -> Result<Member, String> {
    match text.split_once('/') {
        Some((cluster, service)) if !cluster.is_empty() && !service.is_empty() => Ok(Member {
            cluster: cluster.to_owned(),
            service: service.to_owned(),
        }),
        _ => Err("expected CLUSTER/SERVICE".to_owned()),
    }
}

impl Member {
    fn json(&self, priority: u32) -> Value {
        json!({ "type": "oscar", "cluster_id": self.cluster, "service_name": self.service, "priority": priority })
    }
}

pub(crate) async fn run(context: &Context<'_>, federation: &Federation) -> anyhow::Result<()> {
    let client = context.client()?;
    let all = |members: &[Member], priority: u32| -> Value {
        members.iter().map(|it| it.json(priority)).collect()
    };
    let (service, method, body) = match &federation.what {
        What::Get { service } => {
            let what = format!("the federation of {service:?}");
            let found = client
                .value(&what, &path(&["federation", service]), &[])
                .await?;
            return context.screen.show(&found, || table(&found));
        }
        What::Add {
            service,
            members,
            priority,
        } => (
            service,
            Method::POST,
            json!({ "members": all(members, *priority) }),
        ),
        What::Replace {
            service,
            old,
            by,
            priority,
        } => (
            service,
            Method::PUT,
            json!({ "members": [old.json(0)], "update": [by.json(*priority)] }),
        ),
        What::Remove {
            service,
            members,
            delete,
        } => (
            service,
            Method::DELETE,
            json!({ "members": all(members, 0), "delete": delete }),
        ),
    };
    change(context, &client, service, method, &body).await
}

async fn change(
    context: &Context<'_>,
    client: &Client,
    service: &str,
    method: Method,
    body: &Value,
) -> anyhow::Result<()> {
    let what = format!("changing the federation of {service:?}");
    let place = path(&["federation", service]);
    let answer = client.exchange(&what, method, &place, Some(body)).await?;
    if let Ok(now) = serde_json::from_str::<Value>(&answer) {
        return context.screen.show(&now, || table(&now));
    }
    // It is done, but not everybody could be told.
    context.screen.warn(answer);
    Ok(())
}

fn table(federation: &Value) -> Rows {
    let mut rows = Rows::new(
        &["CLUSTER", "SERVICE", "TYPE", "PRIORITY", "TOPOLOGY"],
        "The service is on this cluster only.",
    );
    for member in federation["members"].as_array().into_iter().flatten() {
        rows.row([
            word(&member["cluster_id"]),
            word(&member["service_name"]),
            word(&member["type"]),
            word(&member["priority"]),
            word(&federation["topology"]),
        ]);
    }
    rows
}
