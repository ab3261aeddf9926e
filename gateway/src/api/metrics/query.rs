//! What is asked of the metrics, and the answer when that makes no sense.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::api::answer::json;
use crate::api::problem::Problem as Plain;
use crate::metrics::Range;
use crate::services::ServiceError;
use crate::store::StoreError;

/// What is looked at when no start is given.
const USUAL: SignedDuration = SignedDuration::from_hours(24);

/// The query of all three requests.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(utoipa::IntoParams))]
#[cfg_attr(test, into_params(parameter_in = Query))]
#[serde(default)]
pub(in crate::api) struct Params {
    /// RFC 3339; a day before the end when absent. The hour it lies in counts as a whole.
    start: Option<String>,
    /// RFC 3339; now when absent.
    end: Option<String>,
    /// `service`, `user` or `country`; needed for a breakdown.
    pub(super) group_by: Option<String>,
    /// Names the users of each service in a breakdown.
    pub(super) include_users: Option<String>,
    /// `json` or `csv`, of a breakdown.
    pub(super) format: Option<String>,
    /// One metric of a service, instead of all.
    pub(super) metric: Option<String>,
}

/// A range, and how it was spelled.
pub(super) struct Asked {
    pub(super) start: String,
    pub(super) end: String,
    pub(super) range: Range,
}

impl Params {
    pub(super) fn range(&self) -> Result<Asked, Problem> {
        let end = given(self.end.as_ref());
        let end_at = match end {
            None => now(),
            Some(text) => time(text).ok_or(Problem::bad("invalid end timestamp"))?,
        };
        let start = given(self.start.as_ref());
        let start_at = match start {
            None => end_at.saturating_sub(USUAL).unwrap_or(Timestamp::MIN),
            Some(text) => time(text).ok_or(Problem::bad("invalid start timestamp"))?,
        };
        if end_at < start_at {
            return Err(Problem::bad("end must be after start"));
        }
        Ok(Asked {
            start: start.map_or_else(|| start_at.to_string(), str::to_owned),
            end: end.map_or_else(|| end_at.to_string(), str::to_owned),
            range: Range {
                start: start_at,
                end: end_at,
            },
        })
    }
}

/// An empty value is as good as none.
pub(super) fn given(value: Option<&String>) -> Option<&str> {
    value.map(String::as_str).filter(|text| !text.is_empty())
}

/// A `+` in front of an offset arrives as a blank from clients that do not encode it.
fn time(text: &str) -> Option<Timestamp> {
    text.replace(' ', "+").parse().ok()
}

fn now() -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default()
}

/// An answer that says no.
#[derive(Debug)]
pub(in crate::api) enum Problem {
    Told(StatusCode, String),
    Plain(Plain),
}

/// How it is said.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = MetricsError))]
pub(super) struct Told {
    error: String,
}

impl Problem {
    pub(super) fn bad(text: impl Into<String>) -> Self {
        Self::Told(StatusCode::BAD_REQUEST, text.into())
    }
}

impl From<Plain> for Problem {
    fn from(plain: Plain) -> Self {
        match plain {
            Plain::Text(status, text) => Self::Told(status, text),
            empty @ Plain::Empty(_) => Self::Plain(empty),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Plain::from(error).into()
    }
}

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        Plain::from(error).into()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        match self {
            Self::Told(status, error) => {
                let mut answer = json(&Told { error }).into_response();
                *answer.status_mut() = status;
                answer
            }
            Self::Plain(plain) => plain.into_response(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: Option<&str>, end: Option<&str>) -> Result<(String, String), String> {
        let params = Params {
            start: start.map(str::to_owned),
            end: end.map(str::to_owned),
            ..Params::default()
        };
        match params.range() {
            Ok(asked) => Ok((asked.start, asked.end)),
            Err(Problem::Told(_, text)) => Err(text),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_range_is_echoed_or_a_day_long_or_refused() {
        let both = range(
            Some("2026-03-01T10:00:00+01:00"),
            Some("2026-03-01T09:00:00Z"),
        );
        let echoed = (
            "2026-03-01T10:00:00+01:00".to_owned(),
            "2026-03-01T09:00:00Z".to_owned(),
        );
        assert_eq!(both, Ok(echoed));
        let (start, _) = range(Some(""), Some("2026-03-02T09:00:00Z")).unwrap();
        assert_eq!(start, "2026-03-01T09:00:00Z");
        assert!(range(None, None).is_ok());
        assert!(range(Some("2026-03-01T10:00:00 01:00"), None).is_ok());
        for (start, end, expected) in [
            (Some("x"), None, "invalid start timestamp"),
            (None, Some("2026-03-01"), "invalid end timestamp"),
            (
                Some("2026-03-02T00:00:00Z"),
                Some("2026-03-01T00:00:00Z"),
                "end must be after start",
            ),
        ] {
            assert_eq!(range(start, end), Err(expected.to_owned()));
        }
    }
}
