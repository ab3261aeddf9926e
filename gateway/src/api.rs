//! The REST API, as OSCAR's clients know it: one file per resource, all routes here.

mod answer;
mod body;
mod buckets;
mod config;
mod cors;
mod deployment;
mod document;
mod executions;
mod federation;
mod forward_auth;
mod info;
mod invoke;
mod jobs;
mod lifecycle;
mod limits;
mod metrics;
mod paths;
mod presign;
mod problem;
mod quotas;
mod services;
mod status;
mod system_logs;
mod volumes;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, Response, StatusCode};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::IntoResponse as _;
use jiff::Timestamp;
use tokio::sync::Semaphore;
use tower::util::MapRequestLayer;
use tower::{Layer as _, Service};
use tower_http::catch_panic::CatchPanicLayer;

use crate::auth::{Gatekeeper, Users, administrators_only, identify};
use crate::config::Settings;
use crate::executions::Executions;
use crate::metrics::Metrics;
use crate::queue::Queue;
use crate::routes::routes;
use crate::services::Services;
use crate::store::Store;
use crate::volumes::Volumes;

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
    /// People who have come with an OIDC token, and their object-store accounts.
    pub(crate) users: Users,
    pub(crate) room: Arc<Semaphore>,
    pub(crate) volumes: Volumes,
    pub(crate) executions: Executions,
    pub(crate) metrics: Metrics,
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
        .merge(system::router().route_layer(known.clone()))
        .merge(
            invocations::router().route_layer(from_fn_with_state(app.clone(), executions::logged)),
        )
        .merge(gates::router())
        .route_layer(from_fn_with_state(app.clone(), limits::bounded))
        .merge(public::router())
        .with_state(app.clone());
    let router = Router::new()
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
            (StatusCode::INTERNAL_SERVER_ERROR, "").into_response()
        }))
        .layer(from_fn(limits::heard_out));
    let router = cors::allow(router, &app.settings.cors_origins);
    MapRequestLayer::new(paths::tidy).layer(router)
}

routes! {
    /// For everybody.
    public for App {
        get "/health" => info::health;
        get "/system/openapi.json" => document::json;
        get "/system/openapi" => document::page;
    }
}

routes! {
    /// What a known caller may ask for.
    system for App {
        get "/system/info" => info::show;
        get "/system/config" => config::show;
        put "/system/config" => config::replace;
        get "/system/services" => services::list;
        post "/system/services" => services::create;
        put "/system/services" => services::update;
        get "/system/services/{name}" => services::show;
        delete "/system/services/{name}" => services::delete;
        get "/system/services/{name}/deployment" => deployment::show;
        get "/system/services/{name}/deployment/logs" => deployment::logs;
        post "/system/services/{name}/{action}" => lifecycle::act;
        get "/system/logs" => system_logs::show;
        get "/system/logs/{name}" => jobs::list;
        delete "/system/logs/{name}" => jobs::delete_many;
        get "/system/logs/{name}/{job}" => jobs::log;
        delete "/system/logs/{name}/{job}" => jobs::delete_one;
        get "/system/status" => status::show;
        get "/system/buckets" => buckets::list;
        post "/system/buckets" => buckets::create;
        put "/system/buckets" => buckets::update;
        get "/system/buckets/{bucket}" => buckets::show;
        delete "/system/buckets/{bucket}" => buckets::delete;
        post "/system/buckets/{bucket}/presign" => presign::presign;
        get "/system/volumes" => volumes::list;
        post "/system/volumes" => volumes::create;
        get "/system/volumes/{name}" => volumes::show;
        delete "/system/volumes/{name}" => volumes::delete;
        get "/system/metrics" => metrics::summary;
        get "/system/metrics/breakdown" => metrics::breakdown;
        get "/system/metrics/{name}" => metrics::one;
        get "/system/quotas/user" => quotas::own;
        get "/system/quotas/user/{id}" => quotas::show;
        put "/system/quotas/user/{id}" => quotas::replace;
        get "/system/federation/{name}" => federation::show;
        post "/system/federation/{name}" => federation::add;
        put "/system/federation/{name}" => federation::replace;
        delete "/system/federation/{name}" => federation::remove;
    }
}

routes! {
    /// Calls of services, which bring the service's token or the administrator's password.
    invocations for App {
        post "/job/{name}" => invoke::job;
        post "/run/{name}" => invoke::run;
    }
}

routes! {
    /// What proxies ask, who bring the credentials of others.
    gates for App {
        get "/system/services/{name}/auth" => forward_auth::check;
    }
}

/// The state of a handler.
type Here = State<App>;
