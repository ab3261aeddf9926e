//! Spans of time as they are written in the `edge` block: `250ms`, `5s`, `1m30s`, `2h`.

use std::time::Duration;

/// The longest span that is accepted: a year. Longer ones are slips of the pen and overflow clocks.
pub const LONGEST: Duration = Duration::from_hours(366 * 24);

/// Why a text is no span of time. The text of the error is for the user and names the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Nothing but blanks.
    #[error("a duration is missing; expected one such as \"5s\" or \"1m30s\"")]
    Missing,
    /// Does not begin with a number.
    #[error("{0:?} is no duration; expected one such as \"5s\" or \"1m30s\"")]
    NoNumber(String),
    /// A number with nothing after it.
    #[error("{0:?} has no unit; write \"{number}s\" for seconds, or use ms, m, h", number = .0.trim())]
    UnitMissing(String),
    /// A number and then something unknown.
    #[error("{unit:?} is no unit of time; use ms, s, m or h")]
    NoUnit { unit: String },
    /// Longer than [`LONGEST`].
    #[error("{0:?} is longer than a year")]
    TooLong(String),
}

/// Reads a span of time: numbers, each with its unit, largest first by custom but not by rule.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(DurationError::Missing);
    }
    let mut nanos: u128 = 0;
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() || fraction.contains('.') {
            return Err(DurationError::NoNumber(text.to_owned()));
        }
        let end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let unit_nanos: u128 = match unit {
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60 * 1_000_000_000,
            "h" => 3600 * 1_000_000_000,
            "" => return Err(DurationError::UnitMissing(text.to_owned())),
            _ => {
                return Err(DurationError::NoUnit {
                    unit: unit.to_owned(),
                });
            }
        };
        let too_long = || DurationError::TooLong(text.to_owned());
        // Twelve digits of seconds are more than a year, nine behind the point are finer than any clock here.
        let whole: u128 = whole
            .parse()
            .ok()
            .filter(|it| *it < 1_000_000_000_000)
            .ok_or_else(too_long)?;
        let fraction = format!("{:0<9}", fraction.get(..9).unwrap_or(fraction));
        let billionths: u128 = fraction.parse().map_err(|_| too_long())?;
        nanos += whole * unit_nanos + billionths * unit_nanos / 1_000_000_000;
        if nanos > LONGEST.as_nanos() {
            return Err(too_long());
        }
        rest = after;
    }
    u64::try_from(nanos)
        .map(Duration::from_nanos)
        .map_err(|_| DurationError::TooLong(text.to_owned()))
}

/// Writes a span of time the way [`parse`] reads it, to the millisecond.
pub fn format(span: Duration) -> String {
    let parts = [
        (span.as_secs() / 3600, "h"),
        (span.as_secs() / 60 % 60, "m"),
        (span.as_secs() % 60, "s"),
        (u64::from(span.subsec_millis()), "ms"),
    ];
    let mut text = String::new();
    for (count, unit) in parts.into_iter().filter(|(count, _)| *count > 0) {
        text.push_str(&count.to_string());
        text.push_str(unit);
    }
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text
    }
}

#[cfg(test)]
#[allow(clippy::items_after_statements)] // Cases first, what checks them below.
mod tests {
    use proptest::prelude::*;

    use super::{Duration, format, parse};

    #[test]
    fn durations_are_numbers_with_units() {
        check("5s", Ok(5_000));
        check("1m30s", Ok(90_000));
        check("250ms", Ok(250));
        check("2h", Ok(7_200_000));
        check("1.5h", Ok(5_400_000));
        check(" 1h0.25s ", Ok(3_600_250));
        check("0s", Ok(0));
        check(
            "5",
            Err("\"5\" has no unit; write \"5s\" for seconds, or use ms, m, h"),
        );
        check("5 s", Err("\" s\" is no unit of time; use ms, s, m or h"));
        check("5sec", Err("\"sec\" is no unit of time; use ms, s, m or h"));
        check(
            "soon",
            Err("\"soon\" is no duration; expected one such as \"5s\" or \"1m30s\""),
        );
        check(
            "-5s",
            Err("\"-5s\" is no duration; expected one such as \"5s\" or \"1m30s\""),
        );
        check(
            "",
            Err("a duration is missing; expected one such as \"5s\" or \"1m30s\""),
        );
        check("9000h", Err("\"9000h\" is longer than a year"));
        check(
            "99999999999999999999999999999999999999999h",
            Err("\"99999999999999999999999999999999999999999h\" is longer than a year"),
        );

        #[track_caller]
        fn check(text: &str, expected: Result<u64, &str>) {
            let got = parse(text).map_err(|error| error.to_string());
            assert_eq!(
                got,
                expected.map(Duration::from_millis).map_err(str::to_owned),
                "for {text:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(millis in 0..31_000_000_000_u64) {
            let span = Duration::from_millis(millis);
            prop_assert_eq!(parse(&format(span)), Ok(span));
        }

        #[test]
        fn nothing_makes_it_panic(text in "[0-9.hmsé ]{0,30}") {
            let _ = parse(&text);
        }
    }
}
