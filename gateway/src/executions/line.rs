//! One line of the log of executions, written and read back.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

/// What each line begins with.
const MARK: &str = "[GIN-EXECUTIONS-LOGGER]";

/// Longest path and user in a line, in characters.
const LONGEST: usize = 200;

/// A call, as `GET /system/logs` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(crate) struct Execution {
    pub(crate) timestamp: String,
    pub(crate) status: u16,
    pub(crate) latency: String,
    pub(crate) client_ip: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) user: String,
    pub(crate) raw: String,
}

impl Execution {
    /// Of a request that was answered after `latency`.
    pub(crate) fn line(
        status: u16,
        latency: Duration,
        ip: IpAddr,
        method: &str,
        path: &str,
        user: &str,
    ) -> String {
        let (now, latency) = (Timestamp::now(), go_duration(latency));
        let (path, user) = (Plain(path), Plain(user));
        format!("{MARK} {now} | {status:>3} | {latency:>13} | {ip} | {method:<7} {path} | {user}")
    }

    /// Nothing for what is no such line: the file may have been cut off, or touched by others.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut parts = line.strip_prefix(MARK)?.split('|').map(str::trim);
        let mut next = || parts.next().map(str::to_owned);
        let (timestamp, status, latency, client_ip, request, user) =
            (next()?, next()?, next()?, next()?, next()?, next()?);
        let (method, path) = request.split_once(' ')?;
        let path = path.trim_start();
        let is_call = method == "POST" && (path.starts_with("/run") || path.starts_with("/job"));
        is_call.then(|| Self {
            timestamp,
            status: status.parse().unwrap_or(0),
            latency,
            client_ip,
            method: method.to_owned(),
            path: path.to_owned(),
            user,
            raw: line.to_owned(),
        })
    }
}

/// Text that cannot break a line up, and is not too long.
struct Plain<'a>(&'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars().take(LONGEST) {
            let breaks = character.is_control() || character == '|';
            fmt::Write::write_char(out, if breaks { '_' } else { character })?;
        }
        Ok(())
    }
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

    #[test]
    fn a_line_is_read_back_and_nobody_can_forge_another() {
        let ip = IpAddr::from([10, 0, 0, 7]);
        let write = |user: &str| {
            Execution::line(201, Duration::from_millis(5), ip, "POST", "/job/grey", user)
        };
        let line = write("ann@idp");
        let read = Execution::parse(&line).unwrap();
        assert_eq!(
            (read.status, read.latency.as_str(), read.client_ip.as_str()),
            (201, "5ms", "10.0.0.7")
        );
        assert_eq!(
            (read.method.as_str(), read.path.as_str(), read.user.as_str()),
            ("POST", "/job/grey", "ann@idp")
        );
        assert!(read.timestamp.parse::<Timestamp>().is_ok());
        assert_eq!(read.raw, line);

        let line = write(&format!("x | 1\n{}", "y".repeat(1000)));
        assert!(line.lines().count() == 1 && line.chars().count() < 400);
        assert!(Execution::parse(&line).unwrap().user.starts_with("x _ 1_y"));
        assert_eq!(Execution::parse("[GIN-EXECUTIONS-LOGGER] cut o"), None);
    }
}
