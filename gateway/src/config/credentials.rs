//! Passwords, keys and tokens: what was set, else what an earlier start generated, else new ones.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::{Config, Secret};
use crate::auth::random;

/// File in the data folder.
const FILE: &str = "credentials.json";

/// All credentials of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    pub username: String,
    pub password: Secret,
    pub access_key: Secret,
    pub secret_key: Secret,
    pub join_token: Secret,
}

impl Credentials {
    /// Reads the file of the data folder, lets `config` override it, and writes it when that changed something.
    pub(super) fn load(data: &Path, config: &Config) -> anyhow::Result<Self> {
        let path = data.join(FILE);
        let kept = match fs::read(&path) {
            Ok(text) => {
                Some(serde_json::from_slice::<Self>(&text).with_context(|| {
                    format!("{} is damaged; mend it or remove it", path.display())
                })?)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
        };
        let base = match kept.clone() {
            Some(kept) => kept,
            None => Self::generate()?,
        };
        let config = config.clone();
        let credentials = Self {
            username: config.username.unwrap_or(base.username),
            password: config.password.unwrap_or(base.password),
            access_key: config.access_key.unwrap_or(base.access_key),
            secret_key: config.secret_key.unwrap_or(base.secret_key),
            join_token: config.join_token.unwrap_or(base.join_token),
        };
        credentials.check()?;
        if kept.as_ref() != Some(&credentials) {
            credentials
                .save(&path)
                .with_context(|| format!("writing {}", path.display()))?;
        }
        Ok(credentials)
    }

    fn generate() -> anyhow::Result<Self> {
        Ok(Self {
            username: "oscar".to_owned(),
            password: word(18)?.into(),
            access_key: word(15)?.into(),
            secret_key: word(30)?.into(),
            join_token: hex::encode(random::<32>()?).into(),
        })
    }

    fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            !self.username.is_empty(),
            "username is empty; name the administrator"
        );
        anyhow::ensure!(
            !self.username.contains(':'),
            "username must not contain a colon, which HTTP Basic forbids"
        );
        for (name, secret) in [
            ("password", &self.password),
            ("access_key", &self.access_key),
            ("secret_key", &self.secret_key),
            ("join_token", &self.join_token),
        ] {
            anyhow::ensure!(
                !secret.reveal().is_empty(),
                "{name} is empty; set it, or leave it out and it is generated"
            );
        }
        Ok(())
    }

    /// Whole or not at all, readable by us alone.
    fn save(&self, path: &Path) -> anyhow::Result<()> {
        let temporary = path.with_extension("json.new");
        let _ = fs::remove_file(&temporary); // A crash may have left it; its mode would be kept.
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        if let Some(folder) = path.parent() {
            fs::File::open(folder)?.sync_all()?;
        }
        Ok(())
    }
}

/// A random word without characters that shells, URLs or S3 clients stumble over.
fn word(bytes: usize) -> anyhow::Result<String> {
    let mut text = BASE64_URL_SAFE_NO_PAD
        .encode(random::<32>()?)
        .replace(['-', '_'], "x");
    text.truncate(bytes * 4 / 3);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_was_generated_stays_and_only_we_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let first = Credentials::load(folder.path(), &Config::default()).unwrap();
        let again = Credentials::load(folder.path(), &Config::default()).unwrap();
        assert_eq!(first, again);
        assert_eq!(first.username, "oscar");
        assert_eq!(first.password.reveal().len(), 24);
        assert_eq!(first.join_token.reveal().len(), 64);
        let mode = fs::metadata(folder.path().join(FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn what_is_set_wins_and_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            password: Some("chosen".into()),
            ..Config::default()
        };
        Credentials::load(folder.path(), &config).unwrap();
        let later = Credentials::load(folder.path(), &Config::default()).unwrap();
        assert_eq!(later.password.reveal(), "chosen");
    }

    #[test]
    fn a_damaged_file_is_reported_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), "{").unwrap();
        let error = format!(
            "{:#}",
            Credentials::load(folder.path(), &Config::default()).unwrap_err()
        );
        assert!(error.contains("is damaged"), "{error}");
        assert_eq!(fs::read(folder.path().join(FILE)).unwrap(), b"{");
    }
}
