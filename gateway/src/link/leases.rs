//! Joining, asking for work, staying alive.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use spillway_model::wire::link::{Heartbeat, HeartbeatAnswer, Join, Joined, Poll, PollAnswer};
use tracing::info;

use super::Link;
use super::auth::NodeName;
use super::problem::Problem;

/// Longest name of a node: that of a host.
const LONGEST_NAME: usize = 253;

pub(super) async fn join(
    State(link): State<Link>,
    headers: HeaderMap,
    Json(about): Json<Join>,
) -> Result<Json<Joined>, Problem> {
    if !link.0.nodes.may_join(&headers) {
        return Err(Problem::Unauthorized);
    }
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if !(1..=LONGEST_NAME).contains(&about.node.len()) || !about.node.bytes().all(is_plain) {
        return Err(Problem::Invalid(format!(
            "node: {:?} is no name of a node; use up to {LONGEST_NAME} letters, digits, dots, hyphens and underscores",
            about.node
        )));
    }
    let settings = link.0.queue.settings();
    let joined = Joined {
        token: link.0.nodes.admit(&about, settings.clock.now_ms()).await?,
        lease_ms: u64::try_from(settings.lease.as_millis()).unwrap_or(u64::MAX),
        heartbeat_ms: u64::try_from(settings.heartbeat.as_millis()).unwrap_or(u64::MAX),
    };
    info!(node = %about.node, architecture = %about.architecture, version = %about.version, "node joined");
    link.0.queue.join(about).await;
    Ok(Json(joined))
}

pub(super) async fn poll(
    State(link): State<Link>,
    NodeName(node): NodeName,
    Json(poll): Json<Poll>,
) -> Result<Json<PollAnswer>, Problem> {
    let answer = link.0.queue.poll(&node, poll).await.map(Json);
    answer.ok_or(if link.0.queue.is_stopping() {
        Problem::Stopping
    } else {
        Problem::Unauthorized
    })
}

pub(super) async fn heartbeat(
    State(link): State<Link>,
    NodeName(node): NodeName,
    Json(heartbeat): Json<Heartbeat>,
) -> Json<HeartbeatAnswer> {
    Json(HeartbeatAnswer {
        lost: link.0.queue.heartbeat(&node, heartbeat).await,
    })
}
