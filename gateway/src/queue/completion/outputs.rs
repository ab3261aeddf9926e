//! Outputs of an attempt, from their arrival to the transaction that publishes them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use spillway_model::service::{Service, split_provider};
use spillway_model::wire::link::{Attempt, Output, OutputContent, StagedBlob};

use super::CompleteError;
use crate::objects::{NewBlob, NewObject};
use crate::queue::Queue;

/// Outputs that one attempt may stage. A script that makes more should pack them.
const STAGED_PER_ATTEMPT: usize = 10_000;

/// Outputs that a job's report names; of the others it tells the number.
const NAMED: usize = 100;

/// Bytes that their names may take in the report.
const NAMED_BYTES: usize = 16 * 1024;

/// Outputs that arrived ahead of their completion. Dropped with their attempt, and with the process.
#[derive(Debug, Default)]
pub(in crate::queue) struct Staging(Mutex<HashMap<(String, u32), HashMap<i64, NewBlob>>>);

/// Outputs to publish: each object and the place of its bytes among the blobs.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    pub(super) blobs: Vec<NewBlob>,
    pub(super) objects: Vec<(NewObject, usize)>,
    /// The same for storages elsewhere.
    pub(super) deliveries: Vec<(Delivery, usize)>,
}

/// An output for a storage elsewhere.
#[derive(Debug)]
pub(super) struct Delivery {
    /// `<type>.<id>`
    pub(super) provider: String,
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) content_type: String,
}

impl Outputs {
    /// `bucket/key` of the first of them, as many as a report names.
    pub(super) fn names(&self) -> Vec<String> {
        let mut bytes = 0;
        self.objects
            .iter()
            .take(NAMED)
            .map(|(object, _)| format!("{}/{}", object.bucket, object.key))
            .take_while(|name| {
                bytes += name.len();
                bytes <= NAMED_BYTES
            })
            .collect()
    }
}

/// An object that a job has made.
fn object(bucket: String, key: String, etag: String, content_type: String) -> NewObject {
    NewObject {
        bucket,
        key,
        etag,
        content_type,
        metadata: BTreeMap::new(),
        event: "s3:ObjectCreated:Put",
        principal: String::new(),
        source_ip: "127.0.0.1".to_owned(),
        user_agent: concat!("spillway/", env!("CARGO_PKG_VERSION")).to_owned(),
    }
}

impl Outputs {
    /// What is said to be elsewhere but is the built-in store under another name becomes an object of it. Returns the
    /// number of files for each destination that remains.
    pub(super) fn bring_home(&mut self, service: &Service) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for (delivery, place) in std::mem::take(&mut self.deliveries) {
            let (kind, id) = split_provider(&delivery.provider);
            if service.is_own_provider(kind, id) {
                let etag = self
                    .blobs
                    .get(place)
                    .map(|blob| blob.md5.clone())
                    .unwrap_or_default();
                let Delivery {
                    bucket,
                    key,
                    content_type,
                    ..
                } = delivery;
                self.objects
                    .push((object(bucket, key, etag, content_type), place));
            } else {
                *counts.entry(delivery.provider.clone()).or_insert(0) += 1;
                self.deliveries.push((delivery, place));
            }
        }
        counts
    }
}

impl Queue {
    /// Keeps an output until its attempt completes. The caller has checked that the attempt is the node's.
    pub(crate) fn stage(
        &self,
        attempt: &Attempt,
        blob: NewBlob,
    ) -> Result<StagedBlob, CompleteError> {
        let answer = StagedBlob {
            id: blob.id.to_string(),
            size: blob.size,
            etag: blob.md5.clone(),
        };
        let mut staging = self
            .0
            .staged
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let of_attempt = staging
            .entry((attempt.job.clone(), attempt.attempt))
            .or_default();
        if of_attempt.len() >= STAGED_PER_ATTEMPT {
            return Err(CompleteError::Invalid(format!(
                "one attempt may have {STAGED_PER_ATTEMPT} outputs at most; let the script pack them"
            )));
        }
        of_attempt.insert(blob.id, blob);
        Ok(answer)
    }

    /// Makes the outputs' bytes safe, those that travelled in the completion too.
    pub(super) async fn collect(
        &self,
        outputs: Vec<Output>,
        mut staged: HashMap<i64, NewBlob>,
    ) -> Result<Outputs, CompleteError> {
        let mut collected = Outputs::default();
        let mut places: HashMap<i64, usize> = HashMap::new();
        for output in outputs {
            let place = match output.content {
                OutputContent::Inline(text) => {
                    let bytes = STANDARD.decode(text).map_err(|error| {
                        CompleteError::Invalid(format!(
                            "the output '{}' is no base64: {error}",
                            output.key
                        ))
                    })?;
                    collected
                        .blobs
                        .push(self.0.blobs.receive_bytes(bytes).await?);
                    collected.blobs.len() - 1
                }
                OutputContent::Staged(id) => {
                    let id: i64 = id.parse().unwrap_or(-1);
                    match (places.get(&id), staged.remove(&id)) {
                        (Some(place), _) => *place,
                        (None, Some(blob)) => {
                            collected.blobs.push(blob);
                            places.insert(id, collected.blobs.len() - 1);
                            collected.blobs.len() - 1
                        }
                        (None, None) => {
                            return Err(CompleteError::Invalid(format!(
                                "the uploaded content of the output '{}' is gone: the lease had lapsed, or the gateway was restarted",
                                output.key
                            )));
                        }
                    }
                }
            };
            if !output.provider.is_empty() {
                let delivery = Delivery {
                    provider: output.provider,
                    bucket: output.bucket,
                    key: output.key,
                    content_type: output.content_type,
                };
                collected.deliveries.push((delivery, place));
                continue;
            }
            let etag = collected
                .blobs
                .get(place)
                .map(|blob| blob.md5.clone())
                .unwrap_or_default();
            let object = object(output.bucket, output.key, etag, output.content_type);
            collected.objects.push((object, place));
        }
        Ok(collected)
    }
}

impl Staging {
    pub(super) fn take(&self, attempt: &Attempt) -> HashMap<i64, NewBlob> {
        let mut staging = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Those of older attempts will never be asked for.
        staging.retain(|(job, number), _| *job != attempt.job || *number >= attempt.attempt);
        staging
            .remove(&(attempt.job.clone(), attempt.attempt))
            .unwrap_or_default()
    }

    /// Drops what belongs to none of these leases.
    pub(in crate::queue) fn keep_only(&self, is_held: impl Fn(&str, u32) -> bool) {
        let mut staging = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        staging.retain(|(job, number), _| is_held(job, *number));
    }
}
