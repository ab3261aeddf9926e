//! Accepts connections and serves a router on them until told to stop.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::{Service, ServiceExt as _};
use tracing::{debug, warn};

use crate::tls::accept as accept_tls;

/// How long a client may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_mins(1);

/// Pause after a failed accept: out of file descriptors, most likely, and soon to end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Requests at the same time on one connection of HTTP/2.
const STREAMS: u32 = 128;

/// A client of HTTP/2 that says nothing for so long is asked whether it is there, and how long it may think about it.
const STILL_THERE: (Duration, Duration) = (Duration::from_mins(1), Duration::from_secs(20));

/// Where connections live and how they end.
#[derive(Debug, Clone)]
pub(crate) struct Lifetime {
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
}

/// What a port serves.
pub(crate) trait Served:
    Service<Request<Body>, Response = Response<Body>, Error = Infallible>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> Served for S where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// A port: where it listens, how many connections it takes at once, and its certificate if it speaks TLS.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) listener: TcpListener,
    pub(crate) connections: usize,
    pub(crate) tls: Option<Arc<ServerConfig>>,
}

/// Serves `service` on `port`; returns when told to stop. Connections in progress are finished in `lifetime.tasks`.
pub(crate) async fn serve<S>(port: Port, service: S, lifetime: Lifetime)
where
    S: Served<Future: Send>,
{
    let Port {
        listener,
        connections,
        tls,
    } = port;
    let room = Arc::new(Semaphore::new(connections));
    loop {
        let accepted = tokio::select! {
            () = lifetime.stop.cancelled() => return,
            accepted = accept(&listener, &room) => accepted,
        };
        match accepted {
            Ok((socket, peer, permit)) => {
                // Without this a small answer in two pieces waits 40 ms for an acknowledgement.
                if let Err(error) = socket.set_nodelay(true) {
                    debug!(%error, "switching Nagle's algorithm off");
                }
                let service = service.clone();
                let (stop, tls) = (lifetime.stop.clone(), tls.clone());
                lifetime.tasks.spawn(async move {
                    match tls {
                        None => connection(socket, peer, service, stop).await,
                        Some(tls) => secured(socket, tls, peer, service, stop).await,
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                warn!(%error, "accepting a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(room)
        .acquire_owned()
        .await
        .map_err(std::io::Error::other)?;
    let (socket, peer) = listener.accept().await?;
    Ok((socket, peer, permit))
}

/// The same behind a handshake.
async fn secured<S>(
    socket: TcpStream,
    tls: Arc<ServerConfig>,
    peer: SocketAddr,
    service: S,
    stop: CancellationToken,
) where
    S: Served<Future: Send>,
{
    let shaken = tokio::select! {
        () = stop.cancelled() => return,
        shaken = accept_tls(tls, socket) => shaken,
    };
    match shaken {
        Ok(stream) => Box::pin(connection(stream, peer, service, stop)).await,
        Err(error) => debug!(%peer, %error, "no handshake"),
    }
}

async fn connection<S>(
    socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
    service: S,
    stop: CancellationToken,
) where
    S: Served<Future: Send>,
{
    let service = service.map_request(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        request
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .keep_alive_interval(STILL_THERE.0)
        .keep_alive_timeout(STILL_THERE.1);
    let mut connection =
        pin!(builder.serve_connection_with_upgrades(
            TokioIo::new(socket),
            TowerToHyperService::new(service)
        ));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%peer, %error, "a connection ended early");
    }
}
