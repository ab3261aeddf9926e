//! What is passed on of a script's output: the head as it comes, and a tail at the end.

use std::collections::VecDeque;

use spillway_model::wire::supervisor::Kind;

/// Bytes of output that are kept beyond the limit and sent at the end: the last words are what explains a failure.
pub(crate) const TAIL: usize = 16 * 1024;

/// Divides the output of one invocation into head, dropped and tail.
#[derive(Debug)]
pub(crate) struct Output {
    head_left: u64,
    tail: VecDeque<u8>,
    /// Which stream the bytes in `tail` are of, in order.
    streams: VecDeque<(Kind, usize)>,
    dropped: u64,
}

impl Output {
    /// Passes on `limit` bytes, of both streams together, before it begins to drop.
    pub(crate) fn new(limit: u64) -> Self {
        Self {
            head_left: limit,
            tail: VecDeque::new(),
            streams: VecDeque::new(),
            dropped: 0,
        }
    }

    /// Takes what was read, and gives back the part of it that is to be passed on now.
    pub(crate) fn take<'bytes>(&mut self, stream: Kind, bytes: &'bytes [u8]) -> &'bytes [u8] {
        let head =
            usize::try_from(self.head_left).map_or(bytes.len(), |left| left.min(bytes.len()));
        self.head_left -= head as u64;
        let (head, rest) = bytes.split_at(head);
        if !rest.is_empty() {
            self.keep(stream, rest);
        }
        head
    }

    fn keep(&mut self, stream: Kind, bytes: &[u8]) {
        let skipped = bytes.len().saturating_sub(TAIL);
        self.dropped += skipped as u64;
        let bytes = &bytes[skipped..];
        let over = (self.tail.len() + bytes.len()).saturating_sub(TAIL);
        self.forget(over);
        self.tail.extend(bytes);
        match self.streams.back_mut() {
            Some((last, length)) if *last == stream => *length += bytes.len(),
            _ => self.streams.push_back((stream, bytes.len())),
        }
    }

    fn forget(&mut self, bytes: usize) {
        self.tail.drain(..bytes);
        self.dropped += bytes as u64;
        let mut left = bytes;
        while let Some((_, length)) = self.streams.front_mut() {
            if *length > left {
                *length -= left;
                break;
            }
            left -= *length;
            self.streams.pop_front();
        }
    }

    /// Bytes that were neither passed on nor are in the tail.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The tail, in pieces of one stream each.
    pub(crate) fn tail(&mut self) -> impl Iterator<Item = (Kind, &[u8])> {
        let mut rest: &[u8] = self.tail.make_contiguous();
        self.streams.iter().map(move |(stream, length)| {
            let (piece, after) = rest.split_at(*length);
            rest = after;
            (*stream, piece)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_the_limit_everything_is_head() {
        let mut output = Output::new(10);
        assert_eq!(output.take(Kind::Stdout, b"hello"), b"hello");
        assert_eq!(output.take(Kind::Stderr, b"world"), b"world");
        assert_eq!((output.dropped(), output.tail().count()), (0, 0));
    }

    #[test]
    fn above_the_limit_the_last_bytes_are_kept_with_their_streams() {
        let mut output = Output::new(3);
        assert_eq!(output.take(Kind::Stdout, b"hello"), b"hel");
        assert_eq!(output.take(Kind::Stderr, b"oh"), b"");
        assert_eq!(output.take(Kind::Stdout, b"no"), b"");
        let tail: Vec<_> = output.tail().collect();
        assert_eq!(
            tail,
            [
                (Kind::Stdout, &b"lo"[..]),
                (Kind::Stderr, b"oh"),
                (Kind::Stdout, b"no")
            ]
        );
        assert_eq!(output.dropped(), 0);
    }

    #[test]
    fn every_byte_is_head_or_dropped_or_tail_whatever_the_pieces() {
        for piece in [1, 7, 1000, TAIL - 1, TAIL, TAIL + 1, 64 * 1024] {
            let written: Vec<u8> = (0..200_000_u32)
                .map(|number| number.to_le_bytes()[0] ^ number.to_le_bytes()[1])
                .collect();
            let mut output = Output::new(5_000);
            let mut head = Vec::new();
            for (number, bytes) in written.chunks(piece).enumerate() {
                let stream = if number % 3 == 0 {
                    Kind::Stderr
                } else {
                    Kind::Stdout
                };
                head.extend_from_slice(output.take(stream, bytes));
            }
            let tail: Vec<u8> = output
                .tail()
                .flat_map(|(_, bytes)| bytes.to_vec())
                .collect();
            assert_eq!(head, written[..5_000], "pieces of {piece}");
            assert_eq!(tail, written[written.len() - TAIL..], "pieces of {piece}");
            assert_eq!(
                output.dropped(),
                (written.len() - 5_000 - TAIL) as u64,
                "pieces of {piece}"
            );
        }
    }
}
