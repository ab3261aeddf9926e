//! The gateway's side of the protocol, in memory, and as ill-mannered as a test asks for.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures::StreamExt;
use spillway_model::wire::link::*;
use tokio::sync::Notify;

/// What the gateway knows, and how it behaves.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) joins: Vec<Join>,
    pub(crate) heartbeats: Vec<Heartbeat>,
    pub(crate) polls: u64,
    pub(crate) requests: u64,
    pub(crate) leases: VecDeque<Lease>,
    pub(crate) cancelled: Vec<Attempt>,
    pub(crate) wanted: Option<Wanted>,
    pub(crate) definitions: BTreeMap<(String, u64), ServiceDefinition>,
    /// Inputs that are fetched; zeros of this size.
    pub(crate) input_sizes: BTreeMap<Attempt, u64>,
    pub(crate) live: BTreeMap<Attempt, String>,
    pub(crate) blobs: Vec<u64>,
    pub(crate) completions: Vec<(Attempt, Completion)>,
    /// Attempts that are answered with 410.
    pub(crate) gone: BTreeSet<Attempt>,
    /// Attempts that heartbeats are told of.
    pub(crate) lost: Vec<Attempt>,
    /// Every request is answered with 503.
    pub(crate) down: bool,
    /// Every answer is held back for so long.
    pub(crate) slow: Duration,
}

/// A gateway on a port of its own.
#[derive(Debug, Clone)]
pub(crate) struct Gateway {
    known: Arc<Mutex<Known>>,
    news: Arc<Notify>,
    process: Arc<AtomicU64>,
    pub(crate) address: SocketAddr,
}

/// The token that agents join with.
pub(crate) const JOIN_TOKEN: &str = "the-join-token";

type Refusal = (StatusCode, &'static str);

impl Gateway {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let gateway = Self {
            known: Arc::default(),
            news: Arc::default(),
            process: Arc::new(AtomicU64::new(1)),
            address,
        };
        let routes = Router::new()
            .route("/poll", post(poll))
            .route("/heartbeat", post(heartbeat))
            .route("/services/{name}/{revision}", get(definition))
            .route("/jobs/{job}/{attempt}/input", get(input))
            .route("/jobs/{job}/{attempt}/log", post(live_log))
            .route("/jobs/{job}/{attempt}/blobs", post(blob))
            .route("/jobs/{job}/{attempt}/complete", post(complete))
            .route_layer(middleware::from_fn_with_state(
                gateway.clone(),
                members_only,
            ))
            .route("/join", post(join))
            .layer(middleware::from_fn_with_state(gateway.clone(), manners))
            .layer(DefaultBodyLimit::disable())
            .with_state(gateway.clone());
        let routes = Router::new().nest("/agent/v1", routes);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        gateway
    }

    pub(crate) fn know(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap()
    }

    /// Changes something that a poll may be waiting for.
    pub(crate) fn tell(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.know());
        self.news.notify_waiters();
        self.news.notify_one();
    }

    /// A new process of the gateway: it knows no node.
    pub(crate) fn restart(&self) {
        self.process.fetch_add(1, Ordering::SeqCst);
    }

    fn token(&self) -> String {
        format!("node-token-{}", self.process.load(Ordering::SeqCst))
    }

    /// Waits until `look` finds something; the test fails after half a minute.
    pub(crate) async fn until<T>(
        &self,
        what: &str,
        mut look: impl FnMut(&Known) -> Option<T>,
    ) -> T {
        for _ in 0..1500 {
            if let Some(found) = look(&self.know()) {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("waited in vain for {what}; known: {:#?}", self.know());
    }

    /// Waits for the end of an attempt.
    pub(crate) async fn completion(&self, attempt: &Attempt) -> Completion {
        let what = format!("the end of {attempt:?}");
        self.until(&what, |known| {
            known
                .completions
                .iter()
                .find(|(of, _)| of == attempt)
                .map(|(_, it)| it.clone())
        })
        .await
    }
}

async fn manners(State(gateway): State<Gateway>, request: Request, next: Next) -> Response {
    let (down, slow) = {
        let mut known = gateway.know();
        known.requests += 1;
        (known.down, known.slow)
    };
    tokio::time::sleep(slow).await;
    if down {
        StatusCode::SERVICE_UNAVAILABLE.into_response()
    } else {
        next.run(request).await
    }
}

async fn members_only(State(gateway): State<Gateway>, request: Request, next: Next) -> Response {
    let expected = format!("Bearer {}", gateway.token());
    if request
        .headers()
        .get("authorization")
        .is_none_or(|it| it.as_bytes() != expected.as_bytes())
    {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    next.run(request).await
}

async fn join(
    State(gateway): State<Gateway>,
    headers: axum::http::HeaderMap,
    Json(about): Json<Join>,
) -> Response {
    if headers["authorization"] != format!("Bearer {JOIN_TOKEN}") {
        return (StatusCode::UNAUTHORIZED, "this is not the join token").into_response();
    }
    gateway.know().joins.push(about);
    Json(Joined {
        token: gateway.token(),
        lease_ms: 5000,
        heartbeat_ms: 300,
    })
    .into_response()
}

async fn poll(State(gateway): State<Gateway>, Json(poll): Json<Poll>) -> Json<PollAnswer> {
    gateway.know().polls += 1;
    let end = tokio::time::Instant::now() + Duration::from_millis(poll.wait_ms);
    loop {
        let news = gateway.news.notified();
        {
            let mut known = gateway.know();
            let count = known.leases.len().min(poll.max_leases as usize);
            let answer = PollAnswer {
                leases: known.leases.drain(..count).collect(),
                cancelled: std::mem::take(&mut known.cancelled),
                wanted: known
                    .wanted
                    .clone()
                    .filter(|wanted| wanted.version != poll.wanted_version),
            };
            if answer != PollAnswer::default() {
                return Json(answer);
            }
        }
        if tokio::time::timeout_at(end, news).await.is_err() {
            return Json(PollAnswer::default());
        }
    }
}

async fn heartbeat(
    State(gateway): State<Gateway>,
    Json(beat): Json<Heartbeat>,
) -> Json<HeartbeatAnswer> {
    let mut known = gateway.know();
    known.heartbeats.push(beat);
    Json(HeartbeatAnswer {
        lost: std::mem::take(&mut known.lost),
    })
}

async fn definition(
    State(gateway): State<Gateway>,
    Path((name, revision)): Path<(String, u64)>,
) -> Result<Json<ServiceDefinition>, Refusal> {
    let definition = gateway.know().definitions.get(&(name, revision)).cloned();
    definition
        .map(Json)
        .ok_or((StatusCode::NOT_FOUND, "there is no such service"))
}

fn current(gateway: &Gateway, (job, attempt): (String, u32)) -> Result<Attempt, Refusal> {
    let attempt = Attempt { job, attempt };
    if gateway.know().gone.contains(&attempt) {
        return Err((StatusCode::GONE, "the attempt is another's"));
    }
    Ok(attempt)
}

async fn input(
    State(gateway): State<Gateway>,
    Path(of): Path<(String, u32)>,
) -> Result<Response, Refusal> {
    let attempt = current(&gateway, of)?;
    let size = gateway
        .know()
        .input_sizes
        .get(&attempt)
        .copied()
        .ok_or((StatusCode::NOT_FOUND, "no input"))?;
    let piece = Bytes::from(vec![0; 64 * 1024]);
    let pieces = futures::stream::unfold(size, move |left| {
        let piece = piece.clone();
        async move {
            let now = left.min(64 * 1024);
            (now > 0).then(|| {
                (
                    Ok::<_, std::io::Error>(piece.slice(..usize::try_from(now).unwrap())),
                    left - now,
                )
            })
        }
    });
    Ok(Response::new(Body::from_stream(pieces)))
}

async fn live_log(
    State(gateway): State<Gateway>,
    Path(of): Path<(String, u32)>,
    Query(query): Query<BTreeMap<String, usize>>,
    text: String,
) -> Result<StatusCode, Refusal> {
    let attempt = current(&gateway, of)?;
    let mut known = gateway.know();
    let log = known.live.entry(attempt).or_default();
    assert_eq!(query["offset"], log.len(), "pieces follow each other");
    log.push_str(&text);
    Ok(StatusCode::NO_CONTENT)
}

async fn blob(
    State(gateway): State<Gateway>,
    Path(of): Path<(String, u32)>,
    body: Body,
) -> Result<Json<StagedBlob>, Refusal> {
    current(&gateway, of)?;
    let mut pieces = body.into_data_stream();
    let mut size = 0;
    while let Some(piece) = pieces.next().await {
        size += piece
            .map_err(|_| (StatusCode::BAD_REQUEST, "cut off"))?
            .len() as u64;
    }
    let mut known = gateway.know();
    known.blobs.push(size);
    Ok(Json(StagedBlob {
        id: format!("blob-{}", known.blobs.len()),
        size,
        etag: String::new(),
    }))
}

async fn complete(
    State(gateway): State<Gateway>,
    Path(of): Path<(String, u32)>,
    Json(completion): Json<Completion>,
) -> Result<Json<Completed>, Refusal> {
    let attempt = current(&gateway, of)?;
    gateway.know().completions.push((attempt, completion));
    Ok(Json(Completed {}))
}
