//! The agent's connection: frames in, frames out, and nothing that blocks.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use serde::Serialize;
use spillway_model::wire::supervisor::{Invocation, Kind, MAX_FRAME};

/// Bytes that may wait to be sent before the script's output is left in its pipes, and the script waits in turn.
const WAITING: usize = 256 * 1024;

/// Buffers larger than this are given back to the system after use.
const KEPT: usize = 16 * 1024;

/// Length and kind, in front of every frame.
const HEADER: usize = 5;

/// What the agent asks for.
#[derive(Debug)]
pub(crate) enum Request {
    Run(Box<Invocation>),
    Kill,
}

/// Why a connection is of no use any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Lost {
    #[error("the agent closed the connection")]
    Closed,
    #[error("the connection broke")]
    Broken(#[source] io::Error),
    #[error("the agent broke the protocol: {0}")]
    Protocol(String),
}

/// One agent's connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: UnixStream,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    /// How much of `outgoing` is already away.
    sent: usize,
}

impl Connection {
    pub(crate) fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            incoming: Vec::new(),
            outgoing: Vec::new(),
            sent: 0,
        })
    }

    /// Whether something waits for the agent to read.
    pub(crate) fn is_behind(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Whether more output may be sent.
    pub(crate) fn has_room(&self) -> bool {
        self.outgoing.len() - self.sent < WAITING
    }

    /// Reads what is there, once.
    pub(crate) fn receive(&mut self, scratch: &mut [u8]) -> Result<(), Lost> {
        match self.stream.read(scratch) {
            Ok(0) => Err(Lost::Closed),
            Ok(length) => {
                self.incoming.extend_from_slice(&scratch[..length]);
                Ok(())
            }
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
            {
                Ok(())
            }
            Err(error) => Err(Lost::Broken(error)),
        }
    }

    /// The next whole request, if it has arrived.
    pub(crate) fn next_request(&mut self) -> Result<Option<Request>, Lost> {
        let Some(length) = self.incoming.first_chunk::<4>() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*length) as usize;
        if length == 0 || length > MAX_FRAME {
            return Err(Lost::Protocol(format!(
                "a frame of {length} bytes, allowed are 1 to {MAX_FRAME}"
            )));
        }
        let Some(body) = self.incoming.get(4..4 + length) else {
            return Ok(None);
        };
        let request = match Kind::from_byte(body[0]) {
            Some(Kind::Run) => match serde_json::from_slice(&body[1..]) {
                Ok(invocation) => Request::Run(Box::new(invocation)),
                Err(error) => {
                    return Err(Lost::Protocol(format!(
                        "an invocation that cannot be read: {error}"
                    )));
                }
            },
            Some(Kind::Kill) => Request::Kill,
            _ => {
                return Err(Lost::Protocol(format!(
                    "a frame of kind {}, expected Run (2) or Kill (3)",
                    body[0]
                )));
            }
        };
        self.incoming.drain(..4 + length);
        shrink(&mut self.incoming);
        Ok(Some(request))
    }

    /// Sends a control frame.
    pub(crate) fn send_message(
        &mut self,
        kind: Kind,
        message: &impl Serialize,
    ) -> Result<(), Lost> {
        // One buffer for header and text, so that a small message is one write.
        let mut frame = Vec::with_capacity(512);
        frame.extend_from_slice(&[0; HEADER]);
        serde_json::to_writer(&mut frame, message).map_err(|error| Lost::Broken(error.into()))?;
        let header = header(kind, frame.len() - HEADER);
        frame[..HEADER].copy_from_slice(&header);
        self.send(&frame, &[])
    }

    /// Sends a piece of output.
    pub(crate) fn send_output(&mut self, stream: Kind, bytes: &[u8]) -> Result<(), Lost> {
        if bytes.is_empty() {
            Ok(())
        } else {
            self.send(&header(stream, bytes.len()), bytes)
        }
    }

    /// Sends at once what the socket takes and keeps the rest for [`Connection::flush`].
    fn send(&mut self, first: &[u8], second: &[u8]) -> Result<(), Lost> {
        let mut done = 0;
        if self.outgoing.is_empty() {
            match self
                .stream
                .write_vectored(&[IoSlice::new(first), IoSlice::new(second)])
            {
                Ok(length) => done = length,
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(error) => return Err(Lost::Broken(error)),
            }
        }
        let from_first = done.min(first.len());
        self.outgoing.extend_from_slice(&first[from_first..]);
        self.outgoing
            .extend_from_slice(&second[done - from_first..]);
        Ok(())
    }

    /// Sends on what waits, as far as the socket takes it.
    pub(crate) fn flush(&mut self) -> Result<(), Lost> {
        match self.stream.write(&self.outgoing[self.sent..]) {
            Ok(length) => self.sent += length,
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(Lost::Broken(error)),
        }
        if self.sent == self.outgoing.len() {
            self.outgoing.clear();
            self.sent = 0;
            shrink(&mut self.outgoing);
        } else if self.sent >= WAITING {
            // A slow reader and a quick script: without this the buffer would never be empty, and would grow.
            self.outgoing.drain(..self.sent);
            self.sent = 0;
        }
        Ok(())
    }
}

fn header(kind: Kind, payload: usize) -> [u8; HEADER] {
    // PANIC: nothing that is sent comes near 4 GiB.
    #[allow(clippy::expect_used)]
    let length = u32::try_from(payload + 1)
        .expect("frames are far smaller than 4 GiB")
        .to_le_bytes();
    [length[0], length[1], length[2], length[3], kind as u8]
}

fn shrink(buffer: &mut Vec<u8>) {
    if buffer.is_empty() && buffer.capacity() > KEPT {
        *buffer = Vec::new();
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
