//! The socket between the runtime and the supervisor of one container: frames in, frames out.

use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use serde::de::DeserializeOwned;
use spillway_model::wire::supervisor::{Exited, Hello, Kind, MAX_FRAME, PROTOCOL};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::Output;

/// A supervisor that runs says Hello within this time of being connected.
const HELLO: Duration = Duration::from_secs(5);

/// A frame that the supervisor does not take within this time will never be taken.
const SEND: Duration = Duration::from_secs(30);

/// Longer paths do not fit `sockaddr_un` (108 bytes with the closing zero).
const LONGEST_SOCKET_PATH: usize = 100;

/// First room for incoming frames, in bytes; grows up to one frame where the script writes much.
const BUFFER: usize = 8 * 1024;

/// A connection to a supervisor that has said Hello.
#[derive(Debug)]
pub(crate) struct Channel {
    stream: UnixStream,
    buffer: BytesMut,
}

/// What a supervisor says.
#[derive(Debug)]
pub(crate) enum Frame {
    Started,
    Output(Output),
    Exited(Exited),
}

/// Why a connection is of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChannelError {
    #[error("connecting to the supervisor")]
    Connect(#[source] io::Error),
    #[error("talking to the supervisor")]
    Broken(#[source] io::Error),
    #[error("the supervisor closed the connection")]
    Closed,
    #[error("the supervisor does not answer")]
    Silent,
    #[error("the supervisor speaks protocol {0}, this agent {PROTOCOL}")]
    Protocol(u32),
    #[error("the supervisor sent a frame that makes no sense: {0}")]
    Nonsense(String),
}

impl Channel {
    /// Connects and waits for the Hello.
    pub(crate) async fn open(socket: &Path) -> Result<(Self, Hello), ChannelError> {
        let stream = connect(socket).await.map_err(ChannelError::Connect)?;
        let mut channel = Self {
            stream,
            buffer: BytesMut::with_capacity(BUFFER),
        };
        let (kind, body) = timeout(HELLO, channel.frame())
            .await
            .map_err(|_| ChannelError::Silent)??;
        if kind != Kind::Hello {
            return Err(ChannelError::Nonsense(format!("{kind:?} instead of Hello")));
        }
        let hello: Hello = parse(&body)?;
        if hello.protocol != PROTOCOL {
            return Err(ChannelError::Protocol(hello.protocol));
        }
        Ok((channel, hello))
    }

    /// Process id of the supervisor as this process sees it; absent when it is in a PID namespace that is not ours
    /// or below ours.
    pub(crate) fn peer_pid(&self) -> Option<i32> {
        self.stream.peer_cred().ok()?.pid().filter(|pid| *pid > 0)
    }

    /// Whether the connection still stands and nothing unasked has come in.
    pub(crate) fn is_quiet(&self) -> bool {
        let mut byte = [0; 1];
        self.buffer.is_empty()
            && matches!(self.stream.try_read(&mut byte), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Sends one control frame.
    pub(crate) async fn send(&mut self, kind: Kind, payload: &[u8]) -> Result<(), ChannelError> {
        let length = payload.len() + 1;
        let header = u32::try_from(length)
            .ok()
            .filter(|_| length <= MAX_FRAME)
            .ok_or_else(|| {
                ChannelError::Nonsense(format!(
                    "{length} bytes of invocation are more than the {MAX_FRAME} of a frame"
                ))
            })?;
        let mut frame = Vec::with_capacity(4 + length);
        frame.extend_from_slice(&header.to_le_bytes());
        frame.push(kind as u8);
        frame.extend_from_slice(payload);
        timeout(SEND, self.stream.write_all(&frame))
            .await
            .map_err(|_| ChannelError::Silent)?
            .map_err(ChannelError::Broken)
    }

    /// The next frame. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Result<Frame, ChannelError> {
        let (kind, body) = self.frame().await?;
        match kind {
            Kind::Started => Ok(Frame::Started),
            Kind::Stdout => Ok(Frame::Output(Output {
                stderr: false,
                bytes: body,
            })),
            Kind::Stderr => Ok(Frame::Output(Output {
                stderr: true,
                bytes: body,
            })),
            Kind::Exited => Ok(Frame::Exited(parse(&body)?)),
            Kind::Hello | Kind::Run | Kind::Kill => {
                Err(ChannelError::Nonsense(format!("an unasked {kind:?}")))
            }
        }
    }

    async fn frame(&mut self) -> Result<(Kind, Bytes), ChannelError> {
        loop {
            if let Some(frame) = take_frame(&mut self.buffer)? {
                return Ok(frame);
            }
            let read = self
                .stream
                .read_buf(&mut self.buffer)
                .await
                .map_err(ChannelError::Broken)?;
            if read == 0 {
                return Err(ChannelError::Closed);
            }
        }
    }
}

/// Connects by way of the folder's descriptor where the path is too long for a socket address.
async fn connect(socket: &Path) -> io::Result<UnixStream> {
    if socket.as_os_str().len() <= LONGEST_SOCKET_PATH {
        return UnixStream::connect(socket).await;
    }
    let (Some(folder), Some(name)) = (socket.parent(), socket.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let folder = std::fs::File::open(folder)?;
    UnixStream::connect(
        Path::new("/proc/self/fd")
            .join(folder.as_raw_fd().to_string())
            .join(name),
    )
    .await
}

/// Cuts the first frame off the buffer, if it is complete.
fn take_frame(buffer: &mut BytesMut) -> Result<Option<(Kind, Bytes)>, ChannelError> {
    let Some(header) = buffer.first_chunk::<4>() else {
        return Ok(None);
    };
    let length = u32::from_le_bytes(*header) as usize;
    if length == 0 || length > MAX_FRAME {
        return Err(ChannelError::Nonsense(format!(
            "a length of {length} bytes"
        )));
    }
    if buffer.len() < 4 + length {
        buffer.reserve(4 + length - buffer.len());
        return Ok(None);
    }
    let mut frame = buffer.split_to(4 + length).freeze();
    let kind = Kind::from_byte(frame[4])
        .ok_or_else(|| ChannelError::Nonsense(format!("kind {}", frame[4])))?;
    frame.advance(5);
    Ok(Some((kind, frame)))
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ChannelError> {
    serde_json::from_slice(body).map_err(|error| ChannelError::Nonsense(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_taken_only_when_it_is_complete() {
        let mut buffer = BytesMut::from(&[3, 0, 0, 0, Kind::Stdout as u8, b'h'][..]);
        assert!(take_frame(&mut buffer).unwrap().is_none());
        buffer.extend_from_slice(b"i\x01\x00");
        let (kind, body) = take_frame(&mut buffer).unwrap().unwrap();
        assert_eq!((kind, &body[..]), (Kind::Stdout, &b"hi"[..]));
        assert_eq!(&buffer[..], &[1, 0]);
    }

    #[test]
    fn lengths_and_kinds_that_make_no_sense_are_refused() {
        assert!(take_frame(&mut BytesMut::from(&[0, 0, 0, 0][..])).is_err());
        assert!(take_frame(&mut BytesMut::from(&[255, 255, 255, 255][..])).is_err());
        assert!(take_frame(&mut BytesMut::from(&[1, 0, 0, 0, 99][..])).is_err());
    }

    #[tokio::test]
    async fn a_socket_below_a_very_long_path_is_reached() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("a".repeat(90)).join("b".repeat(90));
        std::fs::create_dir_all(&deep).unwrap();
        let fd = std::fs::File::open(&deep).unwrap();
        let near = Path::new("/proc/self/fd")
            .join(fd.as_raw_fd().to_string())
            .join("s");
        let _listener = tokio::net::UnixListener::bind(near).unwrap();
        connect(&deep.join("s")).await.unwrap();
    }
}
