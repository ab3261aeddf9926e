//! What agents talk to: the other end of [`spillway_model::wire::link`].
//!
//! A node proves itself with the token it got when it joined; joining needs the cluster's join token. Requests
//! that name an attempt which is no longer the node's are answered 410.

mod auth;
mod jobs;
mod leases;
mod problem;
mod services;
mod volumes;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use spillway_model::wire::link::{MAX_COMPLETION, PREFIX};

use crate::queue::Queue;
use crate::store::StoreError;
use crate::volumes::Volumes;
use auth::NodeTokens;
use problem::Problem;

/// Largest join, poll or heartbeat, in bytes.
const MESSAGE: usize = 1024 * 1024;

/// Largest piece of a live log, in bytes.
const LOG_PIECE: usize = 1024 * 1024;

/// What the handlers share.
#[derive(Debug, Clone)]
pub(crate) struct Link(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queue: Queue,
    volumes: Volumes,
    nodes: NodeTokens,
}

impl Link {
    /// Reads the nodes that joined before.
    pub(crate) async fn open(
        queue: Queue,
        volumes: Volumes,
        join_token: &str,
    ) -> Result<Self, StoreError> {
        let nodes = NodeTokens::load(queue.store().clone(), join_token).await?;
        Ok(Self(Arc::new(Shared {
            queue,
            volumes,
            nodes,
        })))
    }
}

/// The protocol under its prefix.
pub(crate) fn router(link: Link) -> Router {
    let routes = Router::new()
        .route(
            "/join",
            post(leases::join).layer(DefaultBodyLimit::max(MESSAGE)),
        )
        .route(
            "/poll",
            post(leases::poll).layer(DefaultBodyLimit::max(MESSAGE)),
        )
        .route(
            "/heartbeat",
            post(leases::heartbeat).layer(DefaultBodyLimit::max(MESSAGE)),
        )
        .route(
            "/volumes",
            post(volumes::report).layer(DefaultBodyLimit::max(MESSAGE)),
        )
        .route("/services/{name}/{revision}", get(services::definition))
        .route("/jobs/{job}/{attempt}/input", get(jobs::input))
        .route(
            "/jobs/{job}/{attempt}/log",
            post(jobs::log).layer(DefaultBodyLimit::max(LOG_PIECE)),
        )
        .route(
            "/jobs/{job}/{attempt}/blobs",
            post(jobs::blob).layer(DefaultBodyLimit::disable()),
        )
        .route(
            "/jobs/{job}/{attempt}/complete",
            post(jobs::complete).layer(DefaultBodyLimit::max(MAX_COMPLETION)),
        )
        .fallback(|| async {
            Problem::NotFound("no such request of the agents' protocol".to_owned())
        })
        .with_state(link);
    Router::new().nest(PREFIX, routes)
}
