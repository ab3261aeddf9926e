//! Secrets at rest: sealed with a key that lies beside the database, readable by us alone. A copy of the database,
//! a page of it on a broken card or a dump of a table shows nothing.
//!
//! ChaCha20-Poly1305 (RFC 8439) with a random nonce in front of each sealed value. What the value belongs to is
//! authenticated with it, so that nobody can move it to another row.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::auth::{NoRandomness, random};

/// File in the data folder.
const FILE: &str = "secrets.key";

/// Bytes of the key.
const KEY: usize = 32;

/// Why a secret could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VaultError {
    #[error(transparent)]
    Random(#[from] NoRandomness),
    #[error("sealing a secret failed")]
    Seal,
    /// The value was changed, moved, or sealed with another key.
    #[error(
        "a stored secret cannot be opened: secrets.key in the data folder is not the one it was sealed with"
    )]
    Open,
}

/// Seals and opens.
#[derive(Debug)]
pub(crate) struct Vault {
    key: LessSafeKey,
}

impl Vault {
    /// Takes the key of the data folder; makes one at the first start.
    pub(crate) fn open_folder(data: &Path) -> anyhow::Result<Self> {
        let path = data.join(FILE);
        let key = match fs::read(&path) {
            Ok(key) => key,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                make(&path).with_context(|| format!("writing {}", path.display()))?
            }
            Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
        };
        Self::new(&key).with_context(|| {
            format!(
                "{} does not hold {KEY} bytes; bring the file back from a backup, or remove it and set all secrets anew",
                path.display()
            )
        })
    }

    fn new(key: &[u8]) -> anyhow::Result<Self> {
        let key =
            UnboundKey::new(&CHACHA20_POLY1305, key).map_err(|_| anyhow::anyhow!("bad key"))?;
        Ok(Self {
            key: LessSafeKey::new(key),
        })
    }

    /// Seals `secret`, which belongs to `place`, such as `secret/<service>/<name>`.
    pub(crate) fn seal(&self, place: &str, secret: &[u8]) -> Result<Vec<u8>, VaultError> {
        let nonce = random::<NONCE_LEN>()?;
        let mut sealed = secret.to_vec();
        self.key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(place),
                &mut sealed,
            )
            .map_err(|_| VaultError::Seal)?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// What was sealed for `place`.
    pub(crate) fn open(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>, VaultError> {
        let (nonce, sealed) = sealed
            .split_first_chunk::<NONCE_LEN>()
            .ok_or(VaultError::Open)?;
        let mut secret = sealed.to_vec();
        let opened = self
            .key
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(place),
                &mut secret,
            )
            .map_err(|_| VaultError::Open)?
            .len();
        secret.truncate(opened);
        Ok(secret)
    }

    /// The same, where the secret is text.
    pub(crate) fn open_text(&self, place: &str, sealed: &[u8]) -> Result<String, VaultError> {
        String::from_utf8(self.open(place, sealed)?).map_err(|_| VaultError::Open)
    }
}

/// Whole or not at all, readable by us alone.
fn make(path: &Path) -> anyhow::Result<Vec<u8>> {
    let key = random::<KEY>()?;
    let temporary = path.with_extension("key.new");
    let _ = fs::remove_file(&temporary); // A crash may have left it; its mode would be kept.
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(&key)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    if let Some(folder) = path.parent() {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(key.to_vec())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_is_sealed_opens_after_a_restart_and_only_in_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::open_folder(folder.path()).unwrap();
        let sealed = vault.seal("secret/a/KEY", b"tomato").unwrap();
        assert!(!sealed.windows(6).any(|part| part == b"tomato"));
        assert_ne!(sealed, vault.seal("secret/a/KEY", b"tomato").unwrap());

        let again = Vault::open_folder(folder.path()).unwrap();
        assert_eq!(again.open_text("secret/a/KEY", &sealed).unwrap(), "tomato");
        assert!(again.open("secret/b/KEY", &sealed).is_err());
        assert!(again.open("secret/a/KEY", &sealed[1..]).is_err());
        assert!(again.open("secret/a/KEY", b"short").is_err());
        let file = fs::metadata(folder.path().join(FILE)).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_key_of_the_wrong_size_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), "short").unwrap();
        let error = format!("{:#}", Vault::open_folder(folder.path()).unwrap_err());
        assert!(error.contains("does not hold 32 bytes"), "{error}");
    }
}
