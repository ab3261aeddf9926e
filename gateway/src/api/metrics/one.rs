//! `GET /system/metrics/{name}`: the metrics of one service.

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde_json::Number;

use super::query::{Asked, Params, Problem, given};
use super::{Source, hours};
use crate::api::Here;
use crate::api::answer::json;
use crate::api::problem::Problem as Plain;
use crate::auth::{Caller, access};
use crate::metrics::{self, Totals};

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = ServiceMetrics))]
struct All {
    service_name: String,
    start: String,
    end: String,
    metrics: Vec<Metric>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = ServiceMetric))]
#[allow(clippy::struct_field_names)] // The reference's members.
struct Metric {
    metric: &'static str,
    #[cfg_attr(test, schema(value_type = f64))]
    value: Number,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<&'static str>,
    sources: Vec<Source>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = ServiceMetricValue))]
struct One {
    service_id: String,
    metric: &'static str,
    start: String,
    end: String,
    #[cfg_attr(test, schema(value_type = f64))]
    value: Number,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<&'static str>,
    sources: Vec<Source>,
}

/// What is shown: everything, or what was asked for.
#[derive(Serialize)]
#[serde(untagged)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = ServiceMetricsAnswer))]
enum Shown {
    All(All),
    One(One),
}

/// Metrics of a service, in the order they are shown.
const OF_SERVICE: [&str; 6] = [
    "cpu-hours",
    "gpu-hours",
    "requests-sync-per-service",
    "requests-async-per-service",
    "requests-exposed-per-service",
    "users-per-service",
];

/// Metrics that no single service has.
const OF_ALL: [&str; 4] = [
    "services-count",
    "requests-per-user",
    "countries-count",
    "countries-list",
];

/// Shows the metrics of a service, or with `metric` one of them.
#[cfg_attr(test, utoipa::path(get, path = "/system/metrics/{name}", params(Params),
    responses(
        (status = 200, description = "All metrics, or one.", body = Shown),
        (status = 400, description = "The range or the metric makes no sense.", body = super::query::Told),
        (status = 403, description = "The caller may not see the service."),
        (status = 404, description = "There is no such service."),
    ),
))]
pub(in crate::api) async fn show(
    State(app): Here,
    caller: Caller,
    Path(name): Path<String>,
    Query(params): Query<Params>,
) -> Result<Response, Problem> {
    let Asked { start, end, range } = params.range()?;
    let wanted = match given(params.metric.as_ref()) {
        None => None,
        Some(key) => Some(known(key)?),
    };
    if !caller.is_administrator() {
        let service = app.services.get(&name).await?.ok_or(Plain::NOT_FOUND)?;
        if !access::may_see(&caller, &service) {
            return Err(Plain::Empty(StatusCode::FORBIDDEN).into());
        }
    }
    let mut amounts = metrics::amounts(&app.store, &app.metrics, range).await?;
    amounts.retain(|amount| amount.service == name);
    let sums = metrics::totals(&amounts);
    let Some(key) = wanted else {
        let all = OF_SERVICE.map(|key| metric(key, &sums));
        return Ok(json(&Shown::All(All {
            service_name: name,
            start,
            end,
            metrics: all.into(),
        }))?);
    };
    let Metric {
        metric,
        value,
        unit,
        sources,
    } = metric(key, &sums);
    Ok(json(&Shown::One(One {
        service_id: name,
        metric,
        start,
        end,
        value,
        unit,
        sources,
    }))?)
}

fn known(key: &str) -> Result<&'static str, Problem> {
    match OF_SERVICE.into_iter().find(|known| *known == key) {
        Some(key) => Ok(key),
        None if OF_ALL.contains(&key) => Err(Problem::bad("unsupported metric for value query")),
        None => Err(Problem::bad("invalid metric key")),
    }
}

fn metric(key: &'static str, sums: &Totals) -> Metric {
    let decimal = |value: f64| Number::from_f64(value).unwrap_or_else(|| 0.into());
    let (value, unit, source) = match key {
        "cpu-hours" => (
            decimal(hours(sums.counts.cpu_us)),
            Some("hours"),
            Source::USAGE,
        ),
        "gpu-hours" => (decimal(0.0), Some("hours"), Source::USAGE),
        "requests-sync-per-service" => (sums.counts.sync.into(), None, Source::REQUESTS),
        "requests-async-per-service" => (sums.counts.asynchronous.into(), None, Source::REQUESTS),
        "requests-exposed-per-service" => (sums.counts.exposed.into(), None, Source::EXPOSED),
        _ => (sums.users.len().into(), None, Source::USERS),
    };
    Metric {
        metric: key,
        value,
        unit,
        sources: vec![source],
    }
}
