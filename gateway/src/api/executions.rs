//! One line in the log for each call of a service, in the reference's form, which log parsers know.

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::{ConnectInfo, Request};
use axum::middleware::Next;
use axum::response::Response;
use jiff::Timestamp;
use tokio::time::Instant;
use tracing::info;

/// Who called, as far as the handler found out; put into the answer's extensions.
#[derive(Debug, Clone)]
pub(super) struct CalledBy(pub(super) String);

/// What stands for a caller who was refused before he was known.
const UNKNOWN: &str = "oscar";

/// Logs the call once it is answered.
pub(super) async fn logged(
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let began = Instant::now();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let answer = next.run(request).await;
    let user = answer
        .extensions()
        .get::<CalledBy>()
        .map_or(UNKNOWN, |caller| &caller.0);
    let (status, latency) = (answer.status().as_u16(), go_duration(began.elapsed()));
    let (now, ip) = (Timestamp::now(), from.ip().to_canonical());
    info!(
        target: "executions",
        "[GIN-EXECUTIONS-LOGGER] {now} | {status:>3} | {latency:>13} | {ip} | {method:<7} {path} | {user}"
    );
    answer
}

/// A duration the way Go prints it, for parsers that read the leading number.
fn go_duration(duration: Duration) -> String {
    let microseconds = duration.as_secs_f64() * 1e6;
    let (number, unit) = match microseconds {
        small if small < 1e3 => (small, "µs"),
        middle if middle < 1e6 => (middle / 1e3, "ms"),
        large => (large / 1e6, "s"),
    };
    let text = format!("{number:.6}");
    format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
#[allow(clippy::items_after_statements)] // The check of a table stands below it.
mod tests {
    use super::*;

    #[test]
    fn durations_look_like_those_of_go() {
        check(Duration::from_micros(250), "250µs");
        check(Duration::from_micros(12_300), "12.3ms");
        check(Duration::from_millis(1200), "1.2s");
        check(Duration::ZERO, "0µs");

        #[track_caller]
        fn check(duration: Duration, expected: &str) {
            assert_eq!(go_duration(duration), expected);
        }
    }
}
