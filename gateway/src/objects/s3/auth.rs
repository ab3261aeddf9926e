//! Who may: the administrator's key pair. `s3s` verifies the signatures with the secret we look up.

use ring::digest::{SHA256, digest};
use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3Error, S3ErrorCode, S3Result};
use subtle::ConstantTimeEq;

/// The administrator's access key and secret key.
#[derive(Clone)]
pub struct Credentials {
    pub access_key: String,
    pub secret_key: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key", &self.access_key)
            .finish_non_exhaustive()
    }
}

#[async_trait::async_trait]
impl S3Auth for Credentials {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        // Hashed first: comparing must not tell how long the right key is.
        let (ours, theirs) = (
            digest(&SHA256, self.access_key.as_bytes()),
            digest(&SHA256, access_key.as_bytes()),
        );
        if bool::from(ours.as_ref().ct_eq(theirs.as_ref())) {
            return Ok(SecretKey::from(self.secret_key.as_str()));
        }
        Err(S3Error::with_message(
            S3ErrorCode::InvalidAccessKeyId,
            "the access key is not known here; the gateway's configuration says the right one",
        ))
    }
}
