//! Conditional requests: does the object that is there allow what the request asks for?

use jiff::Timestamp;

use super::{Object, ObjectError};

/// An `ETag` that a request names, or several with commas between them, or `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tag {
    Any,
    Is(String),
}

/// The conditions of a request. Times have whole seconds, as HTTP dates do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(clippy::struct_field_names)] // They are called as HTTP calls them.
pub(crate) struct Conditions {
    pub(crate) if_match: Option<Tag>,
    pub(crate) if_none_match: Option<Tag>,
    pub(crate) if_modified_since: Option<i64>,
    pub(crate) if_unmodified_since: Option<i64>,
}

/// What a read with conditions should answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Serve,
    NotModified,
    Failed(&'static str),
}

impl Tag {
    fn matches(&self, etag: &str) -> bool {
        match self {
            Self::Any => true,
            // Ours have neither commas nor quotes.
            Self::Is(wanted) => wanted
                .split(',')
                .any(|one| one.trim().trim_start_matches("W/").trim_matches('"') == etag),
        }
    }
}

impl Conditions {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// For reads, in the order that RFC 9110 gives.
    pub(crate) fn judge(&self, object: &Object) -> Verdict {
        let modified = seconds(object.modified);
        match &self.if_match {
            Some(tag) if !tag.matches(&object.etag) => return Verdict::Failed("If-Match"),
            None if self
                .if_unmodified_since
                .is_some_and(|since| modified > since) =>
            {
                return Verdict::Failed("If-Unmodified-Since");
            }
            _ => (),
        }
        match &self.if_none_match {
            Some(tag) if tag.matches(&object.etag) => Verdict::NotModified,
            None if self
                .if_modified_since
                .is_some_and(|since| modified <= since) =>
            {
                Verdict::NotModified
            }
            _ => Verdict::Serve,
        }
    }

    /// For writes: against the object that would be replaced.
    pub(crate) fn check(
        &self,
        there: Option<&Object>,
        bucket: &str,
        key: &str,
    ) -> Result<(), ObjectError> {
        match (&self.if_match, there) {
            (Some(_), None) => {
                return Err(ObjectError::NoSuchKey {
                    bucket: bucket.to_owned(),
                    key: key.to_owned(),
                });
            }
            (Some(tag), Some(object)) if !tag.matches(&object.etag) => {
                return Err(ObjectError::Precondition("If-Match"));
            }
            _ => (),
        }
        match (&self.if_none_match, there) {
            (Some(tag), Some(object)) if tag.matches(&object.etag) => {
                Err(ObjectError::Precondition("If-None-Match"))
            }
            _ => Ok(()),
        }
    }
}

/// Rounded down, as `Last-Modified` shows it.
fn seconds(time: Timestamp) -> i64 {
    time.as_millisecond().div_euclid(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object() -> Object {
        Object {
            key: "k".to_owned(),
            blob: 1,
            size: 0,
            etag: "e".to_owned(),
            content_type: String::new(),
            metadata: std::collections::BTreeMap::new(),
            modified: Timestamp::from_millisecond(5_900).unwrap(),
        }
    }

    fn is(etag: &str) -> Tag {
        Tag::Is(etag.to_owned())
    }

    #[track_caller]
    fn check(conditions: &Conditions, expected: Verdict) {
        assert_eq!(conditions.judge(&object()), expected, "{conditions:?}");
    }

    #[test]
    fn reads_are_judged_in_the_order_of_http() {
        let failed = Verdict::Failed;
        check(&Conditions::default(), Verdict::Serve);
        check(
            &Conditions {
                if_match: Some(is("e")),
                ..Default::default()
            },
            Verdict::Serve,
        );
        check(
            &Conditions {
                if_match: Some(is("x")),
                ..Default::default()
            },
            failed("If-Match"),
        );
        check(
            &Conditions {
                if_none_match: Some(is("e")),
                ..Default::default()
            },
            Verdict::NotModified,
        );
        check(
            &Conditions {
                if_none_match: Some(Tag::Any),
                ..Default::default()
            },
            Verdict::NotModified,
        );
        check(
            &Conditions {
                if_none_match: Some(is("x")),
                ..Default::default()
            },
            Verdict::Serve,
        );
        check(
            &Conditions {
                if_modified_since: Some(5),
                ..Default::default()
            },
            Verdict::NotModified,
        );
        check(
            &Conditions {
                if_modified_since: Some(4),
                ..Default::default()
            },
            Verdict::Serve,
        );
        check(
            &Conditions {
                if_unmodified_since: Some(4),
                ..Default::default()
            },
            failed("If-Unmodified-Since"),
        );
        check(
            &Conditions {
                if_unmodified_since: Some(5),
                ..Default::default()
            },
            Verdict::Serve,
        );
        // The tag wins over the date.
        let both = Conditions {
            if_match: Some(is("e")),
            if_unmodified_since: Some(1),
            ..Default::default()
        };
        check(&both, Verdict::Serve);
        let both = Conditions {
            if_none_match: Some(is("x")),
            if_modified_since: Some(9),
            ..Default::default()
        };
        check(&both, Verdict::Serve);
    }

    #[test]
    fn writes_are_held_against_what_they_would_replace() {
        let object = object();
        let none = Conditions {
            if_none_match: Some(Tag::Any),
            ..Default::default()
        };
        assert!(none.check(None, "b", "k").is_ok());
        assert!(matches!(
            none.check(Some(&object), "b", "k"),
            Err(ObjectError::Precondition(_))
        ));
        let same = Conditions {
            if_match: Some(is("e")),
            ..Default::default()
        };
        assert!(same.check(Some(&object), "b", "k").is_ok());
        assert!(matches!(
            same.check(None, "b", "k"),
            Err(ObjectError::NoSuchKey { .. })
        ));
        let other = Conditions {
            if_match: Some(is("x")),
            ..Default::default()
        };
        assert!(matches!(
            other.check(Some(&object), "b", "k"),
            Err(ObjectError::Precondition(_))
        ));
    }
}
