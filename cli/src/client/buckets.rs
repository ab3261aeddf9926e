//! Buckets, as the API lists them; what is in them goes through the object store.

use reqwest::Method;
use serde::{Deserialize, Serialize};

use super::error::ClientError;
use super::http::{Client, PLAIN, segment};

/// One bucket.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Bucket {
    #[serde(rename = "bucket_name")]
    pub(crate) name: String,
    pub(crate) visibility: String,
    pub(crate) owner: String,
    pub(crate) storage_usage: Option<BucketUsage>,
}

/// What a bucket holds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct BucketUsage {
    pub(crate) used_bytes: u64,
    pub(crate) objects: Option<u64>,
}

impl Client {
    /// All buckets that the user may see.
    pub(crate) async fn buckets(&self) -> Result<Vec<Bucket>, ClientError> {
        self.get_json("buckets", "/system/buckets").await
    }

    /// Deletes a bucket with its content.
    pub(crate) async fn delete_bucket(&self, name: &str) -> Result<(), ClientError> {
        let request = self.request(
            Method::DELETE,
            &format!("/system/buckets/{}", segment(name)),
        );
        self.send(
            &format!("deleting the bucket {name:?}"),
            request,
            Some(PLAIN),
        )
        .await
        .map(drop)
    }
}
