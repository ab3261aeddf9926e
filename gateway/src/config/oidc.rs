//! Which OIDC providers vouch for users, and what is believed of them for how long.

use std::time::Duration;

use jiff::SignedDuration;
use serde::Deserialize;

use super::settings::time;

/// What is asked for. In the settings file it stands below `oidc`.
#[derive(Debug, Clone, Default, PartialEq, clap::Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OidcConfig {
    /// Let users in who bring a token of an OIDC provider [default: false]
    #[arg(
        long = "oidc-enable",
        env = "OIDC_ENABLE",
        num_args = 0..=1,
        default_missing_value = "true",
        value_parser = clap::builder::BoolishValueParser::new(),
        value_name = "true|false"
    )]
    pub enable: Option<bool>,
    /// URLs of the OIDC providers, exactly as their tokens name them, with commas between them
    #[arg(
        long = "oidc-issuers",
        env = "OIDC_ISSUERS",
        value_delimiter = ',',
        value_name = "URLS"
    )]
    pub issuers: Option<Vec<String>>,
    /// Groups of which a user must have one, with commas between them
    #[arg(
        long = "oidc-groups",
        env = "OIDC_GROUPS",
        value_delimiter = ',',
        value_name = "GROUPS"
    )]
    pub groups: Option<Vec<String>>,
    /// Subjects of users who may see the log of the whole system, with commas between them
    #[arg(
        long = "users-admin",
        env = "USERS_ADMIN",
        value_delimiter = ',',
        value_name = "SUBJECTS"
    )]
    pub users_admin: Option<Vec<String>>,
    /// Audiences of which a token must name one, with commas between them [default: any]
    #[arg(
        long = "oidc-audience",
        env = "SPILLWAY_OIDC_AUDIENCE",
        value_delimiter = ',',
        value_name = "NAMES"
    )]
    pub audience: Option<Vec<String>>,
    /// Time for which the owner of a token and his groups are remembered [default: 5m]
    #[arg(
        long = "oidc-remember",
        env = "SPILLWAY_OIDC_REMEMBER",
        value_name = "TIME"
    )]
    pub remember: Option<SignedDuration>,
    /// An OIDC provider is asked for its keys so often at most [default: 1m]
    #[arg(
        long = "oidc-refresh",
        env = "SPILLWAY_OIDC_REFRESH",
        value_name = "TIME"
    )]
    pub refresh: Option<SignedDuration>,
    /// Time for which the keys of an OIDC provider hold that does not answer [default: 24h]
    #[arg(
        long = "oidc-offline",
        env = "SPILLWAY_OIDC_OFFLINE",
        value_name = "TIME"
    )]
    pub offline: Option<SignedDuration>,
    /// Ask OIDC providers on other machines by plain http, too; tokens travel in the clear then [default: false]
    #[arg(
        long = "oidc-insecure-issuers",
        env = "SPILLWAY_OIDC_INSECURE_ISSUERS",
        num_args = 0..=1,
        default_missing_value = "true",
        value_parser = clap::builder::BoolishValueParser::new(),
        value_name = "true|false"
    )]
    pub insecure_issuers: Option<bool>,
}

impl OidcConfig {
    /// What `self` leaves open is taken from `other`.
    #[allow(clippy::needless_pass_by_value)] // As `Config::or`, whose part it is.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            enable: self.enable.or(other.enable),
            issuers: self.issuers.or(other.issuers),
            groups: self.groups.or(other.groups),
            users_admin: self.users_admin.or(other.users_admin),
            audience: self.audience.or(other.audience),
            remember: self.remember.or(other.remember),
            refresh: self.refresh.or(other.refresh),
            offline: self.offline.or(other.offline),
            insecure_issuers: self.insecure_issuers.or(other.insecure_issuers),
        }
    }
}

/// Settings of OIDC.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Oidc {
    pub enabled: bool,
    /// URLs, exactly as the tokens name them.
    pub issuers: Vec<String>,
    /// Of these a user must have one.
    pub groups: Vec<String>,
    /// Subjects that may see the log of the system.
    pub users_admin: Vec<String>,
    /// Of these a token must name one; any when there are none.
    pub audience: Vec<String>,
    /// How long the owner of a token is remembered before the issuer is asked again.
    pub remember: Duration,
    /// The least time between two looks at the keys of an issuer.
    pub refresh: Duration,
    /// How long the keys of an issuer hold that does not answer.
    pub offline: Duration,
    /// Whether an issuer on another machine may be asked without encryption.
    pub insecure_issuers: bool,
}

impl Oidc {
    pub(super) fn new(config: &OidcConfig) -> anyhow::Result<Self> {
        let oidc = Self {
            enabled: config.enable.unwrap_or(false),
            issuers: words(config.issuers.as_ref()),
            groups: words(config.groups.as_ref()),
            users_admin: words(config.users_admin.as_ref()),
            audience: words(config.audience.as_ref()),
            remember: time("oidc.remember", config.remember, 300)?,
            refresh: time("oidc.refresh", config.refresh, 60)?,
            offline: time("oidc.offline", config.offline, 24 * 3600)?,
            insecure_issuers: config.insecure_issuers.unwrap_or(false),
        };
        if oidc.enabled {
            anyhow::ensure!(
                !oidc.issuers.is_empty(),
                "oidc.enable is true, but oidc.issuers names nobody; name the URL of an issuer"
            );
            anyhow::ensure!(
                !oidc.groups.is_empty(),
                "oidc.enable is true, but oidc.groups names no group, so nobody could come in; name one"
            );
        }
        for issuer in &oidc.issuers {
            anyhow::ensure!(
                issuer.starts_with("https://") || issuer.starts_with("http://"),
                "oidc.issuers has {issuer:?}; expected a URL such as https://aai.egi.eu/auth/realms/egi"
            );
        }
        Ok(oidc)
    }
}

/// Empty ones go: a variable that is set to nothing means none.
fn words(list: Option<&Vec<String>>) -> Vec<String> {
    let words = list
        .into_iter()
        .flatten()
        .map(|word| word.trim().to_owned());
    words.filter(|word| !word.is_empty()).collect()
}
