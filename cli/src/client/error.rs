//! Why a request failed, told so that its reader can do something about it.

use std::fmt;

use spillway_trust::{AnotherKey, TrustError};

/// A failed request. What stands in the text is the address without credentials.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error(
        "the endpoint {endpoint:?} is no URL ({message}); it should look like http://192.168.1.10:8080"
    )]
    Endpoint { endpoint: String, message: String },
    #[error(
        "cannot connect to {url}: is the gateway running, and is the address right? Start one here with `spillway up`; see the address with `spillway config show`"
    )]
    Connect {
        url: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("the certificates to trust cannot be used")]
    Trust(#[source] TrustError),
    #[error(
        "DO NOT GO ON BEFORE YOU KNOW WHY: {url} shows another key than the one you trust. It shows {}, you trust {}. \
         Either the gateway got a new key, or somebody sits in between and would learn your password. Compare with what \
         the gateway prints at its start (or addresses.json in its data folder); if it is the same as shown here, say so \
         with `spillway config add ID --fingerprint {}`",
        why.found, why.expected, why.found
    )]
    AnotherKey { url: String, why: AnotherKey },
    #[error(
        "nobody whom this machine trusts vouches for the certificate of {url}. Trust the gateway's own key: `spillway \
         config add ID {url}` shows its fingerprint and asks, or pass the one that the gateway prints at its start with \
         --fingerprint; an authority of your own is named with --ca FILE"
    )]
    Untrusted {
        url: String,
        #[source]
        source: reqwest::Error,
    },
    #[error(
        "{url} did not answer within {seconds} s; the gateway may be overloaded, or the network slow: try again"
    )]
    TimedOut { url: String, seconds: u64 },
    #[error("the connection to {url} broke")]
    Broken {
        url: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("{what}: {refusal}{}", said(text))]
    Refused {
        what: String,
        refusal: Refusal,
        text: String,
    },
    #[error(
        "{url} answered with something else than expected; is it a Spillway gateway or an OSCAR cluster?"
    )]
    Answer {
        url: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What the cluster's status code means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    NotFound,
    Denied,
    Other(u16),
}

impl Refusal {
    pub(crate) fn of(status: reqwest::StatusCode) -> Self {
        match status.as_u16() {
            404 => Self::NotFound,
            401 | 403 => Self::Denied,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("not found"),
            Self::Denied => {
                f.write_str("not authorised; check user name and password with `spillway config show`, or pass --user and --password")
            }
            Self::Other(400) => f.write_str("the cluster says that this is not right"),
            Self::Other(409) => f.write_str("that is there already"),
            Self::Other(501) => f.write_str("this cluster cannot do that"),
            Self::Other(code) => write!(f, "the cluster answered {code}"),
        }
    }
}

impl ClientError {
    /// Whether the cluster said 404.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                refusal: Refusal::NotFound,
                ..
            }
        )
    }
}

fn said(text: &str) -> String {
    match text.trim() {
        "" => String::new(),
        text => format!(" ({text})"),
    }
}
