//! The REST API, as OSCAR's clients know it: one file per resource, all routes here.

mod answer;
mod body;
mod buckets;
mod config;
mod cors;
mod deployment;
mod executions;
mod info;
mod interim;
mod invoke;
mod jobs;
mod limits;
mod paths;
mod problem;
mod quotas;
mod services;
mod status;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, Response, StatusCode};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::IntoResponse as _;
use axum::routing::{get, post};
use jiff::Timestamp;
use tokio::sync::Semaphore;
use tower::util::MapRequestLayer;
use tower::{Layer as _, Service};
use tower_http::catch_panic::CatchPanicLayer;

use crate::auth::{Gatekeeper, Users, administrators_only, identify};
use crate::config::Settings;
use crate::queue::Queue;
use crate::services::Services;
use crate::store::Store;
use crate::vault::Vault;

/// What handlers work with.
#[derive(Debug, Clone)]
pub(crate) struct App(Arc<Parts>);

/// See [`App`].
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) settings: Settings,
    /// Where clients reach the object store.
    pub(crate) s3_url: String,
    pub(crate) store: Store,
    pub(crate) queue: Queue,
    pub(crate) services: Services,
    pub(crate) gatekeeper: Arc<Gatekeeper>,
    pub(crate) vault: Arc<Vault>,
    /// People who have come with an OIDC token, and their object-store accounts.
    pub(crate) users: Users,
    pub(crate) room: Arc<Semaphore>,
    pub(crate) started: Timestamp,
}

impl App {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// What else listens on the port of the API.
#[derive(Debug, Default)]
pub(crate) struct Neighbours {
    /// The agents' protocol, which brings its own authentication.
    pub(crate) link: Router,
    /// Reports on jobs and nodes, for the administrator.
    pub(crate) report: Router,
}

/// Everything on the port of the API.
pub(crate) fn service(
    app: &App,
    neighbours: Neighbours,
) -> impl Service<
    Request<Body>,
    Response = Response<Body>,
    Error = std::convert::Infallible,
    Future: Send,
> + Clone
+ Send
+ Sync
+ 'static {
    let known = from_fn_with_state(Arc::clone(&app.gatekeeper), identify);
    let bounded = Router::new()
        .merge(system().route_layer(known.clone()))
        .merge(invocations())
        .route_layer(from_fn_with_state(app.clone(), limits::bounded))
        .with_state(app.clone());
    let router = Router::new()
        .route("/health", get(|| async { "Ok" }))
        .merge(bounded)
        .merge(
            neighbours
                .report
                .route_layer(from_fn(administrators_only))
                .route_layer(known),
        )
        .merge(neighbours.link)
        .fallback(problem::page_not_found)
        .method_not_allowed_fallback(problem::page_not_found)
        .layer(CatchPanicLayer::custom(|_| {
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }));
    let router = cors::allow(router, &app.settings.cors_origins);
    MapRequestLayer::new(paths::tidy).layer(router)
}

/// What a known caller may ask for.
fn system() -> Router<App> {
    Router::new()
        .route("/system/info", get(info::show))
        .route("/system/config", get(config::show).put(config::replace))
        .route(
            "/system/services",
            get(services::list)
                .post(services::create)
                .put(services::update),
        )
        .route(
            "/system/services/{name}",
            get(services::show).delete(services::delete),
        )
        .route("/system/services/{name}/deployment", get(deployment::show))
        .route(
            "/system/services/{name}/deployment/logs",
            get(deployment::logs),
        )
        .route("/system/services/{name}/{action}", post(interim::lifecycle))
        .route("/system/logs", get(interim::system_logs))
        .route(
            "/system/logs/{name}",
            get(jobs::list).delete(jobs::delete_many),
        )
        .route(
            "/system/logs/{name}/{job}",
            get(jobs::log).delete(jobs::delete_one),
        )
        .route("/system/status", get(status::show))
        .route(
            "/system/buckets",
            get(buckets::list)
                .post(buckets::create)
                .put(buckets::update),
        )
        .route(
            "/system/buckets/{bucket}",
            get(buckets::show).delete(buckets::delete),
        )
        .route("/system/buckets/{bucket}/presign", post(interim::presign))
        .route("/system/volumes", get(interim::volumes))
        .route("/system/quotas/user", get(quotas::own))
        .route(
            "/system/quotas/user/{id}",
            get(quotas::show).put(quotas::replace),
        )
        .route(
            "/system/federation/{name}",
            get(interim::federation).fallback(interim::federation_change),
        )
}

/// Calls of services, which bring the service's token or the administrator's password.
fn invocations() -> Router<App> {
    Router::new()
        .route("/job/{name}", post(invoke::job))
        .route("/run/{name}", post(invoke::run))
        .route_layer(from_fn(executions::logged))
}

/// The state of a handler.
type Here = State<App>;
