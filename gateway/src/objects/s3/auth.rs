//! Whose key it is: the administrator's pair, or that of a user. `s3s` verifies the signatures with the secret we
//! look up.

use std::sync::Arc;

use ring::digest::{SHA256, digest};
use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3Error, S3ErrorCode, S3Result};
use subtle::ConstantTimeEq;
use tracing::error;

use crate::auth::{self, Users};

/// The administrator's access key and secret key, and where those of users are.
#[derive(Clone)]
pub struct Credentials {
    access_key: String,
    secret_key: String,
    users: Option<Users>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key", &self.access_key)
            .finish_non_exhaustive()
    }
}

impl Credentials {
    /// Of the administrator alone.
    pub fn new(access_key: impl Into<String>, secret_key: impl Into<String>) -> Self {
        Self {
            access_key: access_key.into(),
            secret_key: secret_key.into(),
            users: None,
        }
    }

    /// Lets users in, too.
    pub(crate) fn with_users(self, users: Users) -> Self {
        Self {
            users: Some(users),
            ..self
        }
    }

    /// Who signs with this access key; its signature must have been verified.
    pub(crate) fn caller(&self, access_key: &str) -> auth::Caller {
        if self.is_administrator(access_key) {
            return auth::Caller::Administrator;
        }
        auth::Caller::User(Arc::new(auth::User {
            uid: access_key.to_owned(),
            ..auth::User::default()
        }))
    }

    fn is_administrator(&self, access_key: &str) -> bool {
        // Hashed first: comparing must not tell how long the right key is.
        let (ours, theirs) = (
            digest(&SHA256, self.access_key.as_bytes()),
            digest(&SHA256, access_key.as_bytes()),
        );
        ours.as_ref().ct_eq(theirs.as_ref()).into()
    }
}

#[async_trait::async_trait]
impl S3Auth for Credentials {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        if self.is_administrator(access_key) {
            return Ok(SecretKey::from(self.secret_key.as_str()));
        }
        if let Some(users) = &self.users {
            let found = users.secret_key(access_key).await.map_err(|cause| {
                error!(error = %cause, "an object-store account could not be read");
                S3Error::with_message(
                    S3ErrorCode::InternalError,
                    "the accounts cannot be read; the gateway's log says why",
                )
            })?;
            if let Some(secret_key) = found {
                return Ok(SecretKey::from(secret_key));
            }
        }
        Err(S3Error::with_message(
            S3ErrorCode::InvalidAccessKeyId,
            "the access key is not known here; GET /system/config says the right one",
        ))
    }
}
