//! Uploads in `aws-chunked` encoding, with a bound on their chunks.
//!
//! `s3s` holds a chunk in memory until all of it is there and its signature is checked. So an unsigned chunk that is
//! large (some clients send the whole body as one) is cut into small ones on its way in, and a signed one,
//! which cannot be cut, is refused when it is larger than [`LARGEST_SIGNED`].

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::BoxError;
use axum::body::Body;
use axum::http::Request;
use bytes::{Bytes, BytesMut};
use hyper::body::{Body as HttpBody, Frame, SizeHint};

/// Bytes of a signed chunk at most; clients send 64 KiB to 1 MiB.
const LARGEST_SIGNED: u64 = 16 * 1024 * 1024;

/// Unsigned chunks with more bytes than this are cut.
const LARGEST_UNSIGNED: u64 = 1024 * 1024;

/// Bytes of a chunk's first line that are looked at; `s3s` refuses longer ones.
const LONGEST_LINE: usize = 1024;

/// Part of the message about a chunk that is too large.
pub(super) const TOO_LARGE: &str = "a signed chunk of an upload may have";

/// Header that says how the content is signed.
const CONTENT_SHA256: &str = "x-amz-content-sha256";

/// Bounds the chunks of a request that has any.
pub(super) fn bound(request: Request<Body>) -> Request<Body> {
    let is_chunked = request
        .headers()
        .get(CONTENT_SHA256)
        .is_some_and(|value| value.as_bytes().starts_with(b"STREAMING-"));
    if !is_chunked {
        return request;
    }
    request.map(|body| Body::new(Bounded::new(body)))
}

#[derive(Debug)]
struct Bounded {
    body: Body,
    place: Place,
    ready: VecDeque<Bytes>,
}

/// Where in the encoding we are.
#[derive(Debug)]
enum Place {
    /// In the first line of a chunk, which began with these bytes.
    Line(BytesMut),
    /// So many bytes before the end of a chunk's data.
    Data { left: u64, cut: bool },
    /// So many bytes before the end of the line break behind the data.
    Break { left: u8, cut: bool },
    /// Behind the last chunk, or in something that `s3s` refuses.
    Rest,
}

impl Bounded {
    fn new(body: Body) -> Self {
        Self {
            body,
            place: Place::Line(BytesMut::new()),
            ready: VecDeque::new(),
        }
    }

    fn take(&mut self, mut bytes: Bytes) -> Result<(), BoxError> {
        while !bytes.is_empty() {
            match &mut self.place {
                Place::Line(line) => {
                    let end = bytes.iter().position(|&byte| byte == b'\n');
                    let part = bytes.split_to(end.map_or(bytes.len(), |end| end + 1));
                    line.extend_from_slice(&part);
                    if end.is_some() || line.len() > LONGEST_LINE {
                        let line = std::mem::take(line).freeze();
                        self.begin(line)?;
                    }
                }
                Place::Data { left, cut } => {
                    let length =
                        usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                    let part = bytes.split_to(length);
                    *left -= part.len() as u64;
                    let (is_over, cut) = (*left == 0, *cut);
                    if cut {
                        self.ready.push_back(format!("{:x}\r\n", part.len()).into());
                        self.ready.push_back(part);
                        self.ready.push_back(Bytes::from_static(b"\r\n"));
                    } else {
                        self.ready.push_back(part);
                    }
                    if is_over {
                        self.place = Place::Break { left: 2, cut };
                    }
                }
                Place::Break { left, cut } => {
                    let part = bytes.split_to(bytes.len().min((*left).into()));
                    *left -= u8::try_from(part.len()).unwrap_or(*left);
                    if !*cut {
                        self.ready.push_back(part); // That of a chunk that was cut is written already.
                    } else if part.iter().any(|byte| !matches!(byte, b'\r' | b'\n')) {
                        self.place = Place::Rest;
                        return Err("FormatError: no line break behind a chunk".into());
                    }
                    if *left == 0 {
                        self.place = Place::Line(BytesMut::new());
                    }
                }
                Place::Rest => self.ready.push_back(std::mem::take(&mut bytes)),
            }
        }
        Ok(())
    }

    /// Begins the chunk that this first line announces.
    fn begin(&mut self, line: Bytes) -> Result<(), BoxError> {
        let is_signed = line.contains(&b';');
        match announced(&line) {
            None | Some(0) => {
                self.place = Place::Rest;
                self.ready.push_back(line);
            }
            Some(size) if is_signed && size > LARGEST_SIGNED => {
                self.place = Place::Rest;
                let text = format!(
                    "{TOO_LARGE} {LARGEST_SIGNED} bytes, but one of {size} was announced; let the client send smaller chunks"
                );
                return Err(text.into());
            }
            Some(size) if !is_signed && size > LARGEST_UNSIGNED => {
                self.place = Place::Data {
                    left: size,
                    cut: true,
                };
            }
            Some(size) => {
                self.ready.push_back(line);
                self.place = Place::Data {
                    left: size,
                    cut: false,
                };
            }
        }
        Ok(())
    }
}

/// The size in front of a line, as `s3s` reads it: at most eight hexadecimal digits.
fn announced(line: &[u8]) -> Option<u64> {
    let digits = line
        .iter()
        .take(8)
        .take_while(|byte| byte.is_ascii_hexdigit())
        .count();
    let digits = std::str::from_utf8(line.get(..digits)?).ok()?;
    u64::from_str_radix(digits, 16).ok()
}

impl HttpBody for Bounded {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                Some(Ok(frame)) => frame,
            };
            match frame.into_data() {
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                Ok(bytes) => {
                    if let Err(error) = self.take(bytes) {
                        return Poll::Ready(Some(Err(error)));
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ready.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        // What is cut grows a little; nobody needs more than an order of magnitude.
        let mut hint = SizeHint::new();
        hint.set_lower(self.body.size_hint().lower());
        hint
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    /// What comes out when `text` comes in pieces of `piece` bytes.
    async fn sent(text: &[u8], piece: usize) -> Result<Vec<u8>, String> {
        let pieces: Vec<_> = text
            .chunks(piece)
            .map(|piece| Ok::<_, BoxError>(Bytes::copy_from_slice(piece)))
            .collect();
        let body = Bounded::new(Body::from_stream(futures::stream::iter(pieces)));
        let collected = body.collect().await;
        collected
            .map(|body| body.to_bytes().to_vec())
            .map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn small_chunks_pass_as_they_are_however_they_arrive() {
        let text =
            b"5;chunk-signature=abc\r\nhe\r\no\r\n3\r\nabc\r\n0\r\nx-amz-checksum-crc32:a\r\n\r\n";
        for piece in [1, 2, 3, 7, 100] {
            assert_eq!(sent(text, piece).await.unwrap(), text);
        }
    }

    #[tokio::test]
    async fn a_large_unsigned_chunk_is_cut_and_keeps_its_content() {
        let content = vec![b'x'; 2 * 1024 * 1024];
        let head = format!("{:x}\r\n", content.len()).into_bytes();
        let whole = [&head[..], &content, b"\r\n3\r\nend\r\n0\r\n\r\n"].concat();
        let out = sent(&whole, 100_000).await.unwrap();
        let (mut rest, mut found, mut largest) = (&out[..], 0, 0);
        loop {
            let end = rest.iter().position(|&byte| byte == b'\n').unwrap() + 1;
            let size = usize::try_from(announced(rest).unwrap()).unwrap();
            if size == 0 {
                break;
            }
            assert_eq!(&rest[end + size..end + size + 2], b"\r\n");
            rest = &rest[end + size + 2..];
            found += size;
            largest = largest.max(size);
        }
        assert_eq!(found, content.len() + 3);
        assert!(largest <= 100_000, "{largest}");
        assert_eq!(rest, b"0\r\n\r\n");
    }

    #[tokio::test]
    async fn a_large_signed_chunk_is_refused_before_its_content() {
        let refused = sent(b"1000001;chunk-signature=abc\r\n", 10)
            .await
            .unwrap_err();
        assert!(refused.contains(TOO_LARGE), "{refused}");
        assert!(sent(b"1000000;chunk-signature=abc\r\n", 10).await.is_ok());
    }
}
