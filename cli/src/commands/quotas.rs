//! `quotas`: what users may use.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{Context, word};
use crate::client::path;
use crate::screen::Rows;

pub(crate) const EXAMPLES: &str = "\
Examples:
  spillway quotas get                               your own, with an OIDC token
  spillway quotas get ann@example.org
  spillway quotas set ann@example.org --volumes 10 --volumes-disk 20Gi
  spillway quotas set ann@example.org --buckets 3 --bucket-size 1Gi";

#[derive(Debug, Args)]
pub(crate) struct Quotas {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show what a user may use, and what is used
    Get {
        /// The user; yourself when absent
        user: Option<String>,
    },
    /// Set what a user may use; 0 for no limit
    Set(Set),
}

#[derive(Debug, Args)]
struct Set {
    /// The user
    user: String,
    /// How many volumes
    #[arg(long, value_name = "NUMBER")]
    volumes: Option<u32>,
    /// All volumes together
    #[arg(long, value_name = "SIZE")]
    volumes_disk: Option<String>,
    /// The largest volume
    #[arg(long, value_name = "SIZE")]
    volume_max: Option<String>,
    /// The smallest volume
    #[arg(long, value_name = "SIZE")]
    volume_min: Option<String>,
    /// How many buckets
    #[arg(long, value_name = "NUMBER")]
    buckets: Option<u32>,
    /// What each bucket may hold
    #[arg(long, value_name = "SIZE")]
    bucket_size: Option<String>,
}

pub(crate) async fn run(context: &Context<'_>, quotas: &Quotas) -> anyhow::Result<()> {
    let client = context.client()?;
    let quota = match &quotas.what {
        What::Get { user: None } => {
            let own = path(&["quotas", "user"]);
            client.value("your quotas", &own, &[]).await?
        }
        What::Get { user: Some(user) } => {
            let place = path(&["quotas", "user", user]);
            client.value("quotas", &place, &[]).await?
        }
        What::Set(set) => {
            let place = path(&["quotas", "user", &set.user]);
            let body = set.body();
            let answer = client
                .exchange("setting quotas", Method::PUT, &place, Some(&body))
                .await?;
            serde_json::from_str(&answer)?
        }
    };
    context.screen.show(&quota, || table(&quota))
}

impl Set {
    fn body(&self) -> Value {
        let part = |members: [(&str, Option<String>); 4]| {
            let given = members
                .into_iter()
                .filter_map(|(name, value)| Some((name.to_owned(), value?.into())));
            given.collect::<Map<_, _>>()
        };
        let text = |number: Option<u32>| number.map(|number| number.to_string());
        let volumes = part([
            ("volumes", text(self.volumes)),
            ("disk", self.volumes_disk.clone()),
            ("max_disk_per_volume", self.volume_max.clone()),
            ("min_disk_per_volume", self.volume_min.clone()),
        ]);
        let minio = part([
            ("buckets", text(self.buckets)),
            ("storage_per_bucket", self.bucket_size.clone()),
            ("", None),
            ("", None),
        ]);
        let mut body = json!({});
        if !volumes.is_empty() {
            body["volumes"] = volumes.into();
        }
        if !minio.is_empty() {
            body["minio"] = minio.into();
        }
        body
    }
}

fn table(quota: &Value) -> Rows {
    let mut rows = Rows::new(&["WHAT", "USED", "LIMIT"], "");
    let volumes = &quota["volumes"];
    let mut row = |what: &str, used: &Value, limit: &Value| {
        if !limit.is_null() {
            let limit = match word(limit).as_str() {
                "0" => "none".to_owned(),
                limit => limit.to_owned(),
            };
            rows.row([what.to_owned(), word(used), limit]);
        }
    };
    row(
        "volumes",
        &volumes["volumes"]["used"],
        &volumes["volumes"]["max"],
    );
    row(
        "disk of volumes",
        &volumes["disk"]["used"],
        &volumes["disk"]["max"],
    );
    row(
        "largest volume",
        &Value::Null,
        &volumes["max_disk_per_volume"],
    );
    row(
        "smallest volume",
        &Value::Null,
        &volumes["min_disk_per_volume"],
    );
    let minio = &quota["minio"];
    row(
        "buckets",
        &minio["buckets"]["used"],
        &minio["buckets"]["max"],
    );
    row(
        "a bucket",
        &Value::Null,
        &minio["storage_per_bucket"]["max"],
    );
    rows
}
