//! The bytes of an object on their way in.

use std::fmt;
use std::io;
use std::path::Path;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use futures::future::FutureExt;
use futures::stream::{self, BoxStream, StreamExt};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt};

/// A stream of pieces, each small against memory.
pub type ByteStream = BoxStream<'static, io::Result<Bytes>>;

/// Bytes read at once from a file.
const PIECE: usize = 256 * 1024;

/// What to write.
pub struct Content {
    pub(crate) bytes: ByteStream,
    pub(crate) size: Option<u64>,
    pub(crate) media_type: Option<String>,
}

impl Content {
    /// A stream; `size` in bytes when it is known beforehand.
    pub fn new(bytes: ByteStream, size: Option<u64>) -> Self {
        Self {
            bytes,
            size,
            media_type: None,
        }
    }

    /// Bytes at hand.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let size = bytes.len() as u64;
        Self::new(stream::once(async { Ok(bytes) }).boxed(), Some(size))
    }

    /// A file, read as the provider takes it.
    pub async fn from_file(path: &Path) -> io::Result<Self> {
        let file = File::open(path).await?;
        let size = file.metadata().await?.len();
        Ok(Self::new(pieces(file), Some(size)))
    }

    /// Anything readable whose length is not known, such as standard input.
    pub fn from_reader(reader: impl AsyncRead + Send + Unpin + 'static) -> Self {
        Self::new(pieces(reader), None)
    }

    /// Ends the content with the error that `stop` gives, as soon as it does.
    #[must_use]
    pub fn until(mut self, stop: impl Future<Output = io::Error> + Send + 'static) -> Self {
        let mut stop = Box::pin(stop.fuse());
        let mut bytes = self.bytes.fuse();
        self.bytes = stream::poll_fn(move |context| match stop.poll_unpin(context) {
            Poll::Ready(error) => Poll::Ready(Some(Err(error))),
            Poll::Pending => bytes.poll_next_unpin(context),
        })
        .boxed();
        self
    }

    /// Says what the bytes are, such as `image/png`.
    #[must_use]
    pub fn with_content_type(mut self, content_type: impl Into<String>) -> Self {
        self.media_type = Some(content_type.into());
        self
    }

    /// Bytes in all, when known.
    pub fn size(&self) -> Option<u64> {
        self.size
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

fn pieces(reader: impl AsyncRead + Send + Unpin + 'static) -> ByteStream {
    stream::try_unfold(reader, |mut reader| async move {
        let mut piece = BytesMut::with_capacity(PIECE);
        let read = reader.read_buf(&mut piece).await?;
        Ok((read > 0).then(|| (piece.freeze(), reader)))
    })
    .boxed()
}
