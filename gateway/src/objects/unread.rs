//! Request bodies that are refused before they are read.
//!
//! Closing a connection with unread bytes in it resets it, and the client may then see "connection reset" instead
//! of our answer. So what is left of a refused body is read and dropped, up to a limit, and if that was not
//! all of it, the client is told that the connection will not be used again.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONNECTION, EXPECT};
use axum::http::{HeaderValue, Request, Response};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

/// Bytes of a refused body that are read; a client that has more to say is cut off.
const MOST: usize = 8 * 1024 * 1024;

/// How long that may take.
const LONGEST: Duration = Duration::from_secs(5);

/// A body that can be taken back from whoever gave up reading it.
#[derive(Debug)]
pub(crate) struct Lent(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    body: Body,
    touched: bool,
    broken: bool,
}

/// The other end of a [`Lent`] body.
#[derive(Debug)]
pub(crate) struct Lender {
    body: Arc<Mutex<State>>,
    /// The client waits for "100 Continue", which asking for the body sends.
    waits: bool,
}

/// Lends out the body of a request; `None` for a request without any.
pub(crate) fn lend(request: Request<Body>) -> (Request<Lent>, Option<Lender>) {
    let waits = request
        .headers()
        .get(EXPECT)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    let (head, body) = request.into_parts();
    let empty = body.is_end_stream();
    let body = Arc::new(Mutex::new(State {
        body,
        touched: false,
        broken: false,
    }));
    let lender = Lender {
        body: Arc::clone(&body),
        waits,
    };
    (
        Request::from_parts(head, Lent(body)),
        (!empty).then_some(lender),
    )
}

impl Lender {
    /// Whether the client went away, or sent something that is no body, while it was read.
    pub(super) fn is_broken(&self) -> bool {
        self.body.lock().is_ok_and(|state| state.broken)
    }

    /// Reads the rest of the body, and marks the answer if that does not end it.
    pub(crate) async fn finish<B>(self, mut answer: Response<B>) -> Response<B> {
        let taken = self.body.lock().ok().map(|mut state| {
            (
                std::mem::replace(&mut state.body, Body::empty()),
                state.touched,
            )
        });
        let Some((body, touched)) = taken else {
            return answer;
        };
        if body.is_end_stream() {
            return answer;
        }
        let hopeless = body.size_hint().lower() > MOST as u64 || (self.waits && !touched);
        if hopeless
            || !tokio::time::timeout(LONGEST, drained(body))
                .await
                .unwrap_or(false)
        {
            answer
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }
}

/// Whether the body ended within [`MOST`] bytes.
async fn drained(mut body: Body) -> bool {
    let mut read = 0;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return false };
        read += frame.data_ref().map_or(0, Bytes::len);
        if read > MOST {
            return false;
        }
    }
    true
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Ok(mut state) = self.0.lock() else {
            return Poll::Ready(None);
        };
        state.touched = true;
        let polled = Pin::new(&mut state.body).poll_frame(context);
        state.broken |= matches!(polled, Poll::Ready(Some(Err(_))));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.0
            .lock()
            .map_or(true, |state| state.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.0
            .lock()
            .map_or_else(|_| SizeHint::default(), |state| state.body.size_hint())
    }
}
