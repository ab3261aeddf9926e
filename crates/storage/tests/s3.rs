//! The S3 client against a small server that keeps objects in memory and can be told to be in trouble.
#![allow(clippy::unwrap_used)] // In helpers of tests, too.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures::TryStreamExt;
use spillway_storage::{Content, ObjectPath, S3Settings, S3Storage, Storage, Why};
use tokio::net::TcpListener;

#[derive(Debug, Default)]
struct Server {
    objects: BTreeMap<String, Vec<u8>>,
    parts: BTreeMap<u32, Vec<u8>>,
    /// Answers to give before any other.
    troubles: Vec<StatusCode>,
    requests: Vec<String>,
}

async fn serve(
    State(server): State<Arc<Mutex<Server>>>,
    method: Method,
    uri: Uri,
    body: Bytes,
) -> Response {
    let mut server = server.lock().unwrap();
    server.requests.push(format!("{method} {uri}"));
    if let Some(status) = server.troubles.pop() {
        return status.into_response();
    }
    let (path, query) = (
        uri.path().to_owned(),
        uri.query().unwrap_or_default().to_owned(),
    );
    let number = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("partNumber="));
    match (&method, number) {
        (&Method::PUT, Some(number)) => {
            server.parts.insert(number.parse().unwrap(), body.to_vec());
            [("etag", "\"part\"")].into_response()
        }
        (&Method::PUT, None) => {
            server.objects.insert(path, body.to_vec());
            [("etag", "\"whole\"")].into_response()
        }
        (&Method::POST, _) if query.contains("uploads") => {
            "<InitiateMultipartUploadResult><UploadId>one</UploadId></InitiateMultipartUploadResult>".into_response()
        }
        (&Method::POST, _) => {
            let whole = std::mem::take(&mut server.parts).into_values().flatten().collect();
            server.objects.insert(path, whole);
            "<CompleteMultipartUploadResult><ETag>\"whole-2\"</ETag></CompleteMultipartUploadResult>".into_response()
        }
        (&Method::DELETE, _) if query.contains("uploadId") => {
            server.parts.clear();
            StatusCode::NO_CONTENT.into_response()
        }
        (&Method::GET | &Method::HEAD, _) => match server.objects.get(&path) {
            Some(content) => content.clone().into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        },
        _ => StatusCode::NO_CONTENT.into_response(),
    }
}

async fn start() -> (Arc<Mutex<Server>>, S3Storage) {
    let server = Arc::new(Mutex::new(Server::default()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let store = client(&format!("http://{}", listener.local_addr().unwrap()));
    let router = Router::new()
        .fallback(serve)
        .layer(axum::extract::DefaultBodyLimit::disable())
        .with_state(Arc::clone(&server));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (server, store)
}

fn client(endpoint: &str) -> S3Storage {
    // Each test may be the first one of the process, or the only one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    S3Storage::new(S3Settings {
        endpoint: endpoint.into(),
        region: "us-east-1".into(),
        access_key: "key".into(),
        secret_key: "secret".into(),
        verify: true,
    })
    .unwrap()
}

async fn read(store: &S3Storage, path: &ObjectPath) -> Vec<u8> {
    let pieces: Vec<Bytes> = store
        .get(path)
        .await
        .unwrap()
        .bytes
        .try_collect()
        .await
        .unwrap();
    pieces.concat()
}

#[tokio::test]
async fn small_objects_go_in_one_request_and_come_back_as_they_were() {
    let (server, store) = start().await;
    let path = ObjectPath::new("vision", "in/grün blatt+1.png");
    for content in [&b""[..], b"leaf"] {
        store
            .put(&path, Content::from_bytes(content), &|_| ())
            .await
            .unwrap();
        assert_eq!(read(&store, &path).await, content);
    }
    let puts = server
        .lock()
        .unwrap()
        .requests
        .iter()
        .filter(|request| request.starts_with("PUT /vision/in/"))
        .count();
    assert_eq!(puts, 2);
}

#[tokio::test]
async fn large_objects_go_in_parts_and_progress_counts_every_byte() {
    let (server, store) = start().await;
    let path = ObjectPath::new("vision", "large.bin");
    let content: Vec<u8> = (0..20_000_000_u32).map(|i| i.to_le_bytes()[1]).collect();
    let moved = std::sync::atomic::AtomicU64::new(0);
    let reader = std::io::Cursor::new(content.clone());
    let progress = |bytes| {
        moved.fetch_add(bytes, std::sync::atomic::Ordering::Relaxed);
    };
    store
        .put(&path, Content::from_reader(reader), &progress)
        .await
        .unwrap();
    assert_eq!(moved.into_inner(), 20_000_000);
    assert!(read(&store, &path).await == content);
    assert!(
        server
            .lock()
            .unwrap()
            .requests
            .iter()
            .any(|request| request.contains("uploadId=one"))
    );
}

#[tokio::test]
async fn an_upload_whose_source_breaks_leaves_nothing_behind() {
    let (server, store) = start().await;
    let path = ObjectPath::new("vision", "large.bin");
    let pieces = (0..40).map(|i| match i {
        39 => Err(std::io::Error::other("the card is gone")),
        _ => Ok(Bytes::from(vec![0; 1 << 20])),
    });
    let content = Content::new(Box::pin(futures::stream::iter(pieces)), None);
    let error = store.put(&path, content, &|_| ()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "reading what was to be written to vision/large.bin"
    );
    let server = server.lock().unwrap();
    assert!(
        server.objects.is_empty() && server.parts.is_empty(),
        "{:?}",
        server.requests
    );
}

#[tokio::test]
async fn trouble_that_passes_is_outlived_and_the_rest_is_told_by_kind() {
    let (server, store) = start().await;
    let path = ObjectPath::new("vision", "leaf.png");
    server.lock().unwrap().troubles = vec![StatusCode::SERVICE_UNAVAILABLE; 2];
    store
        .put(&path, Content::from_bytes("leaf"), &|_| ())
        .await
        .unwrap();

    server.lock().unwrap().troubles = vec![StatusCode::FORBIDDEN];
    let error = store
        .put(&path, Content::from_bytes("leaf"), &|_| ())
        .await
        .unwrap_err();
    assert_eq!(error.why(), Some(Why::Denied), "{error}");

    let error = store
        .get(&ObjectPath::new("vision", "nothing"))
        .await
        .unwrap_err();
    assert_eq!(error.why(), Some(Why::NotFound), "{error}");
    assert_eq!(
        store
            .head(&ObjectPath::new("vision", "nothing"))
            .await
            .unwrap(),
        None
    );
}

#[tokio::test]
async fn a_store_that_is_not_there_is_told_as_such() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let store = client(&format!("http://127.0.0.1:{port}"));
    let error = store
        .head(&ObjectPath::new("vision", "leaf.png"))
        .await
        .unwrap_err();
    assert_eq!(error.why(), Some(Why::Unreachable), "{error}");
}

#[tokio::test]
async fn keys_arrive_as_they_are_and_those_that_cannot_are_refused() {
    let (server, store) = start().await;
    for key in [" leaf", "leaf ", "a//b", "/a", "a b/ü+%.png", "folder/"] {
        let path = ObjectPath::new("vision", key);
        store
            .put(&path, Content::from_bytes(key), &|_| ())
            .await
            .unwrap();
        assert_eq!(read(&store, &path).await, key.as_bytes(), "for {key:?}");
    }
    let stored = server
        .lock()
        .unwrap()
        .objects
        .keys()
        .cloned()
        .collect::<Vec<_>>();
    assert!(stored.contains(&"/vision/a//b".to_owned()), "{stored:?}");
    assert!(stored.contains(&"/vision/%20leaf".to_owned()), "{stored:?}");
    assert!(stored.contains(&"/vision//a".to_owned()), "{stored:?}");
    for key in ["", "a/../b", "./a", ".."] {
        let error = store
            .head(&ObjectPath::new("vision", key))
            .await
            .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with(&format!("the key {key:?} cannot be used")),
            "{error}"
        );
    }
}
