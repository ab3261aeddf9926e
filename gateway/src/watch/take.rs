//! From a new file to a job.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;
use jiff::Timestamp;
use spillway_storage::{Entry as File, Provider};
use tokio::time::Instant;
use tracing::{info, warn};

use super::folder::{Folder, Left, LookError, SETTLE};
use super::rows;
use crate::intake::{FetchError, fetch, version};
use crate::objects::NewBlob;
use crate::queue::{Arrival, Backoff};

/// Files of one folder that are fetched at the same time.
const AT_ONCE: usize = 4;

/// Jobs of the service that may wait before further files are fetched: until then they are as safe where they are.
const AHEAD: u32 = 256;

/// The same in bytes of their inputs.
const AHEAD_BYTES: u64 = 2 * 1024 * 1024 * 1024;

/// Files whose trouble is remembered.
const TROUBLED: usize = 10_000;

/// Pauses of a file that cannot be had: doubling, with a fifth of jitter either way.
const PAUSE: Backoff = Backoff {
    first: Duration::from_secs(5),
    ceiling: Duration::from_mins(30),
};

impl Folder {
    /// Fetches files and makes jobs of them, until the queue has enough.
    pub(super) async fn take(&mut self, new: Vec<File>) -> Result<Left, LookError> {
        let mut left = Left::Nothing;
        let now = Instant::now();
        let mut ready = Vec::new();
        for file in new {
            let key = &file.path.key;
            if self
                .troubled
                .get(key)
                .is_some_and(|(_, until)| now < *until)
            {
                continue;
            }
            if self.is_settled(&file) {
                ready.push(file);
            } else {
                left = Left::Unsettled;
            }
        }
        for some in ready.chunks(AT_ONCE) {
            if self.has_enough().await? {
                return Ok(Left::Unsettled);
            }
            let (client, queue) = (Arc::clone(&self.client), self.shared.queue.clone());
            let fetched: Vec<(File, Result<NewBlob, FetchError>)> = stream::iter(some.to_vec())
                .map(|file| async {
                    let limit = queue.settings().output_limit;
                    let (path, expected) = (file.path.clone(), Some(file.clone()));
                    let fetched = fetch(&client, queue.blobs(), &path, expected, limit).await;
                    (file, fetched.map(|(blob, _)| blob))
                })
                .buffered(AT_ONCE)
                .collect()
                .await;
            let mut away = None;
            for (file, fetched) in fetched {
                match fetched {
                    Ok(blob) => {
                        if !self.accept(&file, blob).await? {
                            left = Left::Unsettled;
                        }
                    }
                    Err(error) if error.is_away() => away = Some(error.words()),
                    // The next look will see it, or see it no more.
                    Err(FetchError::Changed | FetchError::Missing) => left = Left::Unsettled,
                    Err(error) => self.trouble(&file, &error.words()),
                }
            }
            if let Some(words) = away {
                return Err(LookError::Away(words));
            }
        }
        Ok(left)
    }

    /// Whether the file is complete, as far as can be told: many servers show one while it is written.
    fn is_settled(&mut self, file: &File) -> bool {
        if !matches!(&*self.client, Provider::Webdav(_)) {
            return true; // S3 shows what is complete.
        }
        let key = &file.path.key;
        let what = format!("{} {:?}", version(&self.client, file), file.modified);
        let age = file
            .modified
            .map(|modified| Timestamp::now().duration_since(modified).unsigned_abs());
        if file.etag.is_some() && age.is_some_and(|age| age >= SETTLE * 5) {
            return true;
        }
        if self.young.get(key) == Some(&what) {
            self.young.remove(key);
            return true;
        }
        if self.young.len() >= TROUBLED {
            self.young.clear();
        }
        self.young.insert(key.clone(), what);
        false
    }

    async fn has_enough(&mut self) -> Result<bool, LookError> {
        if self.shared.queue.exhausted().is_some() {
            return Ok(true);
        }
        let service = self.watch.service.clone();
        let store = self.shared.queue.store();
        let (jobs, bytes) = store
            .read(move |db| rows::ahead(db, &service, AHEAD))
            .await?;
        Ok(jobs >= AHEAD || bytes >= AHEAD_BYTES)
    }

    /// Job and mark in one transaction; false if the queue is full.
    async fn accept(&mut self, file: &File, blob: NewBlob) -> Result<bool, LookError> {
        let version = version(&self.client, file);
        let (id, key) = (self.watch.id, file.path.key.clone());
        let arrival = Arrival {
            service: self.watch.service.clone(),
            provider: self.provider.clone(),
            bucket: file.path.bucket.clone(),
            folder: self.place.key.clone(),
            key: key.clone(),
            etag: file.etag.clone().unwrap_or_default(),
            content_type: file
                .content_type
                .clone()
                .unwrap_or_else(|| "application/octet-stream".to_owned()),
            owner: self.entry.owner.clone(),
            time: file.modified.unwrap_or_else(Timestamp::now),
        };
        let seen = version.clone();
        let mark = move |db: &rusqlite::Connection| rows::see(db, id, &key, &seen);
        let Some(job) = self.shared.queue.arrive(arrival, blob, mark).await? else {
            return Ok(false);
        };
        self.known.see(&file.path.key, &version);
        self.troubled.remove(&file.path.key);
        info!(service.name = %self.watch.service, job.id = job, key = %file.path.key, "a new file");
        Ok(true)
    }

    fn trouble(&mut self, file: &File, words: &str) {
        let key = file.path.key.clone();
        if self.troubled.len() >= TROUBLED {
            self.troubled.clear();
        }
        let tries = self.troubled.get(&key).map_or(1, |(tries, _)| tries + 1);
        let pause = u64::try_from(PAUSE.after(tries, 0)).unwrap_or(0);
        warn!(service.name = %self.watch.service, key, tries, "a new file cannot be had: {words}");
        self.troubled
            .insert(key, (tries, Instant::now() + Duration::from_millis(pause)));
    }
}
