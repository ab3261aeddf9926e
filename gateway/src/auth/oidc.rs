//! OIDC bearer tokens: whose they are, and whether that person may come in.
//!
//! The signature is checked with the issuer's published keys, the person is described by the issuer's user info, and
//! one of the person's groups must be an accepted one. What was learned of a token is remembered for a while.

mod fetch;
mod groups;
mod issuer;
mod signature;
mod token;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::time::Instant;
use tracing::{info, warn};

use super::{User, UserError, Users, hash};
use crate::config::Oidc as Settings;
use fetch::{Fetch, FetchError};
use issuer::{Issuer, Provider};
use token::Verified;

/// Tokens whose owners are remembered. Beyond, the one that is forgotten soonest makes room.
const REMEMBERED: usize = 1024;

/// Characters of an issuer nobody knows that are told back.
const TOLD: usize = 200;

/// Why a token opens nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("the bearer token is not a JWT; send an access token of one of the accepted issuers")]
    NotAJwt,
    #[error("'{0}' is not listed as an authorized issuer")]
    Issuer(String),
    /// Not signed by the issuer: somebody guesses.
    #[error("the token's signature is not its issuer's: {0}")]
    Forged(String),
    /// Signed by the issuer, but not (or no longer) good here.
    #[error("the token is not accepted: {0}")]
    Refused(String),
    /// A person whom the issuer knows, but who has none of the accepted groups.
    #[error("none of the user's groups is accepted")]
    NoGroup(Arc<User>),
    #[error("the issuer {issuer} cannot be asked: {cause}; try again later")]
    Away { issuer: String, cause: String },
    #[error("the account of the user could not be made: {0}")]
    Account(#[from] UserError),
}

impl TokenError {
    /// Whether the sender may be trying tokens out. Whoever holds one that the issuer has signed does not.
    pub(crate) fn is_guess(&self) -> bool {
        matches!(self, Self::NotAJwt | Self::Issuer(_) | Self::Forged(_))
    }
}

/// Knows the issuers and the people they vouched for.
#[derive(Debug)]
pub(crate) struct Oidc {
    settings: Settings,
    issuers: Vec<Issuer>,
    fetch: Fetch,
    users: Users,
    people: Mutex<HashMap<[u8; 32], Person>>,
}

/// The owner of a token, until when this holds.
#[derive(Debug, Clone)]
struct Person {
    user: Arc<User>,
    issuer: String,
    until: Instant,
}

impl Oidc {
    /// Ready to check tokens; asks no issuer yet.
    pub(crate) fn new(settings: Settings, users: Users) -> anyhow::Result<Self> {
        signature::install();
        Ok(Self {
            issuers: settings.issuers.iter().cloned().map(Issuer::new).collect(),
            fetch: Fetch::new(settings.insecure_issuers)?,
            settings,
            users,
            people: Mutex::default(),
        })
    }

    /// The owner of the token, whose account is there when this returns.
    pub(crate) async fn user(&self, token: &str) -> Result<Arc<User>, TokenError> {
        let key = hash(token);
        let person = match self.remembered(&key) {
            Some(person) => person,
            None => self.ask(token, key).await?,
        };
        let user = person.user;
        if !self
            .settings
            .groups
            .iter()
            .any(|group| user.groups.contains(group))
        {
            info!(
                user = user.uid,
                "a user was refused who has none of the accepted groups"
            );
            return Err(TokenError::NoGroup(user));
        }
        self.users
            .first_seen(
                &user.uid,
                &user.name,
                &person.issuer,
                &self.settings.issuers,
            )
            .await?;
        Ok(user)
    }

    /// Verifies the token, and asks its issuer whose it is.
    async fn ask(&self, token: &str, key: [u8; 32]) -> Result<Person, TokenError> {
        let unverified = token::peek(token).ok_or(TokenError::NotAJwt)?;
        let issuer = self
            .issuers
            .iter()
            .find(|issuer| issuer.url() == unverified.issuer);
        let Some(issuer) = issuer else {
            return Err(TokenError::Issuer(told(&unverified.issuer)));
        };
        let provider = issuer
            .provider(&self.fetch, &self.settings, unverified.key.as_deref())
            .await
            .map_err(|cause| away(issuer, &cause))?;
        let verified = provider.verify(token, issuer.url(), &self.settings.audience)?;
        let claims = self.claims(issuer, &provider, token, &verified).await?;
        let lasts = verified.lasts.min(self.settings.remember);
        let person = Person {
            user: Arc::new(self.describe(&verified.subject, &claims, &provider)),
            issuer: issuer.url().to_owned(),
            until: Instant::now() + lasts,
        };
        self.remember(key, person.clone());
        Ok(person)
    }

    /// What the issuer says of the token's owner; what the token itself says where the issuer tells nothing.
    async fn claims(
        &self,
        issuer: &Issuer,
        provider: &Provider,
        token: &str,
        verified: &Verified,
    ) -> Result<Value, TokenError> {
        let Some(address) = &provider.user_info else {
            return Ok(verified.claims.clone());
        };
        let claims = match self.fetch.json(address, Some(token)).await {
            Ok(claims) => claims,
            Err(FetchError::Status(401 | 403)) => {
                return Err(TokenError::Refused(
                    "its issuer does not know it any more".to_owned(),
                ));
            }
            Err(cause) => return Err(away(issuer, &cause.to_string())),
        };
        // OpenID Connect Core 1.0, 5.3.2: an answer about somebody else must not be used.
        if claims.get("sub").and_then(Value::as_str) == Some(&verified.subject) {
            Ok(claims)
        } else {
            Err(TokenError::Refused(
                "the issuer's user info is about somebody else".to_owned(),
            ))
        }
    }

    fn describe(&self, uid: &str, claims: &Value, provider: &Provider) -> User {
        let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::trim);
        let name = ["name", "preferred_username"]
            .into_iter()
            .find_map(|claim| text(claim).filter(|name| !name.is_empty()));
        User {
            uid: uid.to_owned(),
            name: name.unwrap_or(uid).to_owned(),
            groups: groups::of(claims, provider.dialect),
            sees_system_logs: self.settings.users_admin.iter().any(|admin| admin == uid),
        }
    }

    fn remembered(&self, key: &[u8; 32]) -> Option<Person> {
        let people = self.people.lock().unwrap_or_else(PoisonError::into_inner);
        let person = people.get(key)?;
        (person.until > Instant::now()).then(|| person.clone())
    }

    fn remember(&self, key: [u8; 32], person: Person) {
        let mut people = self.people.lock().unwrap_or_else(PoisonError::into_inner);
        if people.len() >= REMEMBERED {
            let now = Instant::now();
            people.retain(|_, person| person.until > now);
        }
        if people.len() >= REMEMBERED
            && let Some(soonest) = people.iter().min_by_key(|(_, person)| person.until)
        {
            let soonest = *soonest.0;
            people.remove(&soonest);
        }
        people.insert(key, person);
    }
}

/// Who has made the token, by its own word; nothing if it is no JWT.
pub(crate) fn claimed_issuer(token: &str) -> Option<String> {
    token::peek(token).map(|unverified| told(&unverified.issuer))
}

/// A name that a stranger chose, fit to be repeated.
fn told(name: &str) -> String {
    let plain = name.chars().filter(|c| !c.is_control());
    plain.take(TOLD).collect()
}

fn away(issuer: &Issuer, cause: &str) -> TokenError {
    warn!(
        issuer = issuer.url(),
        cause, "an OIDC issuer cannot be asked"
    );
    TokenError::Away {
        issuer: issuer.url().to_owned(),
        cause: cause.to_owned(),
    }
}
