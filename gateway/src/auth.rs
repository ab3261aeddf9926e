//! Who may do what: the administrator by HTTP Basic, users by an OIDC token, a caller of one service by its token.
//!
//! Everything secret is hashed on both sides and the hashes are compared in constant time.

pub(crate) mod access;
mod caller;
mod guesses;
mod middleware;
mod oidc;
mod users;

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};
use subtle::ConstantTimeEq as _;

use crate::config::{Credentials, Limits};
use guesses::Guesses;

pub(crate) use caller::{ADMINISTRATOR, ADMINISTRATOR_NAME, Caller, User};
pub(crate) use middleware::{NO_OIDC, TOO_MANY, administrators_only, identify};
pub(crate) use oidc::{Oidc, TokenError, claimed_issuer};
pub(crate) use users::{UserError, Users, check as check_uid};

/// Digits of a service token.
pub(crate) const TOKEN_DIGITS: usize = 64;

/// The operating system gave no randomness.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub(crate) struct NoRandomness;

/// Random bytes fit for secrets.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// Whether two secrets are the same, in a time that tells nothing about where they differ.
pub(crate) fn same_secret(left: &str, right: &str) -> bool {
    hash(left).ct_eq(&hash(right)).into()
}

fn hash(text: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    bytes
}

/// What a request brings along.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Presented {
    Nothing,
    Basic { username: String, password: String },
    Bearer(String),
}

impl Presented {
    /// Reads the `Authorization` header. What cannot be read counts as nothing.
    pub(crate) fn read(headers: &HeaderMap) -> Self {
        let Some(value) = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
        else {
            return Self::Nothing;
        };
        let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
        if scheme.eq_ignore_ascii_case("bearer") {
            return Self::Bearer(rest.trim().to_owned());
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return Self::Nothing;
        }
        let decoded = BASE64_STANDARD
            .decode(rest.trim())
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok());
        match decoded.as_deref().and_then(|pair| pair.split_once(':')) {
            Some((username, password)) => Self::Basic {
                username: username.to_owned(),
                password: password.to_owned(),
            },
            None => Self::Nothing,
        }
    }
}

/// Why a password or the token of a service was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Wrong,
    /// Too many wrong ones came from this address; it was not even looked at (or is wrong, too).
    TooMany,
}

/// Why a bearer is nobody.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BearerRefusal {
    #[error("{NO_OIDC}")]
    Disabled,
    #[error("{TOO_MANY}")]
    TooMany,
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// Knows the administrator, and whom to ask about others.
#[derive(Debug)]
pub(crate) struct Gatekeeper {
    username: [u8; 32],
    password: [u8; 32],
    guesses: Guesses,
    oidc: Option<Oidc>,
}

impl Gatekeeper {
    /// Without `oidc` there is nobody but the administrator.
    pub(crate) fn new(credentials: &Credentials, limits: &Limits, oidc: Option<Oidc>) -> Self {
        Self {
            username: hash(&credentials.username),
            password: hash(credentials.password.reveal()),
            guesses: Guesses::new(limits.guesses, limits.guess_every),
            oidc,
        }
    }

    /// Checks the administrator's name and password. An address that guesses has to wait; the machine itself never
    /// waits when it is right, because a local proxy stands for many callers.
    pub(crate) fn check(
        &self,
        from: IpAddr,
        username: &str,
        password: &str,
    ) -> Result<(), Refusal> {
        let may_guess = self.guesses.left(from);
        if !may_guess && !is_local(from) {
            return Err(Refusal::TooMany);
        }
        let right = self.username.ct_eq(&hash(username)) & self.password.ct_eq(&hash(password));
        if right.into() {
            return Ok(());
        }
        Err(self.wrong(from))
    }

    /// Counts a wrong password or token.
    fn wrong(&self, from: IpAddr) -> Refusal {
        let may_guess = self.guesses.left(from);
        self.guesses.spend(from);
        if may_guess {
            Refusal::Wrong
        } else {
            Refusal::TooMany
        }
    }

    /// Checks the token of a service. Unlike a password a right one always passes: 256 random bits are not guessed,
    /// and many callers may share an address with one that keeps sending an old token.
    pub(crate) fn check_token(
        &self,
        from: IpAddr,
        sent: &str,
        expected: &str,
    ) -> Result<(), Refusal> {
        if same_secret(sent, expected) && !expected.is_empty() {
            Ok(())
        } else {
            Err(self.wrong(from))
        }
    }

    /// Finds out whose OIDC token this is. Here, too, the right one always passes.
    pub(crate) async fn bearer(
        &self,
        from: IpAddr,
        token: &str,
    ) -> Result<Arc<User>, BearerRefusal> {
        let oidc = self.oidc.as_ref().ok_or(BearerRefusal::Disabled)?;
        oidc.user(token).await.map_err(|cause| {
            if cause.is_guess() && self.wrong(from) == Refusal::TooMany {
                BearerRefusal::TooMany
            } else {
                cause.into()
            }
        })
    }
}

fn is_local(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

#[cfg(test)]
#[allow(clippy::items_after_statements)] // The check of a table stands below it.
mod tests {
    use std::time::Duration;

    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn credentials_are_read_in_any_case_and_nonsense_is_nothing() {
        let basic = |username: &str, password: &str| Presented::Basic {
            username: username.into(),
            password: password.into(),
        };
        check("Basic b3NjYXI6c2VjcmV0", &basic("oscar", "secret"));
        check("basic b3NjYXI6YTpi", &basic("oscar", "a:b"));
        check("Bearer  abc ", &Presented::Bearer("abc".into()));
        check("BEARER abc", &Presented::Bearer("abc".into()));
        check("Basic !!!", &Presented::Nothing);
        check("Basic b3NjYXI=", &Presented::Nothing);
        check("Digest x", &Presented::Nothing);
        check("", &Presented::Nothing);

        #[track_caller]
        fn check(value: &str, expected: &Presented) {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
            assert_eq!(&Presented::read(&headers), expected, "for {value:?}");
        }
    }

    fn gatekeeper(guesses: u32) -> Gatekeeper {
        Gatekeeper {
            username: hash("oscar"),
            password: hash("secret"),
            guesses: Guesses::new(guesses, Duration::from_hours(1)),
            oidc: None,
        }
    }

    #[test]
    fn name_and_password_must_both_be_right() {
        let gatekeeper = gatekeeper(10);
        let from = IpAddr::from([192, 0, 2, 1]);
        assert_eq!(gatekeeper.check(from, "oscar", "secret"), Ok(()));
        assert_eq!(
            gatekeeper.check(from, "oscar", "secre"),
            Err(Refusal::Wrong)
        );
        assert_eq!(
            gatekeeper.check(from, "Oscar", "secret"),
            Err(Refusal::Wrong)
        );
        assert_eq!(gatekeeper.check(from, "", ""), Err(Refusal::Wrong));
    }

    #[test]
    fn an_address_that_guesses_waits_and_another_does_not() {
        let gatekeeper = gatekeeper(3);
        let guesser = IpAddr::from([192, 0, 2, 1]);
        for _ in 0..3 {
            assert_eq!(gatekeeper.check(guesser, "oscar", "x"), Err(Refusal::Wrong));
        }
        assert_eq!(
            gatekeeper.check(guesser, "oscar", "secret"),
            Err(Refusal::TooMany)
        );
        assert_eq!(
            gatekeeper.check(IpAddr::from([192, 0, 2, 2]), "oscar", "secret"),
            Ok(())
        );
    }

    #[test]
    fn the_machine_itself_is_never_locked_out_with_the_right_password() {
        let gatekeeper = gatekeeper(1);
        for address in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            let address: IpAddr = address.parse().unwrap();
            let _ = gatekeeper.check(address, "oscar", "x"); // Right or wrong, a guess is spent.
            assert_eq!(
                gatekeeper.check(address, "oscar", "x"),
                Err(Refusal::TooMany)
            );
            assert_eq!(gatekeeper.check(address, "oscar", "secret"), Ok(()));
        }
    }
}
