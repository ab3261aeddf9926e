//! Times as providers write them.

use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// Of a header, or of a `getlastmodified`: `Wed, 21 Oct 2015 07:28:00 GMT` (RFC 9110, "IMF-fixdate").
pub(crate) fn http(text: &str) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new()
        .parse_timestamp(text.trim())
        .ok()
}

/// Of a listing: `2026-02-01T10:20:30.400Z`.
pub(crate) fn iso(text: &str) -> Option<Timestamp> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_the_same_moment() {
        assert_eq!(
            http("Wed, 21 Oct 2015 07:28:00 GMT"),
            iso("2015-10-21T07:28:00.000Z")
        );
        assert!(http("Wed, 21 Oct 2015 07:28:00 GMT").is_some());
        assert_eq!((http("soon"), iso("")), (None, None));
    }
}
