//! From the credentials in a definition to a client.

use jiff::Timestamp;
use spillway_model::service::{StorageIo, StorageProviders};

use crate::onedata::{OnedataSettings, OnedataStorage};
use crate::webdav::{WebdavSettings, WebdavStorage};
use crate::{Connections, ObjectPath, S3Settings, S3Storage, Storage, StorageError, Why};

/// A provider that a definition names.
#[derive(Debug, Clone)]
pub enum Provider {
    S3(S3Storage),
    Webdav(WebdavStorage),
    Onedata(OnedataStorage, String),
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// In OSCAR's words.
    #[error("the StorageProvider \"{0}\" is not defined")]
    Undefined(String),
    /// Of a kind that only events come from.
    #[error("{0} is no storage that this version moves files to or from")]
    NoTransfer(String),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Provider {
    /// The client for `<kind>.<id>`; nothing is sent yet.
    pub fn new(
        providers: &StorageProviders,
        kind: &str,
        id: &str,
        connections: &Connections,
    ) -> Result<Self, ProviderError> {
        let undefined = || ProviderError::Undefined(format!("{kind}.{id}"));
        Ok(match kind {
            "minio" => {
                let found = providers.minio.get(id).ok_or_else(undefined)?;
                if found.endpoint.trim().is_empty() {
                    // Without one the client would talk to AWS.
                    return Err(StorageError::Settings {
                        endpoint: format!("minio.{id}"),
                        message: "it has no endpoint".to_owned(),
                    }
                    .into());
                }
                let settings = S3Settings {
                    endpoint: found.endpoint.clone(),
                    region: found.region.clone(),
                    access_key: found.access_key.clone(),
                    secret_key: found.secret_key.clone(),
                    verify: found.verify,
                };
                Self::S3(S3Storage::with(settings, connections)?)
            }
            "s3" => {
                let found = providers.s3.get(id).ok_or_else(undefined)?;
                let settings = S3Settings {
                    endpoint: String::new(),
                    region: found.region.clone(),
                    access_key: found.access_key.clone(),
                    secret_key: found.secret_key.clone(),
                    verify: true,
                };
                Self::S3(S3Storage::with(settings, connections)?)
            }
            "webdav" => {
                let found = providers.webdav.get(id).ok_or_else(undefined)?;
                let settings = WebdavSettings {
                    hostname: found.hostname.clone(),
                    login: found.login.clone(),
                    password: found.password.clone(),
                };
                Self::Webdav(WebdavStorage::with(settings, connections)?)
            }
            "onedata" => {
                let found = providers.onedata.get(id).ok_or_else(undefined)?;
                let settings = OnedataSettings {
                    host: found.oneprovider_host.clone(),
                    token: found.token.clone(),
                };
                let space = found.space.trim_matches('/').to_owned();
                Self::Onedata(OnedataStorage::with(settings, connections)?, space)
            }
            _ => return Err(ProviderError::NoTransfer(format!("{kind}.{id}"))),
        })
    }

    /// What all of them can.
    pub fn storage(&self) -> &dyn Storage {
        match self {
            Self::S3(storage) => storage,
            Self::Webdav(storage) => storage,
            Self::Onedata(storage, _) => storage,
        }
    }

    /// The folder that the (normalised) path of an input or output means, without slashes around it.
    pub fn folder(&self, io: &StorageIo) -> ObjectPath {
        match self {
            Self::S3(_) => {
                let (bucket, folder) = io.bucket_and_folder();
                ObjectPath::new(bucket, folder.trim_matches('/'))
            }
            Self::Webdav(_) => ObjectPath::new("", io.path.trim_matches('/')),
            Self::Onedata(_, space) => ObjectPath::new(space.clone(), io.path.trim_matches('/')),
        }
    }

    /// Makes an output's folder ready, which proves the credentials: bucket and folder of S3 and folders of Onedata are
    /// made, `WebDAV`'s are made with the first file.
    pub async fn prepare_output(&self, folder: &ObjectPath) -> Result<(), StorageError> {
        match self {
            Self::S3(storage) => make_s3_folder(storage, folder).await,
            Self::Webdav(storage) => storage.check(folder).await.map(drop),
            Self::Onedata(storage, space) => {
                storage.check(space).await?;
                storage.make_folder(folder).await
            }
        }
    }

    /// Makes an input's folder ready, which proves the credentials. Returns the provider's own time, if it tells it.
    pub async fn prepare_input(
        &self,
        folder: &ObjectPath,
    ) -> Result<Option<Timestamp>, StorageError> {
        match self {
            Self::S3(storage) => {
                let below = ObjectPath::new(folder.bucket.clone(), format!("{}/", folder.key));
                match storage.peek(&below).await {
                    Ok(Some(_)) => (),
                    Ok(None)
                    | Err(StorageError::Provider {
                        why: Why::NotFound, ..
                    }) => {
                        make_s3_folder(storage, folder).await?;
                        storage.peek(&below).await?;
                    }
                    Err(error) => return Err(error),
                }
                // The time of a bucket's own listing is not told; ours is near enough for what is asked of it.
                Ok(None)
            }
            Self::Webdav(storage) => storage.check(folder).await,
            Self::Onedata(storage, space) => storage.check(space).await.map(|()| None),
        }
    }
}

async fn make_s3_folder(storage: &S3Storage, folder: &ObjectPath) -> Result<(), StorageError> {
    if folder.key.is_empty() {
        return storage.create_bucket(&folder.bucket).await.map(drop);
    }
    let marker = ObjectPath::new(folder.bucket.clone(), format!("{}/", folder.key));
    let put = || storage.put(&marker, crate::Content::from_bytes(""), &|_| ());
    match put().await {
        Err(StorageError::Provider {
            why: Why::NotFound, ..
        }) => {
            storage.create_bucket(&folder.bucket).await?;
            put().await
        }
        other => other,
    }
}
