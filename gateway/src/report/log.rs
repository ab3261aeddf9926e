//! The log of a job, also while it is being written.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde::Deserialize;
use spillway_model::report::JobState;
use spillway_model::wire::link::Attempt;
use tokio::sync::broadcast;

use super::Problem;
use crate::queue::Queue;
use crate::store::StoreError;

/// A follower looks again after so long even if it heard of no change.
const LOOK: Duration = Duration::from_secs(5);

/// Whether to wait for more.
#[derive(Debug, Deserialize)]
pub(super) struct Params {
    #[serde(default)]
    follow: bool,
}

/// The logs of all attempts, one after the other.
#[cfg_attr(test, utoipa::path(get, path = "/spillway/v1/jobs/{name}/log",
    params(("follow" = Option<bool>, Query, description = "Keep the answer open until the job ends.")),
    responses(
        (status = 200, description = "The logs of all attempts.", body = String),
        (status = 400, description = "A parameter is not what it should be.", body = String),
        (status = 404, description = "There is no such job.", body = super::ErrorReport),
    ),
))]
pub(super) async fn show(
    State(queue): State<Queue>,
    Path(name): Path<String>,
    Query(params): Query<Params>,
) -> Result<Response, Problem> {
    if queue.get(&name).await?.is_none() {
        return Err(Problem::NoSuchJob(name));
    }
    let changes = queue.live().changes();
    let follower = Follower {
        queue,
        name,
        follow: params.follow,
        changes,
        ended: 0,
        current: 0,
        sent: 0,
        over: false,
    };
    let pieces = stream::try_unfold(follower, |mut follower| async move {
        let piece = follower.next().await?;
        Ok::<_, StoreError>(piece.map(|piece| (piece, follower)))
    });
    Ok((
        [(CONTENT_TYPE, "text/plain; charset=utf-8")],
        Body::from_stream(pieces),
    )
        .into_response())
}

/// How far a follower has read.
struct Follower {
    queue: Queue,
    name: String,
    follow: bool,
    changes: broadcast::Receiver<String>,
    /// The newest attempt whose whole log has been sent.
    ended: u32,
    /// The attempt whose live log is being sent …
    current: u32,
    /// … and how many bytes of it were.
    sent: u64,
    over: bool,
}

impl Follower {
    /// The next piece; nothing at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        while !self.over {
            // The state first: what ends after this is found in the next turn.
            let Some(job) = self.queue.get(&self.name).await? else {
                return Ok(None);
            };
            self.over = !self.follow || matches!(job.state, JobState::Succeeded | JobState::Dead);
            let mut piece = self.of_ended_attempts().await?;
            if piece.is_empty() && job.state == JobState::Leased && job.attempt > self.ended {
                piece = self.of_running_attempt(job.attempt).await;
                // A long one comes in several pieces, even for those who do not follow.
                self.over = self.over && piece.is_empty();
            }
            if !piece.is_empty() {
                return Ok(Some(Bytes::from(piece)));
            }
            if !self.over {
                self.wait().await;
            }
        }
        Ok(None)
    }

    async fn of_ended_attempts(&mut self) -> Result<Vec<u8>, StoreError> {
        let logs = self
            .queue
            .logs(&self.name, self.ended)
            .await?
            .unwrap_or_default();
        let mut piece = Vec::new();
        for (attempt, text) in logs {
            let sent = if attempt == self.current {
                usize::try_from(self.sent).unwrap_or(usize::MAX)
            } else {
                0
            };
            piece.extend_from_slice(text.as_bytes().get(sent..).unwrap_or_default());
            self.ended = attempt;
        }
        Ok(piece)
    }

    async fn of_running_attempt(&mut self, attempt: u32) -> Vec<u8> {
        if attempt != self.current {
            (self.current, self.sent) = (attempt, 0);
        }
        let piece = self
            .queue
            .live()
            .read(
                &Attempt {
                    job: self.name.clone(),
                    attempt,
                },
                self.sent,
            )
            .await;
        self.sent += piece.len() as u64;
        piece
    }

    /// Until something of this job changes, or for a while.
    async fn wait(&mut self) {
        let change = async {
            loop {
                match self.changes.recv().await {
                    Ok(name) if name != self.name => (),
                    _ => return,
                }
            }
        };
        // Time out or not: the next turn looks at everything.
        drop(tokio::time::timeout(LOOK, change).await);
    }
}
