//! `/system/metrics`: who asked which service how often, and what that took. Errors are JSON here, unlike elsewhere.

mod breakdown;
mod one;
mod query;

use std::collections::BTreeSet;

use axum::extract::{Query, State};
use axum::response::Response;
use serde::Serialize;

use super::answer::json;
use super::{App, Here};
use crate::auth::{Caller, access};
use crate::metrics::{self, Amount, Range};
use query::{Asked, Params, Problem};

#[cfg(test)]
pub(super) use breakdown::__path_show as __path_breakdown;
pub(super) use breakdown::show as breakdown;
#[cfg(test)]
pub(super) use one::__path_show as __path_one;
pub(super) use one::show as one;

/// Microseconds of an hour.
const HOUR_US: f64 = 3_600_000_000.0;

/// The sums over all services that the caller may see.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = MetricsSummary))]
struct Summary {
    start: String,
    end: String,
    totals: Totals,
    sources: Vec<Source>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = MetricsTotals))]
#[allow(clippy::struct_field_names)] // The reference's members.
struct Totals {
    services_count_active: usize,
    services_count_total: usize,
    cpu_hours_total: f64,
    gpu_hours_total: f64,
    requests_count_total: u64,
    requests_count_sync: u64,
    requests_count_async: u64,
    requests_count_exposed: u64,
    countries_count: usize,
    countries: Vec<Country>,
    users_count: usize,
    users: BTreeSet<String>,
}

/// Where requests come from; nothing here knows.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = MetricsCountry))]
struct Country {
    country: String,
    request_count: u64,
}

/// Where numbers come from.
#[derive(Debug, Clone, Copy, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = MetricsSource))]
struct Source {
    name: &'static str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    notes: Option<&'static str>,
}

impl Source {
    const INVENTORY: Self = Self::ok("service-inventory");
    const USAGE: Self = Self {
        notes: Some("processor time of jobs; no node offers a GPU"),
        ..Self::ok("usage-metrics")
    };
    const REQUESTS: Self = Self::ok("request-logs");
    const EXPOSED: Self = Self {
        notes: Some("requests of exposed services, as the gateway passed them on"),
        ..Self::ok("exposed-request-logs")
    };
    const COUNTRIES: Self = Self {
        status: "missing",
        notes: Some("no database of addresses on this cluster"),
        ..Self::ok("country-attribution")
    };
    const USERS: Self = Self::ok("user-roster");

    const fn ok(name: &'static str) -> Self {
        Self {
            name,
            status: "ok",
            notes: None,
        }
    }
}

/// Sums up what was asked of all services.
#[cfg_attr(test, utoipa::path(get, path = "/system/metrics", params(Params),
    responses(
        (status = 200, description = "The sums.", body = Summary),
        (status = 400, description = "The range makes no sense.", body = query::Told),
    ),
))]
pub(super) async fn summary(
    State(app): Here,
    caller: Caller,
    Query(params): Query<Params>,
) -> Result<Response, Problem> {
    let Asked { start, end, range } = params.range()?;
    let visible = visible(&app, &caller).await?;
    let amounts = seen(&app, &caller, range, &visible).await?;
    let sums = metrics::totals(&amounts);
    Ok(json(&Summary {
        start,
        end,
        totals: Totals {
            services_count_active: visible.len(),
            services_count_total: sums.services.len(),
            cpu_hours_total: hours(sums.counts.cpu_us),
            gpu_hours_total: 0.0,
            requests_count_total: sums.counts.requests(),
            requests_count_sync: sums.counts.sync,
            requests_count_async: sums.counts.asynchronous,
            requests_count_exposed: sums.counts.exposed,
            countries_count: 0,
            countries: Vec::new(),
            users_count: sums.users.len(),
            users: sums.users,
        },
        sources: vec![
            Source::INVENTORY,
            Source::USAGE,
            Source::REQUESTS,
            Source::EXPOSED,
            Source::COUNTRIES,
            Source::USERS,
        ],
    })?)
}

/// Services that exist and that the caller may see.
async fn visible(app: &App, caller: &Caller) -> Result<BTreeSet<String>, Problem> {
    let services = app.services.list().await?;
    let seen = services
        .into_iter()
        .filter(|service| access::may_see(caller, service));
    Ok(seen.map(|service| service.name).collect())
}

/// What was counted in the range, as far as the caller may know of it; the administrator sees services that are gone,
/// too.
async fn seen(
    app: &App,
    caller: &Caller,
    range: Range,
    visible: &BTreeSet<String>,
) -> Result<Vec<Amount>, Problem> {
    let mut amounts = metrics::amounts(&app.store, &app.metrics, range).await?;
    if !caller.is_administrator() {
        amounts.retain(|amount| visible.contains(&amount.service));
    }
    Ok(amounts)
}

/// Six digits after the point are enough for milliseconds.
#[allow(clippy::cast_precision_loss)] // 285 years of processor time are exact.
fn hours(microseconds: u64) -> f64 {
    (microseconds as f64 / HOUR_US * 1e6).round() / 1e6
}
