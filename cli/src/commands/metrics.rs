//! `metrics`: who asked which service how often.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;

use super::{Context, word};
use crate::client::path;
use crate::screen::Rows;

pub(crate) const EXAMPLES: &str = "\
Examples:
  spillway metrics summary
  spillway metrics summary --start 2026-03-01T00:00:00Z --end 2026-04-01T00:00:00Z
  spillway metrics breakdown --by user
  spillway metrics breakdown --by service --csv > services.csv
  spillway metrics service grayify";

#[derive(Debug, Args)]
pub(crate) struct Metrics {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Everything summed up
    Summary {
        #[command(flatten)]
        range: Range,
    },
    /// Requests by service, user or country
    Breakdown {
        /// What to break them down by
        #[arg(long, value_enum, default_value_t = By::Service)]
        by: By,
        /// As CSV, whatever --output says
        #[arg(long)]
        csv: bool,
        #[command(flatten)]
        range: Range,
    },
    /// The metrics of one service
    Service {
        /// Name of the service
        name: String,
        #[command(flatten)]
        range: Range,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum By {
    Service,
    User,
    Country,
}

#[derive(Debug, Args)]
struct Range {
    /// From when, such as 2026-03-01T00:00:00Z [default: a day before the end]
    #[arg(long, value_name = "TIME")]
    start: Option<String>,
    /// Until when [default: now]
    #[arg(long, value_name = "TIME")]
    end: Option<String>,
}

impl Range {
    fn query(&self) -> Vec<(&'static str, String)> {
        let start = self.start.clone().map(|start| ("start", start));
        let end = self.end.clone().map(|end| ("end", end));
        start.into_iter().chain(end).collect()
    }
}

pub(crate) async fn run(context: &Context<'_>, metrics: &Metrics) -> anyhow::Result<()> {
    let client = context.client()?;
    match &metrics.what {
        What::Summary { range } => {
            let place = path(&["metrics"]);
            let sums = client.value("metrics", &place, &range.query()).await?;
            context.screen.show(&sums, || summary(&sums["totals"]))
        }
        What::Breakdown { by, csv, range } => {
            let by = by.to_possible_value();
            let by = by.as_ref().map_or("service", |by| by.get_name());
            let place = path(&["metrics", "breakdown"]);
            let mut query = range.query();
            query.push(("group_by", by.to_owned()));
            if *csv {
                query.push(("format", "csv".to_owned()));
                let text = client.plain("metrics", &place, &query).await?;
                return Ok(context.screen.text(&text)?);
            }
            let parts = client.value("metrics", &place, &query).await?;
            context.screen.show(&parts, || breakdown(&parts))
        }
        What::Service { name, range } => {
            let what = format!("metrics of the service {name:?}");
            let place = path(&["metrics", name]);
            let all = client.value(&what, &place, &range.query()).await?;
            context.screen.show(&all, || of_service(&all))
        }
    }
}

fn summary(totals: &Value) -> Rows {
    let mut rows = Rows::new(&["WHAT", "VALUE"], "");
    for (what, name) in [
        ("services", "services_count_active"),
        ("services asked", "services_count_total"),
        ("requests", "requests_count_total"),
        ("synchronous", "requests_count_sync"),
        ("asynchronous", "requests_count_async"),
        ("exposed", "requests_count_exposed"),
        ("users", "users_count"),
        ("cpu hours", "cpu_hours_total"),
    ] {
        rows.row([what.to_owned(), word(&totals[name])]);
    }
    rows
}

fn breakdown(parts: &Value) -> Rows {
    let items = parts["items"].as_array().cloned().unwrap_or_default();
    let empty = "Nothing was asked in that time.";
    if parts["group_by"] == "service" {
        let mut rows = Rows::new(
            &["SERVICE", "REQUESTS", "SYNC", "ASYNC", "EXPOSED", "USERS"],
            empty,
        );
        for item in &items {
            let members = [
                "key",
                "requests_count_total",
                "requests_count_sync",
                "requests_count_async",
                "requests_count_exposed",
                "unique_users_count",
            ];
            rows.row(members.map(|name| word(&item[name])));
        }
        return rows;
    }
    let mut rows = Rows::new(&["KEY", "REQUESTS"], empty);
    for item in &items {
        rows.row([word(&item["key"]), word(&item["executions_count"])]);
    }
    rows
}

fn of_service(all: &Value) -> Rows {
    let mut rows = Rows::new(&["METRIC", "VALUE", "UNIT"], "");
    for metric in all["metrics"].as_array().into_iter().flatten() {
        rows.row(["metric", "value", "unit"].map(|name| word(&metric[name])));
    }
    rows
}
