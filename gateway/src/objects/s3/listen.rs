//! `ListenNotification` of `MinIO`'s clients: a stream of events, a line of JSON each.
//!
//! `GET /bucket?events=…&prefix=…&suffix=…` (or `/?events=…` for all buckets) never ends by itself. Blanks in between
//! show that the connection lives. A client that does not keep up is sent away.

use std::time::Duration;

use axum::http::header::CONTENT_TYPE;
use axum::http::{Extensions, HeaderMap, HeaderValue, Method, Uri};
use bytes::Bytes;
use http_body_util::StreamBody;
use hyper::body::Frame;
use percent_encoding::percent_decode_str;
use s3s::route::S3Route;
use s3s::{Body, S3Error, S3ErrorCode, S3Request, S3Response, S3Result};
use spillway_model::event::Created;

use super::access::Access;
use crate::objects::effects::listens;
use crate::objects::hub::{LISTENERS, Listener};
use crate::queue::{CreatedObject, Queue};

/// Time between two blanks.
const ALIVE: Duration = Duration::from_secs(5);

/// Bytes of all filters together at most.
const FILTERS: usize = 8 * 1024;

/// Answers what `s3s` does not route.
#[derive(Debug)]
pub(in crate::objects) struct Listen {
    pub(in crate::objects) access: Access,
    pub(in crate::objects) queue: Queue,
    pub(in crate::objects) region: String,
}

/// What a listener wants to hear.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wish {
    /// Absent: all of them.
    bucket: Option<String>,
    prefix: String,
    suffix: String,
    /// Commas between them.
    events: String,
}

impl Wish {
    /// Reads it out of a URL; nothing when it is for somebody else.
    fn read(uri: &Uri) -> Option<Self> {
        let query = uri.query()?;
        if !query.split('&').any(|pair| pair.starts_with("events=")) {
            return None;
        }
        let decode = |text: &str| {
            let text = text.replace('+', " ");
            percent_decode_str(&text).decode_utf8_lossy().into_owned()
        };
        let path = uri.path().trim_start_matches('/').trim_end_matches('/');
        if path.contains('/') {
            return None;
        }
        let mut wish = Self {
            bucket: (!path.is_empty()).then(|| decode(path)),
            ..Self::default()
        };
        let mut events = Vec::new();
        for pair in query.split('&') {
            match pair.split_once('=').unwrap_or((pair, "")) {
                ("events", event) => events.push(decode(event)),
                ("prefix", prefix) => wish.prefix = decode(prefix),
                ("suffix", suffix) => wish.suffix = decode(suffix),
                _ => (),
            }
        }
        wish.events = events.join(",");
        Some(wish)
    }

    fn means(&self, event: &CreatedObject) -> bool {
        self.bucket
            .as_ref()
            .is_none_or(|bucket| *bucket == event.bucket)
            && event.key.starts_with(&self.prefix)
            && event.key.ends_with(&self.suffix)
            && listens(&self.events, event.event)
    }
}

#[async_trait::async_trait]
impl S3Route for Listen {
    fn is_match(&self, method: &Method, uri: &Uri, _: &HeaderMap, _: &mut Extensions) -> bool {
        method == Method::GET && Wish::read(uri).is_some()
    }

    async fn check_access(&self, request: &mut S3Request<Body>) -> S3Result<()> {
        let bucket = Wish::read(&request.uri).and_then(|wish| wish.bucket);
        let key = request
            .credentials
            .as_ref()
            .map(|credentials| credentials.access_key.as_str());
        self.access.may_listen(key, bucket.as_deref()).await
    }

    async fn call(&self, request: S3Request<Body>) -> S3Result<S3Response<Body>> {
        let wish = Wish::read(&request.uri).unwrap_or_default();
        if wish.prefix.len() + wish.suffix.len() + wish.events.len() > FILTERS {
            return Err(super::request::invalid("the filters are too long"));
        }
        let Some(listener) = self.queue.hub().listen() else {
            let text = format!("{LISTENERS} listen already, which is the limit; try again later");
            return Err(S3Error::with_message(S3ErrorCode::SlowDown, text));
        };
        let state = (listener, wish, self.region.clone(), true);
        let lines =
            futures::stream::unfold(state, |(mut listener, wish, region, first)| async move {
                // The first blank sends the head of the answer, so that the client knows that it is heard.
                let line = if first {
                    Bytes::from_static(b" ")
                } else {
                    next(&mut listener, &wish, &region).await?
                };
                let frame = Ok::<_, std::convert::Infallible>(Frame::data(line));
                Some((frame, (listener, wish, region, false)))
            });
        let mut answer = S3Response::new(Body::http_body_unsync(StreamBody::new(lines)));
        answer
            .headers
            .insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        Ok(answer)
    }
}

/// The next event that is meant, or a blank.
async fn next(listener: &mut Listener, wish: &Wish, region: &str) -> Option<Bytes> {
    let meant = async {
        loop {
            let event = listener.next().await?;
            if wish.means(&event) {
                return Some(Bytes::from(line(&event, region)));
            }
        }
    };
    tokio::time::timeout(ALIVE, meant)
        .await
        .unwrap_or(Some(Bytes::from_static(b" ")))
}

fn line(event: &CreatedObject, region: &str) -> String {
    let record = Created {
        event: event.event,
        bucket: &event.bucket,
        key: &event.key,
        size: event.size,
        etag: &event.etag,
        content_type: &event.content_type,
        principal: &event.principal,
        region,
        source_ip: &event.source_ip,
        user_agent: &event.user_agent,
        endpoint: "",
        time: event.time,
    };
    format!("{}\n", record.to_json())
}

#[cfg(test)]
#[allow(clippy::items_after_statements)] // The check of a table stands below it.
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_read_from_the_url_of_minios_clients() {
        let wish = Wish {
            bucket: Some("b".to_owned()),
            prefix: "in/a b".to_owned(),
            suffix: ".txt".to_owned(),
            events: "s3:ObjectCreated:*,s3:ObjectRemoved:*".to_owned(),
        };
        let url = "/b/?events=s3%3AObjectCreated%3A%2A&events=s3:ObjectRemoved:*&ping=10&prefix=in%2Fa+b&suffix=.txt";
        check(url, Some(&wish));
        check(
            "/?events=x",
            Some(&Wish {
                events: "x".to_owned(),
                ..Wish::default()
            }),
        );
        check("/b/key?events=x", None);
        check("/b?list-type=2", None);
        check("/b", None);

        #[track_caller]
        fn check(url: &str, expected: Option<&Wish>) {
            let read = Wish::read(&url.parse().unwrap());
            assert_eq!(read.as_ref(), expected, "{url}");
        }
    }
}
