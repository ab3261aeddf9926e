//! One watched folder.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use spillway_model::service::StorageIo;
use spillway_storage::{
    Depth, Entry as File, Listening, Notice, ObjectPath, Provider, StorageError, UNFINISHED,
};
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info, warn};

use super::known::{Known, MOST};
use super::rows::{self, Watch};
use super::{BREATH, Shared};
use crate::intake::version;
use crate::queue::{Backoff, Entry};
use crate::store::StoreError;

/// New files that one look collects before they are fetched.
const BATCH: usize = 2_000;

/// While the store tells what is new, the folder is listed so often all the same: a notification may be lost.
const LISTENED: Duration = Duration::from_mins(5);

/// Looking takes at most this part of the time: a long list is looked through less often.
const SHARE: u32 = 10;

/// A file without an entity tag, or written this moment, is looked at twice, so long apart.
pub(super) const SETTLE: Duration = Duration::from_secs(2);

/// Pauses while the provider is away: doubling, with a fifth of jitter either way.
const PAUSE: Backoff = Backoff {
    first: Duration::from_secs(1),
    ceiling: Duration::from_mins(5),
};

/// Whether the store tells of new objects.
enum Ear {
    Untried,
    /// It does not.
    Deaf,
    Open(Box<Listening>),
}

/// Why a look had to end.
#[derive(Debug, thiserror::Error)]
pub(super) enum LookError {
    #[error("{}", .0.in_full())]
    Provider(#[from] StorageError),
    #[error("the database: {0}")]
    Store(#[from] StoreError),
    #[error("{0}")]
    Away(String),
}

/// What a look left to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    Nothing,
    /// Some files are to be looked at again soon.
    Unsettled,
    /// There is more than one look takes.
    More,
}

/// How a look ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// All was seen.
    Whole,
    /// There is no such folder, or it cannot be seen as a whole.
    Absent,
    /// There is more than one look takes.
    Full,
}

/// See the module.
pub(super) struct Folder {
    pub(super) shared: Arc<Shared>,
    pub(super) watch: Watch,
    pub(super) entry: Arc<Entry>,
    pub(super) provider: String,
    pub(super) client: Arc<Provider>,
    /// Without slashes around it.
    pub(super) place: ObjectPath,
    pub(super) known: Known,
    /// Files that could not be had: tries, and when to try again.
    pub(super) troubled: HashMap<String, (u32, Instant)>,
    /// Files that have to be seen twice: what they were the first time.
    pub(super) young: HashMap<String, String>,
    ear: Ear,
}

impl Folder {
    pub(super) fn new(
        shared: Arc<Shared>,
        watch: Watch,
        entry: Arc<Entry>,
        provider: String,
        client: Arc<Provider>,
        io: &StorageIo,
    ) -> Self {
        let ear = match &*client {
            Provider::S3(_) => Ear::Untried,
            _ => Ear::Deaf,
        };
        Self {
            shared,
            watch,
            entry,
            provider,
            place: client.folder(io),
            client,
            known: Known::default(),
            troubled: HashMap::new(),
            young: HashMap::new(),
            ear,
        }
    }

    /// Never ends by itself.
    pub(super) async fn run(mut self) {
        while let Err(error) = self.remember().await {
            warn!(%error, service.name = %self.watch.service, "reading what was seen");
            tokio::time::sleep(BREATH).await;
        }
        let mut failures = 0;
        loop {
            let began = Instant::now();
            let looked = self.round().await;
            let wait = match looked {
                Ok(left) => {
                    if failures > 0 {
                        info!(service.name = %self.watch.service, provider = %self.provider, "is back");
                    }
                    failures = 0;
                    let usual = if matches!(self.ear, Ear::Open(_)) {
                        LISTENED
                    } else {
                        self.shared.interval
                    };
                    match left {
                        Left::More => Duration::ZERO,
                        Left::Unsettled => SETTLE.min(usual),
                        Left::Nothing => jittered(usual.max(began.elapsed() * SHARE)),
                    }
                }
                Err(error) => {
                    failures += 1;
                    self.ear_closed();
                    warn!(service.name = %self.watch.service, provider = %self.provider, failures, "looking into its input: {error}");
                    Duration::from_millis(u64::try_from(PAUSE.after(failures, 0)).unwrap_or(0))
                }
            };
            self.wait(Instant::now() + wait).await;
        }
    }

    async fn remember(&mut self) -> Result<(), StoreError> {
        let id = self.watch.id;
        let mut known = std::mem::take(&mut self.known);
        known.clear();
        let store = self.shared.queue.store();
        self.known = store
            .read(move |db| {
                rows::each_seen(db, id, |key, version| known.see(key, version))?;
                Ok::<_, StoreError>(known)
            })
            .await?;
        Ok(())
    }

    /// Waits until it is time for the next look, and takes what the store tells of meanwhile.
    async fn wait(&mut self, until: Instant) {
        loop {
            let Ear::Open(listening) = &mut self.ear else {
                return sleep_until(until).await;
            };
            let heard = tokio::select! {
                heard = listening.next() => heard,
                () = sleep_until(until) => return,
            };
            let Ok(Some(notices)) = heard else {
                // What is missed meanwhile the next look finds.
                self.ear_closed();
                tokio::time::sleep(jittered(PAUSE.first)).await;
                return;
            };
            let keys: Vec<String> = notices
                .into_iter()
                .filter_map(|notice| match notice {
                    Notice::Created(path) => Some(path.key),
                    Notice::Alive => None,
                })
                .collect();
            if !keys.is_empty() && !matches!(self.told(keys).await, Ok(Left::Nothing)) {
                return; // A look is due.
            }
        }
    }

    fn ear_closed(&mut self) {
        if matches!(self.ear, Ear::Open(_)) {
            self.ear = Ear::Untried;
        }
    }

    /// Takes the files that the store has named.
    async fn told(&mut self, keys: Vec<String>) -> Result<Left, LookError> {
        let mut found = Vec::new();
        for key in keys {
            if !self.is_ours(&key) {
                continue;
            }
            let path = ObjectPath::new(self.place.bucket.clone(), key);
            if let Some(file) = self.client.storage().head(&path).await? {
                let version = version(&self.client, &file);
                if !self.known.has(&path.key, &version) {
                    found.push(file);
                }
            }
        }
        self.take(found).await
    }

    /// One look: lists, compares, fetches.
    async fn round(&mut self) -> Result<Left, LookError> {
        let shared = Arc::clone(&self.shared);
        let Ok(_permit) = shared.room.acquire().await else {
            return Ok(Left::Nothing);
        };
        // Before the list is read, so that nothing falls between the two.
        if let (Ear::Untried, Provider::S3(storage)) = (&self.ear, &*self.client) {
            let below = ObjectPath::new(self.place.bucket.clone(), self.prefix());
            self.ear = match storage.listen(&below).await? {
                Some(listening) => Ear::Open(Box::new(listening)),
                None => Ear::Deaf,
            };
        }
        let (new, end) = self.look().await?;
        debug!(service.name = %self.watch.service, new = new.len(), ?end, "looked");
        let left = self.take(new).await?;
        if end == End::Full {
            Ok(Left::More)
        } else {
            // A folder that is away (a disk not mounted behind the server) is not an empty one.
            if end == End::Whole {
                self.forget_missed().await?;
            }
            if !self.watch.is_known {
                let id = self.watch.id;
                let store = self.shared.queue.store();
                store.write(move |db| rows::set_known(db, id)).await?;
                self.watch.is_known = true;
            }
            Ok(left)
        }
    }

    /// The new files, up to a batch, and how the list ended.
    async fn look(&mut self) -> Result<(Vec<File>, End), LookError> {
        self.known.begin();
        let client = Arc::clone(&self.client);
        let path = match &*client {
            Provider::S3(_) => ObjectPath::new(self.place.bucket.clone(), self.prefix()),
            _ => self.place.clone(),
        };
        let mut files = client.storage().list(&path, Depth::All);
        let (mut new, mut old) = (Vec::new(), Vec::new());
        let mut end = End::Whole;
        while let Some(file) = files.next().await {
            let file = match file {
                Ok(file) => file,
                Err(error) if error.why() == Some(spillway_storage::Why::NotFound) => {
                    end = End::Absent;
                    break;
                }
                Err(error) => return Err(error.into()),
            };
            let key = &file.path.key;
            let version = version(&client, &file);
            if !self.is_ours(key) || self.known.has(key, &version) {
                continue;
            }
            if self.known.is_full() {
                warn!(service.name = %self.watch.service, "more than {MOST} files are in the folder; further ones are left alone");
                end = End::Absent;
                break;
            }
            if !self.watch.is_known && is_older(&file, self.watch.since_ms) {
                self.known.see(key, &version);
                old.push((key.clone(), version));
                if old.len() >= BATCH {
                    self.mark(std::mem::take(&mut old)).await?;
                }
                continue;
            }
            new.push(file);
            if new.len() >= BATCH {
                end = End::Full;
                break;
            }
        }
        drop(files);
        self.mark(old).await?;
        Ok((new, end))
    }

    /// Files that were there before.
    async fn mark(&mut self, old: Vec<(String, String)>) -> Result<(), StoreError> {
        if old.is_empty() {
            return Ok(());
        }
        let id = self.watch.id;
        let store = self.shared.queue.store();
        store
            .write(move |db| {
                for (key, version) in &old {
                    rows::see(db, id, key, version)?;
                }
                Ok::<_, StoreError>(())
            })
            .await
    }

    async fn forget_missed(&mut self) -> Result<(), StoreError> {
        if !self.known.misses() {
            return Ok(());
        }
        let id = self.watch.id;
        let known = std::mem::take(&mut self.known);
        let store = self.shared.queue.store();
        let found = store
            .read(move |db| {
                let mut gone = Vec::new();
                rows::each_seen(db, id, |key, _| {
                    if gone.len() < MOST && known.is_missed(key) {
                        gone.push(key.to_owned());
                    }
                })?;
                Ok::<_, StoreError>((known, gone))
            })
            .await;
        let (known, gone) = match found {
            Ok(found) => found,
            Err(error) => {
                self.remember().await?;
                return Err(error);
            }
        };
        self.known = known;
        for some in gone.chunks(BATCH) {
            let some = some.to_vec();
            store.write(move |db| rows::forget(db, id, &some)).await?;
        }
        self.known.forget_missed();
        Ok(())
    }

    fn prefix(&self) -> String {
        match self.place.key.as_str() {
            "" => String::new(),
            folder => format!("{folder}/"),
        }
    }

    /// A file of the folder, not a marker and not one that somebody is still writing.
    fn is_ours(&self, key: &str) -> bool {
        let name = key.rsplit('/').next().unwrap_or_default();
        key.starts_with(&self.prefix()) && !name.is_empty() && !name.starts_with(UNFINISHED)
    }
}

/// What the provider says nothing about was there before.
fn is_older(file: &File, since_ms: i64) -> bool {
    let modified = file.modified.map(Timestamp::as_millisecond);
    since_ms != i64::MIN && modified.is_none_or(|modified| modified < since_ms)
}

/// Up to a tenth more or less.
fn jittered(wait: Duration) -> Duration {
    let dice = u16::try_from(uuid::Uuid::new_v4().as_u128() & 0xffff).unwrap_or(0);
    wait.mul_f64(0.9 + f64::from(dice) / 327_680.0)
}
