//! The log of one attempt: lines with the time they began at, bounded, its head and its tail kept.
//!
//! Format of a line: `2026-01-01T00:00:00.123456789Z text`. Lines of ours begin with `spillway: `.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::ops::Range;

use bytes::Bytes;
use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;

/// Longer lines are broken; a script that writes no line ends must not be kept in memory whole.
const MAX_LINE: usize = 16 * 1024;

/// Mark of lines that the agent adds.
const OURS: &str = "spillway: ";

const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(9));

/// A growing log.
#[derive(Debug)]
pub(crate) struct RunLog {
    limit: usize,
    /// Complete lines from the beginning, up to three quarters of the limit. Only ever appended to.
    head: String,
    /// Whether a line did not fit the head, so that all later ones go to the tail.
    head_full: bool,
    tail: VecDeque<Line>,
    tail_bytes: usize,
    dropped: Option<Dropped>,
    partial: [Partial; 2],
    debug: bool,
}

#[derive(Debug)]
struct Line {
    at: Timestamp,
    text: String,
    /// Bytes of script output in it.
    bytes: u64,
}

#[derive(Debug, Clone, Copy)]
struct Dropped {
    at: Timestamp,
    bytes: u64,
}

/// A line that has not ended.
#[derive(Debug, Default)]
struct Partial {
    began: Option<Timestamp>,
    bytes: Vec<u8>,
}

/// Which lines of ours a log takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// What explains a failure: always.
    Error,
    /// What one may like to know: unless the service's `log_level` is above `INFO`.
    Info,
}

impl RunLog {
    /// A log of at most `limit` bytes, for a service with this `log_level`.
    pub(crate) fn new(limit: usize, log_level: &str) -> Self {
        let debug = !matches!(log_level, "WARNING" | "ERROR" | "CRITICAL");
        Self {
            limit: limit.max(1024),
            head: String::new(),
            head_full: false,
            tail: VecDeque::new(),
            tail_bytes: 0,
            dropped: None,
            partial: [Partial::default(), Partial::default()],
            debug,
        }
    }

    /// Takes a piece of what the script wrote at `now`.
    pub(crate) fn push(&mut self, stderr: bool, mut piece: &[u8], now: Timestamp) {
        let stream = usize::from(stderr);
        while let Some(end) = piece.iter().position(|byte| *byte == b'\n') {
            self.extend(stream, &piece[..end], now);
            self.end_line(stream, now);
            piece = &piece[end + 1..];
        }
        if !piece.is_empty() {
            self.extend(stream, piece, now);
        }
    }

    /// Adds a line of ours.
    pub(crate) fn note(&mut self, level: Level, text: &str, now: Timestamp) {
        if level == Level::Error || self.debug {
            for line in text.lines() {
                self.add(now, format!("{OURS}{line}").as_bytes());
            }
        }
    }

    /// What of the head lies from `offset` on: complete lines, ready to be shown while the run goes on.
    pub(crate) fn live(&self, offset: usize) -> Bytes {
        Bytes::copy_from_slice(self.head.as_bytes().get(offset..).unwrap_or_default())
    }

    /// The whole log. `dropped_before` are bytes that were left out before they came here.
    pub(crate) fn finish(mut self, dropped_before: u64, now: Timestamp) -> String {
        for stream in [0, 1] {
            if self.partial[stream].began.is_some() {
                self.end_line(stream, now);
            }
        }
        if dropped_before > 0 {
            let at = self.tail.front().map_or(now, |line| line.at);
            let dropped = self.dropped.get_or_insert(Dropped { at, bytes: 0 });
            dropped.bytes += dropped_before;
        }
        let mut text = self.head;
        text.reserve_exact(self.tail_bytes + 128);
        if let Some(Dropped { at, bytes }) = self.dropped {
            let limit = self.limit;
            let words = format!(
                "{OURS}{bytes} bytes of output are left out here, a log holds {limit} bytes"
            );
            write_line(&mut text, at, &words);
        }
        for line in self.tail {
            text.push_str(&line.text);
        }
        text
    }

    fn extend(&mut self, stream: usize, mut bytes: &[u8], now: Timestamp) {
        let longest = self.longest_line();
        loop {
            let partial = &mut self.partial[stream];
            partial.began.get_or_insert(now);
            let room = longest - partial.bytes.len();
            if bytes.len() <= room {
                partial.bytes.extend_from_slice(bytes);
                return;
            }
            partial.bytes.extend_from_slice(&bytes[..room]);
            bytes = &bytes[room..];
            // A character that would be cut in two goes to the next line whole.
            let end = complete_characters(&partial.bytes);
            let rest = partial.bytes.split_off(end);
            self.end_line(stream, now);
            self.partial[stream] = Partial {
                began: Some(now),
                bytes: rest,
            };
        }
    }

    fn longest_line(&self) -> usize {
        MAX_LINE.min(self.limit / 8)
    }

    fn end_line(&mut self, stream: usize, now: Timestamp) {
        let mut partial = std::mem::take(&mut self.partial[stream]);
        self.add(partial.began.unwrap_or(now), &partial.bytes);
        // The buffer is kept for the next line.
        partial.bytes.clear();
        self.partial[stream].bytes = partial.bytes;
    }

    fn add(&mut self, at: Timestamp, line: &[u8]) {
        let bytes = line.len() as u64 + 1;
        let text = String::from_utf8_lossy(line);
        let head_limit = self.limit / 4 * 3;
        if !self.head_full {
            if self.head.len() + text.len() + 32 <= head_limit {
                write_line(&mut self.head, at, &text);
                return;
            }
            self.head_full = true;
        }
        let mut line = String::with_capacity(text.len() + 32);
        write_line(&mut line, at, &text);
        self.tail_bytes += line.len();
        self.tail.push_back(Line {
            at,
            text: line,
            bytes,
        });
        while self.tail_bytes > self.limit / 4 && self.tail.len() > 1 {
            let Some(line) = self.tail.pop_front() else {
                break;
            };
            self.tail_bytes -= line.text.len();
            self.dropped
                .get_or_insert(Dropped {
                    at: line.at,
                    bytes: 0,
                })
                .bytes += line.bytes;
        }
    }
}

fn write_line(text: &mut String, at: Timestamp, line: &str) {
    // Writing to a string cannot fail.
    let _ = PRINTER.print_timestamp(&at, &mut *text);
    let _ = writeln!(text, " {line}");
}

/// Length of `bytes` without a character at its end that is not complete.
fn complete_characters(bytes: &[u8]) -> usize {
    let tail: Range<usize> = bytes.len().saturating_sub(3)..bytes.len();
    for at in tail.rev() {
        let needed = match bytes[at] {
            0xC0..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF7 => 4,
            0x80..=0xBF => continue,
            _ => return bytes.len(),
        };
        return if at + needed > bytes.len() {
            at
        } else {
            bytes.len()
        };
    }
    bytes.len()
}

#[cfg(test)]
#[allow(clippy::items_after_statements)] // The helper of a table of cases comes last.
mod tests;
