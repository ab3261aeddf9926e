//! `buckets`: who may see which, and links to single objects.

use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Context, confirm};
use crate::client::{Bucket, path};
use crate::screen::{Format, Rows, units};

pub(crate) const EXAMPLES: &str = "\
Examples:
  spillway buckets list
  spillway buckets create photos --visibility restricted --allow ann@example.org
  spillway buckets update photos --visibility public
  spillway buckets presign photos/day/1.jpg --expires 3600
  spillway buckets presign photos/day/2.jpg --upload
  spillway buckets delete photos --yes";

#[derive(Debug, Args)]
pub(crate) struct Buckets {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List the buckets
    List,
    /// Create a bucket, or BUCKET/FOLDER for a folder in it
    Create {
        /// Name of the bucket
        name: String,
        #[command(flatten)]
        access: Access,
    },
    /// Change who may see a bucket
    Update {
        /// Name of the bucket
        name: String,
        #[command(flatten)]
        access: Access,
    },
    /// Delete buckets with all that is in them
    Delete {
        /// Names of the buckets
        #[arg(required = true)]
        names: Vec<String>,
        /// Do not ask
        #[arg(long, short = 'y')]
        yes: bool,
    },
    /// Make a link that works without a password, for a while
    Presign {
        /// The object, as BUCKET/KEY; it need not exist
        object: String,
        /// For an upload instead of a download
        #[arg(long)]
        upload: bool,
        /// Seconds for which it works
        #[arg(long, default_value_t = 900, value_parser = clap::value_parser!(u32).range(1..=604_800), value_name = "SECONDS")]
        expires: u32,
        /// Content type that the upload must have, or that the download gets
        #[arg(long, value_name = "TYPE")]
        content_type: Option<String>,
    },
}

#[derive(Debug, Args)]
struct Access {
    /// Who may see it
    #[arg(long, value_enum)]
    visibility: Option<Visibility>,
    /// A user who may see it when it is restricted; repeatable
    #[arg(long = "allow", value_name = "USER")]
    allowed: Vec<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Visibility {
    /// Its owner
    Private,
    /// Its owner and the users that are allowed
    Restricted,
    /// All users
    Public,
}

pub(crate) async fn run(context: &Context<'_>, buckets: &Buckets) -> anyhow::Result<()> {
    let client = context.client()?;
    let all = path(&["buckets"]);
    match &buckets.what {
        What::List => {
            let found = client.buckets().await?;
            context.screen.show(&found, || table(&found))
        }
        What::Create { name, access } => {
            let what = format!("creating the bucket {name:?}");
            let body = access.body(name);
            client
                .exchange(&what, Method::POST, &all, Some(&body))
                .await?;
            context.screen.note(format!("{name}: created"));
            Ok(())
        }
        What::Update { name, access } => {
            let what = format!("changing the bucket {name:?}");
            let body = access.body(name);
            client
                .exchange(&what, Method::PUT, &all, Some(&body))
                .await?;
            context.screen.note(format!("{name}: changed"));
            Ok(())
        }
        What::Delete { names, yes } => {
            if !yes {
                confirm("Delete these buckets with all that is in them for good?")?;
            }
            for name in names {
                client.delete_bucket(name).await?;
                context.screen.note(format!("{name}: deleted"));
            }
            Ok(())
        }
        What::Presign {
            object,
            upload,
            expires,
            content_type,
        } => {
            let (bucket, key) = object.split_once('/').unwrap_or((object, ""));
            let body = json!({
                "object_key": key,
                "operation": if *upload { "upload" } else { "download" },
                "expires_in": expires,
                "content_type": content_type.as_deref().unwrap_or_default(),
            });
            let place = path(&["buckets", bucket, "presign"]);
            let what = format!("making a link to {object:?}");
            let answer = client
                .exchange(&what, Method::POST, &place, Some(&body))
                .await?;
            let link: Value = serde_json::from_str(&answer)?;
            if context.screen.format() == Format::Table {
                let url = link["url"].as_str().unwrap_or_default();
                return Ok(context.screen.text(&format!("{url}\n"))?);
            }
            context.screen.show(&link, || Rows::new(&[], ""))
        }
    }
}

impl Access {
    fn body(&self, name: &str) -> Value {
        let mut body = json!({ "bucket_name": name });
        if let Some(visibility) = self.visibility.and_then(|it| it.to_possible_value()) {
            body["visibility"] = visibility.get_name().into();
        }
        if !self.allowed.is_empty() {
            body["allowed_users"] = self.allowed.clone().into();
        }
        body
    }
}

fn table(buckets: &[Bucket]) -> Rows {
    let mut rows = Rows::new(
        &["BUCKET", "VISIBILITY", "OWNER", "OBJECTS", "SIZE"],
        "There are no buckets yet. Create one with: spillway buckets create NAME",
    );
    for bucket in buckets {
        let usage = bucket.storage_usage.clone().unwrap_or_default();
        rows.row([
            bucket.name.clone(),
            bucket.visibility.clone(),
            bucket.owner.clone(),
            usage
                .objects
                .map_or_else(|| "-".into(), |it| it.to_string()),
            units::bytes(usage.used_bytes),
        ]);
    }
    rows
}
