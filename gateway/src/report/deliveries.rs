//! Files on their way to storages elsewhere: listed, tried again, purged.

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use spillway_model::report::{DeliveryPage, DeliveryReport, DeliveryState, Touched};

use super::Problem;
use super::dead_letters::Of;
use crate::outbox::{self, Filter, Which};
use crate::queue::Queue;

/// Which deliveries to list.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Params {
    service: Option<String>,
    state: Option<DeliveryState>,
    limit: Option<u32>,
    before: Option<i64>,
}

/// Files on their way to storages elsewhere. What has arrived is not listed.
#[cfg_attr(test, utoipa::path(get, path = "/spillway/v1/deliveries",
    params(
        ("service" = Option<String>, Query, description = "Only outputs of this service."),
        ("state" = Option<String>, Query, description = "Only those in this state: `waiting` or `dead`.", pattern = "^(waiting|dead)$"),
        ("limit" = Option<u32>, Query, description = "At most so many."),
        ("before" = Option<i64>, Query, description = "`next` of the page before."),
    ),
    responses(
        (status = 200, description = "Newest first.", body = crate::document::types::DeliveryPage),
        (status = 400, description = "A parameter is not what it should be.", body = String),
    ),
))]
pub(super) async fn list(
    State(queue): State<Queue>,
    Query(params): Query<Params>,
) -> Result<Json<DeliveryPage>, Problem> {
    let filter = Filter {
        service: params.service.filter(|service| !service.is_empty()),
        state: params.state,
        limit: params.limit,
        before: params.before,
    };
    Ok(Json(outbox::list(&queue, filter).await?))
}

/// One file on its way.
#[cfg_attr(test, utoipa::path(get, path = "/spillway/v1/deliveries/{id}",
    responses(
        (status = 200, description = "All that is known of it.", body = crate::document::types::DeliveryReport),
        (status = 404, description = "It has arrived, was purged, or never was.", body = crate::report::ErrorReport),
    ),
))]
pub(super) async fn show(
    State(queue): State<Queue>,
    Path(id): Path<String>,
) -> Result<Json<DeliveryReport>, Problem> {
    let found = match id.parse() {
        Ok(number) => outbox::get(&queue, number).await?,
        Err(_) => None,
    };
    found.map(Json).ok_or(Problem::NoDelivery(id))
}

/// Tries all of them at once, those that were given up, too.
#[cfg_attr(test, utoipa::path(post, path = "/spillway/v1/deliveries/retry",
    params(("service" = Option<String>, Query, description = "Only those of this service.")),
    responses(
        (status = 200, description = "How many are tried.", body = crate::document::types::Touched),
        (status = 400, description = "A parameter is not what it should be.", body = String),
    ),
))]
pub(super) async fn retry(
    State(queue): State<Queue>,
    Query(of): Query<Of>,
) -> Result<Json<Touched>, Problem> {
    let which = Which {
        service: of.service,
        id: None,
    };
    Ok(Json(Touched {
        touched: outbox::retry(&queue, which).await?,
    }))
}

/// Tries one at once.
#[cfg_attr(test, utoipa::path(post, path = "/spillway/v1/deliveries/{id}/retry",
    responses(
        (status = 200, description = "It is tried.", body = crate::document::types::Touched),
        (status = 404, description = "It has arrived, was purged, or never was.", body = crate::report::ErrorReport),
    ),
))]
pub(super) async fn retry_one(
    State(queue): State<Queue>,
    Path(id): Path<String>,
) -> Result<Json<Touched>, Problem> {
    let touched = match one(&id) {
        Some(which) => outbox::retry(&queue, which).await?,
        None => 0,
    };
    answer(touched, id)
}

/// Deletes those that were given up, with their contents.
#[cfg_attr(test, utoipa::path(delete, path = "/spillway/v1/deliveries",
    params(("service" = Option<String>, Query, description = "Only those of this service.")),
    responses(
        (status = 200, description = "How many are gone.", body = crate::document::types::Touched),
        (status = 400, description = "A parameter is not what it should be.", body = String),
    ),
))]
pub(super) async fn purge(
    State(queue): State<Queue>,
    Query(of): Query<Of>,
) -> Result<Json<Touched>, Problem> {
    let which = Which {
        service: of.service,
        id: None,
    };
    Ok(Json(Touched {
        touched: outbox::purge(&queue, which).await?,
    }))
}

/// Deletes one, with its content, whatever its state.
#[cfg_attr(test, utoipa::path(delete, path = "/spillway/v1/deliveries/{id}",
    responses(
        (status = 200, description = "It is gone.", body = crate::document::types::Touched),
        (status = 404, description = "It has arrived, was purged, or never was.", body = crate::report::ErrorReport),
    ),
))]
pub(super) async fn purge_one(
    State(queue): State<Queue>,
    Path(id): Path<String>,
) -> Result<Json<Touched>, Problem> {
    let touched = match one(&id) {
        Some(which) => outbox::purge(&queue, which).await?,
        None => 0,
    };
    answer(touched, id)
}

fn one(id: &str) -> Option<Which> {
    Some(Which {
        id: Some(id.parse().ok()?),
        service: None,
    })
}

fn answer(touched: u64, id: String) -> Result<Json<Touched>, Problem> {
    if touched == 0 {
        Err(Problem::NoDelivery(id))
    } else {
        Ok(Json(Touched { touched }))
    }
}
