//! The client of a cluster's HTTP API: OSCAR's own requests and Spillway's beside them.

mod buckets;
mod error;
mod http;
mod jobs;
mod registries;
mod services;
mod values;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use spillway_storage::{S3Settings, S3Storage};
use spillway_trust::Trust;

pub(crate) use buckets::Bucket;
pub(crate) use error::{ClientError, Refusal};
pub(crate) use http::{Access, Client, PLAIN, PREFETCH};
pub(crate) use jobs::JobFilter;
pub(crate) use registries::Login;
pub(crate) use values::path;

/// Time to reach the object store.
const STORE_CONNECT: Duration = Duration::from_secs(10);

/// Answer of `GET /system/config`, as far as it is used here.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ClusterConfig {
    pub(crate) minio_provider: StoreAccess,
}

/// How to reach the cluster's object store.
#[derive(Clone, Deserialize)]
pub(crate) struct StoreAccess {
    pub(crate) endpoint: String,
    pub(crate) verify: bool,
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
    pub(crate) region: String,
}

impl std::fmt::Debug for StoreAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreAccess")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// Answer of `GET /system/info`, as far as it is used here.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ClusterInfo {
    pub(crate) version: String,
    pub(crate) git_commit: String,
    pub(crate) architecture: String,
    pub(crate) kubernetes_version: String,
}

impl Client {
    /// Whether the gateway answers at all.
    pub(crate) async fn health(&self) -> Result<(), ClientError> {
        let request = self.bare_request(reqwest::Method::GET, "/health");
        let answer = self.send("the gateway", request, Some(PLAIN)).await;
        answer.map(drop)
    }

    /// Version and kind of the cluster.
    pub(crate) async fn info(&self) -> Result<ClusterInfo, ClientError> {
        self.get_json("the cluster's version", "/system/info").await
    }

    /// The cluster's numbers, as OSCAR tells them.
    pub(crate) async fn status(&self) -> Result<Value, ClientError> {
        self.get_json("the cluster's status", "/system/status")
            .await
    }

    /// The cluster's object store, ready to use.
    pub(crate) async fn store(&self) -> anyhow::Result<S3Storage> {
        let config: ClusterConfig = self
            .get_json("the cluster's object store", "/system/config")
            .await?;
        let access = config.minio_provider;
        let secured = access.endpoint.starts_with("https://");
        let settings = S3Settings {
            endpoint: access.endpoint,
            region: access.region,
            access_key: access.access_key,
            secret_key: access.secret_key,
            verify: access.verify,
        };
        Ok(match self.trust() {
            // Both ports show the same key.
            trust @ (Trust::Key(_) | Trust::Authority(_)) if secured => {
                let client = reqwest::Client::builder().connect_timeout(STORE_CONNECT);
                S3Storage::with_client(settings, trust.apply(client)?.build()?)?
            }
            _ => S3Storage::new(settings)?,
        })
    }
}
