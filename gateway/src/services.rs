//! The services of the cluster: their rows, their secrets, and the buckets and triggers that come and go with them.
//!
//! Each change is one transaction. It runs in a task of its own, so that a caller who hangs up half-way cannot
//! leave the queue with an outdated idea of the services.

mod change;
mod isolation;
mod people;
mod places;
mod rows;
mod unavailable;

use std::sync::Arc;

use jiff::Timestamp;
use spillway_model::service::{MinioProvider, Replica, Service};
use tokio_util::task::TaskTracker;

use crate::auth::{Caller, NoRandomness, UserError, Users};
use crate::federation::{Edit, REFRESH_TOKEN};
use crate::objects::ObjectError;
use crate::providers::{CheckError, Clocks, Providers};
use crate::queue::{Queue, Which};
use crate::store::{Store, StoreError};
use crate::volumes::{self, VolumeError, Volumes};
use crate::watch;

pub(crate) use places::Place;
pub(crate) use rows::{pull_secrets, revise};

/// Key, in the table of settings, of the JSON array of allowed image repositories.
const ALLOWED_IMAGES: &str = "allowed_image_repositories";

/// Why a change of the services failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServiceError {
    #[error("A service with the provided name already exists")]
    Exists,
    #[error("there is no service of that name")]
    Unknown,
    /// The caller may see it, but not change it.
    #[error("the service belongs to somebody else")]
    NotYours,
    /// What this version cannot do, in words for the user.
    #[error("{0}")]
    Unavailable(String),
    #[error("image {0} is not allowed for pull")]
    ImageNotAllowed(String),
    /// Begins with the reference's words.
    #[error(
        "the bucket \"{0}\" already exists and is not yours to write to: choose another name, or have it shared with you"
    )]
    BucketTaken(String),
    /// The group (VO) that a user's service names or lacks, in the reference's words.
    #[error("{0}")]
    Group(String),
    #[error("the account of a user")]
    User(#[from] UserError),
    #[error("making a token")]
    Token(#[from] NoRandomness),
    #[error(transparent)]
    Provider(#[from] CheckError),
    #[error(transparent)]
    Objects(#[from] ObjectError),
    #[error("the database")]
    Store(#[from] StoreError),
    #[error("reading or writing the stored definition of {service}")]
    Damaged {
        service: String,
        #[source]
        source: serde_json::Error,
    },
    /// Its federation cannot work, in the reference's words.
    #[error("{0}")]
    Federation(String),
    #[error(transparent)]
    Volume(#[from] VolumeError),
    #[error("the gateway is stopping")]
    Stopping,
}

impl From<rusqlite::Error> for ServiceError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Tag that names the service a bucket was made for.
const FROM_SERVICE: &str = "from_service";

/// What changes go by, besides what the database says.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) users: Users,
    /// Groups that a user's service may belong to: those of which users must have one.
    pub(crate) groups: Arc<[String]>,
}

/// How far the providers of a definition are checked before it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trial {
    /// By talking to them.
    Full,
    /// Only whether they are defined: they may be away.
    NamesOnly,
}

/// Clonable handle to the services.
#[derive(Debug, Clone)]
pub(crate) struct Services {
    pub(crate) store: Store,
    pub(crate) queue: Queue,
    pub(crate) tasks: TaskTracker,
    pub(crate) volumes: Volumes,
    pub(crate) providers: Providers,
    /// What `storage_providers.minio.default` is in every service.
    pub(crate) built_in: MinioProvider,
    pub(crate) rules: Rules,
}

impl Services {
    /// The service, secrets blank.
    pub(crate) async fn get(&self, name: &str) -> Result<Option<Service>, ServiceError> {
        let name = name.to_owned();
        let service = self.store.read(move |db| with_volume(db, &name)).await?;
        Ok(service.map(|service| self.with_built_in(service)))
    }

    /// Whether there is such a service.
    pub(crate) async fn exists(&self, name: &str) -> Result<bool, ServiceError> {
        let name = name.to_owned();
        self.store.read(move |db| rows::exists(db, &name)).await
    }

    /// All services by name.
    pub(crate) async fn list(&self) -> Result<Vec<Service>, ServiceError> {
        let services = self.store.read(with_volumes).await?;
        Ok(services
            .into_iter()
            .map(|service| self.with_built_in(service))
            .collect())
    }

    /// Adds a service with all that belongs to it.
    pub(crate) async fn create(
        &self,
        caller: Caller,
        service: Service,
        trial: Trial,
    ) -> Result<(), ServiceError> {
        let (service, rules) = (self.with_built_in(service), self.rules.clone());
        if self.exists(&service.name).await? {
            return Err(ServiceError::Exists); // Before anybody elsewhere is bothered.
        }
        let clocks = self.try_providers(&service, trial).await?;
        let watched = service.clone();
        self.change(move |db| {
            let now = Timestamp::now();
            change::create(db, &caller, &rules, service, now)?;
            Ok(watch::attach(db, &watched, &clocks, now)?)
        })
        .await
    }

    /// Replaces a service's definition; see the module `change` for what stays.
    pub(crate) async fn update(
        &self,
        caller: Caller,
        service: Service,
        trial: Trial,
    ) -> Result<(), ServiceError> {
        let (service, rules) = (self.with_built_in(service), self.rules.clone());
        let (who, name) = (caller.clone(), service.name.clone());
        // Nobody makes us talk to a provider for a service that is not theirs.
        self.store
            .read(move |db| change::changeable(db, &who, &name).map(drop))
            .await?;
        let clocks = self.try_providers(&service, trial).await?;
        let watched = service.clone();
        self.change(move |db| {
            let now = Timestamp::now();
            change::update(db, &caller, &rules, service, now)?;
            Ok(watch::attach(db, &watched, &clocks, now)?)
        })
        .await
    }

    /// Checks the providers that a definition uses, outside of any transaction.
    async fn try_providers(&self, service: &Service, trial: Trial) -> Result<Clocks, ServiceError> {
        if let Some(reason) = unavailable::reason(service) {
            return Err(ServiceError::Unavailable(reason));
        }
        self.providers.check_names(service)?;
        Ok(match trial {
            Trial::Full => self.providers.check(service).await?,
            Trial::NamesOnly => Clocks::new(),
        })
    }

    /// Changes the members of a service's federation; the service as it is then, and the members that are gone.
    pub(crate) async fn federate(
        &self,
        caller: Caller,
        name: &str,
        edit: Edit,
    ) -> Result<(Service, Vec<Replica>), ServiceError> {
        let name = name.to_owned();
        let changed =
            self.change(move |db| change::federate(db, &caller, &name, &edit, Timestamp::now()));
        let (service, gone) = changed.await?;
        Ok((self.with_built_in(service), gone))
    }

    /// The secret with which the service acts on other clusters.
    pub(crate) async fn refresh_token(&self, name: &str) -> Result<Option<String>, ServiceError> {
        let name = name.to_owned();
        self.store
            .read(move |db| rows::secret(db, &name, REFRESH_TOKEN))
            .await
    }

    /// Removes a service, its jobs, and the buckets that only it used.
    pub(crate) async fn delete(&self, caller: Caller, name: &str) -> Result<(), ServiceError> {
        let (this, name) = (self.clone(), name.to_owned());
        let work = self.tasks.spawn(async move {
            let target = name.clone();
            this.store
                .write(move |db| change::delete(db, &caller, &target))
                .await?;
            this.queue.services_changed();
            this.volumes.changed();
            this.queue.delete(&name, Which::All).await?;
            Ok(())
        });
        work.await.unwrap_or(Err(ServiceError::Stopping))
    }

    /// Completes deletions that a crash cut short: a job without its service can never run.
    pub(crate) async fn finish_deletions(&self) -> Result<(), ServiceError> {
        for service in self.store.read(rows::without_service).await? {
            self.queue.delete(&service, Which::All).await?;
        }
        Ok(())
    }

    /// Which images may be used: those whose name contains one of these; all when there are none.
    pub(crate) async fn allowed_images(&self) -> Result<Vec<String>, ServiceError> {
        self.store.read(rows::allowed_images).await
    }

    /// Sets the same.
    pub(crate) async fn allow_images(&self, repositories: Vec<String>) -> Result<(), ServiceError> {
        self.store
            .write(move |db| rows::allow_images(db, &repositories))
            .await
    }

    /// Says where the built-in store is, which may have moved since the service was stored.
    fn with_built_in(&self, mut service: Service) -> Service {
        service
            .storage_providers
            .minio
            .insert("default".to_owned(), self.built_in.clone());
        service
    }

    async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&rusqlite::Connection) -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let this = self.clone();
        let work = self.tasks.spawn(async move {
            let changed = this.store.write(change).await?;
            this.queue.services_changed();
            this.volumes.changed();
            Ok(changed)
        });
        work.await.unwrap_or(Err(ServiceError::Stopping))
    }
}

#[cfg(test)]
impl Rules {
    /// With a database of its own, that goes with the process.
    fn for_tests() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Store::open(&folder.path().join("db")).expect("a database");
        Self {
            users: Users::new(store.clone(), Arc::clone(store.vault())),
            groups: Arc::from([]),
        }
    }
}

/// The service with the state of its volume.
fn with_volume(db: &rusqlite::Connection, name: &str) -> Result<Option<Service>, ServiceError> {
    let Some(mut service) = rows::get(db, name)? else {
        return Ok(None);
    };
    if service.volume.is_some() {
        service.volume_status = volumes::status(db, name)?;
    }
    Ok(Some(service))
}

fn with_volumes(db: &rusqlite::Connection) -> Result<Vec<Service>, ServiceError> {
    let mut states = volumes::statuses(db)?;
    let mut services = rows::list(db)?;
    for service in &mut services {
        if let Some(state) = states.remove(&service.name) {
            service.volume_status = state;
        }
    }
    Ok(services)
}
