//! Why a storage operation failed, told so that its reader knows where and what to do.

use std::error::Error;
use std::fmt::{self, Write as _};

use reqwest::{Response, StatusCode};

use crate::ObjectPath;

/// Bytes of a refusal's body that are read.
const BODY: usize = 8 * 1024;

/// Characters of it that are shown.
const SHOWN: usize = 400;

/// A failed storage operation.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The settings are not usable.
    #[error("the storage provider {endpoint:?} cannot be used: {message}")]
    Settings { endpoint: String, message: String },

    /// The key cannot be named through this client.
    #[error("the key {key:?} cannot be used: {message}")]
    Key { key: String, message: &'static str },

    /// What was to be written could not be read.
    #[error("reading what was to be written to {path}")]
    Read {
        path: ObjectPath,
        #[source]
        source: std::io::Error,
    },

    /// The provider refused or could not be reached.
    #[error("{doing} {path} at {endpoint}: {why}")]
    Provider {
        /// `writing`, `reading` …
        doing: &'static str,
        path: ObjectPath,
        endpoint: String,
        why: Why,
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
}

/// Kinds of failure that a caller can act upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// There is no such bucket or object.
    NotFound,
    /// The keys are wrong, or not good enough.
    Denied,
    /// The provider asks to slow down, and went on asking through all retries.
    Busy,
    /// It did not answer, or the connection broke, through all retries.
    Unreachable,
    /// It answered with something else; the source has it.
    Other,
}

/// What a provider said when it refused.
#[derive(Debug)]
pub struct Refusal {
    pub status: StatusCode,
    /// Its own words, shortened; may be empty.
    pub words: String,
}

/// Where and during what something failed; makes the errors of one operation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Doing<'a> {
    pub(crate) verb: &'static str,
    pub(crate) path: &'a ObjectPath,
    pub(crate) endpoint: &'a str,
}

impl StorageError {
    /// What kind of failure it is, if the provider's.
    pub fn why(&self) -> Option<Why> {
        match self {
            Self::Provider { why, .. } => Some(*why),
            _ => None,
        }
    }

    /// The error with all its causes: the provider's own words are among them.
    pub fn in_full(&self) -> String {
        chain(self)
    }
}

impl Doing<'_> {
    pub(crate) fn failed(
        self,
        why: Why,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> StorageError {
        StorageError::Provider {
            doing: self.verb,
            path: self.path.clone(),
            endpoint: self.endpoint.to_owned(),
            why,
            source: Some(source.into()),
        }
    }

    /// No answer.
    pub(crate) fn unanswered(self, error: reqwest::Error) -> StorageError {
        let why = if error.is_builder() || error.is_redirect() {
            Why::Other
        } else {
            Why::Unreachable
        };
        // The address is in the sentence already, and might carry a query.
        self.failed(why, error.without_url())
    }

    /// An answer that was not understood.
    pub(crate) fn garbled(self, words: impl Into<String>) -> StorageError {
        self.failed(Why::Other, words.into())
    }

    /// The answer, if it is a success.
    pub(crate) async fn accepted(self, answer: Response) -> Result<Response, StorageError> {
        if answer.status().is_success() {
            Ok(answer)
        } else {
            Err(self.refused(answer).await)
        }
    }

    /// The error that an answer tells.
    pub(crate) async fn refused(self, mut answer: Response) -> StorageError {
        let status = answer.status();
        let mut body = Vec::new();
        while let Ok(Some(piece)) = answer.chunk().await {
            body.extend_from_slice(&piece);
            if body.len() >= BODY {
                break;
            }
        }
        let words = words(&String::from_utf8_lossy(&body));
        let why = match status.as_u16() {
            404 => Why::NotFound,
            401 | 403 => Why::Denied,
            423 | 429 | 503 => Why::Busy,
            408 | 500..=506 | 508..=599 => Why::Unreachable,
            _ if words.starts_with("InvalidAccessKeyId")
                || words.starts_with("SignatureDoesNotMatch") =>
            {
                Why::Denied
            }
            _ => Why::Other,
        };
        self.failed(why, Refusal { status, words })
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "there is no such bucket or object; check the name, or list the bucket",
            Self::Denied => "access denied; check the provider's access key and secret key",
            Self::Busy => "the store asks to slow down; try again later, or with less at once",
            Self::Unreachable => {
                "the store does not answer; check that it runs and that this machine can reach that address"
            }
            Self::Other => "the store refused",
        })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        if self.words.is_empty() {
            Ok(())
        } else {
            write!(f, ": {}", self.words)
        }
    }
}

impl Error for Refusal {}

/// An error with all its causes.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}"); // Writing to a string cannot fail.
        cause = error.source();
    }
    text
}

/// The words of an answer: of S3's and Sabre's XML the code and the message, of HTML the text.
fn words(body: &str) -> String {
    let code = element(body, "Code");
    let message = element(body, "Message").or_else(|| element(body, "message"));
    let text = match (code, message) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => without_tags(body),
    };
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// The text of the first element of that name, whatever its prefix.
fn element(body: &str, name: &str) -> Option<String> {
    let mut rest = body;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let (tag, after) = rest.split_once('>')?;
        let local = tag.rsplit(':').next().unwrap_or(tag);
        if local == name && !tag.starts_with('/') {
            let (text, _) = after.split_once('<')?;
            return Some(
                quick_xml::escape::unescape(text).map_or_else(|_| text.to_owned(), Into::into),
            );
        }
        rest = after;
    }
    None
}

fn without_tags(body: &str) -> String {
    let mut text = String::new();
    for piece in body.split('<') {
        match piece.split_once('>') {
            Some((tag, after)) if !tag.starts_with("style") => {
                text.push(' ');
                text.push_str(after);
            }
            Some(_) => (),
            None => text.push_str(piece),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn the_words_of_a_refusal_are_found_in_every_dress() {
        for (body, expected) in [
            (
                "<?xml version=\"1.0\"?><Error><Code>NoSuchBucket</Code><Message>The bucket &lt;x&gt; is gone</Message></Error>",
                "NoSuchBucket: The bucket <x> is gone",
            ),
            (
                "<d:error xmlns:d=\"DAV:\" xmlns:s=\"urn:s\"><s:exception>E</s:exception><s:message>Locked by ana</s:message></d:error>",
                "Locked by ana",
            ),
            (
                "<html><style>p{}</style><h1>403\nForbidden</h1><p>No.</p></html>",
                "403 Forbidden No.",
            ),
            ("plain words", "plain words"),
            ("", ""),
            ("<broken", "broken"),
        ] {
            assert_eq!(words(body), expected, "for {body:?}");
        }
        assert_eq!(words(&"x".repeat(1000)).chars().count(), 401);
    }
}
