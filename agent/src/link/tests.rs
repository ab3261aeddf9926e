use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response as Answer};
use axum::routing::{get, post};
use spillway_model::wire::link::{Attempt, Engine, Poll, Resources, StagedBlob};
use tokio_util::sync::CancellationToken;

use super::*;

/// A link to a server with these routes, which is not joined yet.
async fn link(routes: Router) -> Link {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Link::new(&base, Secret::from("join".to_owned()), &Trust::System).unwrap()
}

fn about() -> Join {
    Join {
        node: "n".to_owned(),
        architecture: "arm64".to_owned(),
        version: "0".to_owned(),
        capacity: Resources::default(),
        labels: std::collections::BTreeMap::new(),
        engine: Engine::default(),
        running: Vec::new(),
    }
}

/// A join that hands out `t1`, `t2`, … to whoever has the join token.
fn joining() -> Router {
    let joins = Arc::new(AtomicU64::new(0));
    let join = move |headers: HeaderMap| {
        let number = joins.fetch_add(1, Ordering::SeqCst) + 1;
        async move {
            if headers["authorization"] != "Bearer join" {
                return (StatusCode::UNAUTHORIZED, "wrong token").into_response();
            }
            axum::Json(Joined {
                token: format!("t{number}"),
                lease_ms: 1000,
                heartbeat_ms: 100,
            })
            .into_response()
        }
    };
    Router::new().route("/agent/v1/join", post(join))
}

async fn joined(routes: Router) -> Link {
    let link = link(joining().merge(routes)).await;
    link.join(&about()).await.unwrap();
    link
}

fn attempt() -> Attempt {
    Attempt {
        job: "s-1".to_owned(),
        attempt: 2,
    }
}

#[tokio::test]
async fn a_wrong_join_token_is_refused_for_good() {
    let routes = Router::new().route(
        "/agent/v1/join",
        post(|| async { (StatusCode::UNAUTHORIZED, "wrong token") }),
    );
    let error = link(routes).await.join(&about()).await.unwrap_err();
    assert!(!error.passes());
    assert!(
        matches!(
            error,
            LinkError::Refused {
                status: StatusCode::UNAUTHORIZED,
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_401_ends_the_membership_and_requests_wait_for_the_next_one() {
    let poll = |headers: HeaderMap| async move {
        match headers["authorization"].to_str().unwrap() {
            "Bearer t2" => {
                axum::Json(spillway_model::wire::link::PollAnswer::default()).into_response()
            }
            _ => StatusCode::UNAUTHORIZED.into_response(),
        }
    };
    let link = joined(Router::new().route("/agent/v1/poll", post(poll))).await;
    let asking = tokio::spawn({
        let link = link.clone();
        async move {
            let poll = Poll {
                wait_ms: 1000,
                ..Poll::default()
            };
            persist(&CancellationToken::new(), || link.poll(&poll)).await
        }
    });
    link.lapsed().await;
    link.join(&about()).await.unwrap();
    asking.await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn what_passes_is_tried_again_and_what_does_not_is_not() {
    check(&[503, 500, 429, 200], 4, true).await;
    check(&[410, 200], 1, false).await;
    check(&[413, 200], 1, false).await;
    check(&[404, 200], 1, false).await;

    async fn check(statuses: &[u16], requests: u64, success: bool) {
        let left = Arc::new(Mutex::new(
            statuses.iter().copied().collect::<VecDeque<u16>>(),
        ));
        let asked = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&asked);
        let complete = move || {
            counted.fetch_add(1, Ordering::SeqCst);
            let status = left.lock().unwrap().pop_front().unwrap();
            async move { (StatusCode::from_u16(status).unwrap(), "{}") }
        };
        let link =
            joined(Router::new().route("/agent/v1/jobs/s-1/2/complete", post(complete))).await;
        let (end, attempt) = (CancellationToken::new(), attempt());
        let done = persist(&end, || link.complete(&attempt, Bytes::new()))
            .await
            .unwrap();
        assert_eq!(
            (asked.load(Ordering::SeqCst), done.is_ok()),
            (requests, success),
            "for {statuses:?}"
        );
    }
}

#[tokio::test]
async fn an_absent_gateway_is_waited_for_until_the_end() {
    let link = joined(Router::new()).await;
    let nowhere = Link {
        base: "http://127.0.0.1:1".into(),
        ..link
    };
    let end = CancellationToken::new();
    let waiting = tokio::spawn({
        let end = end.clone();
        async move { persist(&end, || nowhere.definition("s", 1)).await.is_none() }
    });
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert!(!waiting.is_finished());
    end.cancel();
    assert!(waiting.await.unwrap());
}

#[tokio::test]
async fn an_input_arrives_whole_and_an_output_leaves_whole() {
    let size = 3 * 1024 * 1024 + 17;
    let sent: Bytes = (0..size)
        .map(|at| u8::try_from(at % 251).unwrap())
        .collect::<Vec<u8>>()
        .into();
    let input = sent.clone();
    let received = Arc::new(Mutex::new((Bytes::new(), String::new())));
    let kept = Arc::clone(&received);
    let blobs = move |headers: HeaderMap, body: Body| async move {
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let length = headers["content-length"].to_str().unwrap().to_owned();
        let blob = StagedBlob {
            id: "b".to_owned(),
            size: body.len() as u64,
            etag: String::new(),
        };
        *kept.lock().unwrap() = (body, length);
        axum::Json(blob)
    };
    let routes = Router::new()
        .route(
            "/agent/v1/jobs/s-1/2/input",
            get(move || async move { Answer::new(Body::from(input)) }),
        )
        .route("/agent/v1/jobs/s-1/2/blobs", post(blobs));
    let link = joined(routes).await;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let mut file = tokio::fs::File::create(&path).await.unwrap();
    assert_eq!(link.input(&attempt(), &mut file).await.unwrap(), size);
    assert!(std::fs::read(&path).unwrap() == sent);

    assert_eq!(link.blob(&attempt(), &path, size).await.unwrap().id, "b");
    let received = received.lock().unwrap();
    assert!(received.0 == sent);
    assert_eq!(received.1, size.to_string());
}

#[tokio::test]
async fn links_put_in_the_place_of_an_output_are_not_followed() {
    let link = joined(Router::new()).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
    let error = link.blob(&attempt(), &path, 10).await.unwrap_err();
    assert!(matches!(error, LinkError::Disk { .. }), "{error:?}");
}
