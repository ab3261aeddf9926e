//! The clusters this user knows, kept in the file that OSCAR's command-line client uses, so that both share it.

mod file;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use spillway_trust::{NoFingerprint, Trust};

pub(crate) use file::ClustersFile;

/// Content of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Clusters {
    /// By id.
    #[serde(default)]
    pub(crate) oscar: BTreeMap<String, Cluster>,
    /// Id of the cluster to use when none is named; empty for none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) default: String,
}

/// One cluster. The members that only OSCAR's client uses are kept as they are.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Cluster {
    pub(crate) endpoint: String,
    pub(crate) auth_user: String,
    pub(crate) auth_password: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) oidc_account_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) oidc_refresh_token: String,
    /// Verify the endpoint's certificate.
    pub(crate) ssl_verify: bool,
    /// Of the endpoint's key, when that is what is trusted; an extension of ours.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) fingerprint: String,
    /// File with the authorities that may vouch for the endpoint; an extension of ours.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) ca: String,
    /// Default for services that name none.
    pub(crate) memory: String,
    /// Default for services that name none.
    pub(crate) log_level: String,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Passwords and tokens stay out of it.
        f.debug_struct("Cluster")
            .field("endpoint", &self.endpoint)
            .field("auth_user", &self.auth_user)
            .finish_non_exhaustive()
    }
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            auth_user: String::new(),
            auth_password: String::new(),
            oidc_account_name: String::new(),
            oidc_refresh_token: String::new(),
            ssl_verify: true,
            fingerprint: String::new(),
            ca: String::new(),
            memory: "256Mi".into(),
            log_level: "INFO".into(),
        }
    }
}

impl Cluster {
    /// Whose certificate is accepted as the cluster's.
    pub(crate) fn trust(&self) -> Result<Trust, NoFingerprint> {
        Ok(if !self.fingerprint.is_empty() {
            Trust::Key(self.fingerprint.parse()?)
        } else if !self.ca.is_empty() {
            Trust::Authority(self.ca.clone().into())
        } else if self.ssl_verify {
            Trust::System
        } else {
            Trust::Anybody
        })
    }
}

/// Why the list of clusters did not help.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClustersError {
    #[error("reading the clusters in {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("writing the clusters to {}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{} is not a valid configuration: {message}", path.display())]
    Format { path: PathBuf, message: String },
    #[error(
        "there is no home folder to keep the configuration in; set HOME, or pass --config FILE"
    )]
    NoHome,
    #[error(
        "there is no cluster {id:?} in {}; it has {known}. Add it with: spillway config add {id} --endpoint URL --user NAME --password-stdin",
        path.display()
    )]
    Unknown {
        id: String,
        path: PathBuf,
        known: String,
    },
    #[error(
        "no cluster is named and {} has no default. Start one here with `spillway up`, add one with `spillway config add`, or pass --endpoint, --user and --password",
        path.display()
    )]
    NoDefault { path: PathBuf },
}

impl Clusters {
    /// Ids for a message.
    pub(crate) fn known(&self) -> String {
        if self.oscar.is_empty() {
            return "none".into();
        }
        self.oscar
            .keys()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(", ")
    }
}
