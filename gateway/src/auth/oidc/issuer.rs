//! One issuer: where its addresses are and which keys it signs with, as far as we have heard last.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::{info, warn};

use super::fetch::Fetch;
use super::groups::Dialect;
use super::token::{self, Key, Verified};
use super::{Settings, TokenError};

/// Keys older than this are fetched anew when a token comes.
const FRESH: Duration = Duration::from_hours(1);

/// An issuer that has never answered is asked so often at most.
const FIRST_RETRY: Duration = Duration::from_secs(5);

/// Keys that are taken from a key set.
const MOST_KEYS: usize = 50;

/// An issuer, by its URL.
#[derive(Debug)]
pub(super) struct Issuer {
    url: String,
    known: RwLock<Option<Arc<Provider>>>,
    /// One asks, the others wait for the answer.
    asking: Mutex<Asked>,
}

/// The last time it was asked, and what went wrong then.
#[derive(Debug, Default)]
struct Asked {
    at: Option<Instant>,
    trouble: String,
}

/// What an issuer says about itself.
#[derive(Debug)]
pub(super) struct Provider {
    pub(super) user_info: Option<String>,
    pub(super) dialect: Dialect,
    keys: Vec<Key>,
    heard: Instant,
}

/// The discovery document (`OpenID` Connect Discovery 1.0, section 3), as far as it matters.
#[derive(Deserialize)]
struct Discovered {
    issuer: String,
    jwks_uri: String,
    userinfo_endpoint: Option<String>,
    #[serde(default)]
    authorization_endpoint: String,
}

impl Issuer {
    pub(super) fn new(url: String) -> Self {
        Self {
            url,
            known: RwLock::default(),
            asking: Mutex::default(),
        }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The issuer with the key of that id, if it has one. It is asked when it was not for an hour or the key is
    /// unknown; when it does not answer, what it said before holds for as long as the settings say.
    pub(super) async fn provider(
        &self,
        fetch: &Fetch,
        settings: &Settings,
        key: Option<&str>,
    ) -> Result<Arc<Provider>, String> {
        let will_do = |provider: &Arc<Provider>| {
            provider.heard.elapsed() < FRESH && key.is_none_or(|key| provider.has(key))
        };
        if let Some(known) = self.known().filter(will_do) {
            return Ok(known);
        }
        let mut asked = self.asking.lock().await;
        let known = self.known();
        if let Some(known) = known.clone().filter(will_do) {
            return Ok(known); // Somebody else has asked meanwhile.
        }
        let pause = match known {
            Some(_) => settings.refresh,
            None => settings.refresh.min(FIRST_RETRY),
        };
        if asked.at.is_none_or(|at| at.elapsed() >= pause) {
            asked.at = Some(Instant::now());
            match self.load(fetch).await {
                Ok(provider) => {
                    let provider = Arc::new(provider);
                    info!(
                        issuer = self.url,
                        keys = provider.keys.len(),
                        "an OIDC issuer was asked for its keys"
                    );
                    *self.known.write().unwrap_or_else(PoisonError::into_inner) =
                        Some(Arc::clone(&provider));
                    return Ok(provider);
                }
                Err(trouble) => {
                    warn!(
                        issuer = self.url,
                        trouble, "an OIDC issuer did not tell its keys"
                    );
                    asked.trouble = trouble;
                }
            }
        }
        known
            .filter(|known| known.heard.elapsed() < settings.offline)
            .ok_or_else(|| asked.trouble.clone())
    }

    fn known(&self) -> Option<Arc<Provider>> {
        self.known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    async fn load(&self, fetch: &Fetch) -> Result<Provider, String> {
        let base = self.url.trim_end_matches('/');
        let address = format!("{base}/.well-known/openid-configuration");
        let document = fetch
            .json(&address, None)
            .await
            .map_err(|cause| format!("{address}: {cause}"))?;
        let discovered: Discovered =
            serde_json::from_value(document).map_err(|cause| format!("{address}: {cause}"))?;
        if discovered.issuer != self.url {
            return Err(format!(
                "{address} names the issuer {:?}; write it in OIDC_ISSUERS exactly so",
                discovered.issuer
            ));
        }
        let address = &discovered.jwks_uri;
        let set = fetch
            .json(address, None)
            .await
            .map_err(|cause| format!("{address}: {cause}"))?;
        let keys: Vec<Key> = set
            .get("keys")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Key::read)
            .take(MOST_KEYS)
            .collect();
        if keys.is_empty() {
            return Err(format!(
                "{address} has no key that signs with an algorithm we accept"
            ));
        }
        Ok(Provider {
            user_info: discovered.userinfo_endpoint,
            dialect: Dialect::of(&discovered.authorization_endpoint),
            keys,
            heard: Instant::now(),
        })
    }
}

impl Provider {
    fn has(&self, id: &str) -> bool {
        self.keys.iter().any(|key| key.id.as_deref() == Some(id))
    }

    /// Checks signature, issuer, times and audience.
    pub(super) fn verify(
        &self,
        token: &str,
        issuer: &str,
        audience: &[String],
    ) -> Result<Verified, TokenError> {
        token::verify(token, &self.keys, issuer, audience)
    }
}
