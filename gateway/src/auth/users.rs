//! People the gateway has met, and the object-store account of each: the subject is the access key.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{ADMINISTRATOR, ADMINISTRATOR_NAME, NoRandomness, random};
use crate::store::{Store, StoreError};
use crate::vault::{Vault, VaultError};

/// Random bytes of a secret key, as OSCAR makes them.
const SECRET_BYTES: usize = 10;

/// Accounts held in memory, so that not every request of S3 asks the database. One that is used again comes back.
const CACHED: usize = 1024;

/// Longest subject, in bytes: `OpenID` Connect allows 255 characters of ASCII.
const LONGEST_UID: usize = 255;

/// What cannot be a subject, because it names somebody else already.
const RESERVED: [&str; 3] = [ADMINISTRATOR, ADMINISTRATOR_NAME, "nil"];

/// Why a person has no account.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UserError {
    #[error(
        "{0:?} cannot be the name of a user; expected 1 to 255 printable characters without blanks and slashes"
    )]
    Name(String),
    /// The same subject came from an issuer that is still trusted.
    #[error(
        "the subject {uid:?} of the issuer {issuer:?} is another person, known by a different issuer"
    )]
    Taken { uid: String, issuer: String },
    #[error(transparent)]
    Random(#[from] NoRandomness),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error("the database")]
    Store(#[from] StoreError),
}

impl UserError {
    /// Whether it is about the person, and not trouble of ours.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Name(_) | Self::Taken { .. })
    }
}

impl From<rusqlite::Error> for UserError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Clonable handle to the people.
#[derive(Debug, Clone)]
pub(crate) struct Users(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    vault: Arc<Vault>,
    known: Mutex<HashMap<String, Known>>,
}

/// What is remembered of a person.
#[derive(Clone)]
struct Known {
    name: String,
    issuer: String,
    secret_key: String,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known").finish_non_exhaustive()
    }
}

impl Users {
    pub(crate) fn new(store: Store, vault: Arc<Vault>) -> Self {
        Self(Arc::new(Inner {
            store,
            vault,
            known: Mutex::default(),
        }))
    }

    /// Makes the account of a person who came with a token of `issuer`, unless it is there. A subject belongs to the
    /// first issuer that vouched for it, as long as that one is `trusted`; the next one takes over after.
    pub(crate) async fn first_seen(
        &self,
        uid: &str,
        name: &str,
        issuer: &str,
        trusted: &[String],
    ) -> Result<(), UserError> {
        if let Some(known) = self.known(uid).await? {
            if known.name == name && known.issuer == issuer {
                return Ok(());
            }
            if known.issuer != issuer && trusted.contains(&known.issuer) {
                return Err(UserError::Taken {
                    uid: uid.to_owned(),
                    issuer: issuer.to_owned(),
                });
            }
        }
        let (inner, person) = (
            Arc::clone(&self.0),
            (uid.to_owned(), name.to_owned(), issuer.to_owned()),
        );
        let change = move |db: &Connection| {
            let (uid, name, issuer) = person;
            add(db, &inner.vault, &uid)?;
            db.prepare_cached("UPDATE users SET name = ?2, issuer = ?3 WHERE uid = ?1")?
                .execute([&uid, &name, &issuer])?;
            Ok::<_, UserError>(())
        };
        self.0.store.write(change).await?;
        self.forget(uid);
        Ok(())
    }

    /// Makes accounts of people whom somebody has named before they came themselves. Inside a write.
    pub(crate) fn ensure(&self, db: &Connection, uid: &str) -> Result<(), UserError> {
        add(db, &self.0.vault, uid)
    }

    /// The secret key of an object-store account.
    pub(crate) async fn secret_key(&self, access_key: &str) -> Result<Option<String>, UserError> {
        let known = self.known(access_key).await?;
        Ok(known.map(|known| known.secret_key))
    }

    async fn known(&self, uid: &str) -> Result<Option<Known>, UserError> {
        if let Some(known) = self.lock().get(uid) {
            return Ok(Some(known.clone()));
        }
        if check(uid).is_err() {
            return Ok(None);
        }
        let (inner, wanted) = (Arc::clone(&self.0), uid.to_owned());
        let read = move |db: &Connection| find(db, &inner.vault, &wanted);
        let found = self.0.store.read(read).await?;
        if let Some(known) = &found {
            let mut all = self.lock();
            if all.len() >= CACHED
                && let Some(other) = all.keys().next().cloned()
            {
                all.remove(&other);
            }
            all.insert(uid.to_owned(), known.clone());
        }
        Ok(found)
    }

    fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Known>> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether this can be somebody's subject.
pub(crate) fn check(uid: &str) -> Result<(), UserError> {
    // The slash ends the access key in a signature of S3.
    let is_plain = |c: char| !c.is_control() && !c.is_whitespace() && c != '/';
    if (1..=LONGEST_UID).contains(&uid.len())
        && uid.chars().all(is_plain)
        && !RESERVED.contains(&uid)
    {
        Ok(())
    } else {
        Err(UserError::Name(uid.to_owned()))
    }
}

fn add(db: &Connection, vault: &Vault, uid: &str) -> Result<(), UserError> {
    check(uid)?;
    let there = db
        .prepare_cached("SELECT 1 FROM users WHERE uid = ?1")?
        .exists([uid])?;
    if there {
        return Ok(());
    }
    let secret = BASE64_URL_SAFE_NO_PAD.encode(random::<SECRET_BYTES>()?);
    let sealed = vault.seal(&place(uid), secret.as_bytes())?;
    db.prepare_cached(
        "INSERT INTO users (uid, name, secret_key, first_seen_ms, issuer) VALUES (?1, '', ?2, ?3, '')",
    )?
    .execute(params![uid, sealed, Timestamp::now().as_millisecond()])?;
    Ok(())
}

fn find(db: &Connection, vault: &Vault, uid: &str) -> Result<Option<Known>, UserError> {
    let row = db
        .prepare_cached("SELECT name, issuer, secret_key FROM users WHERE uid = ?1")?
        .query_row([uid], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get::<_, Vec<u8>>(2)?))
        })
        .optional()?;
    row.map(|(name, issuer, sealed)| {
        Ok(Known {
            name,
            issuer,
            secret_key: vault.open_text(&place(uid), &sealed)?,
        })
    })
    .transpose()
}

/// What a sealed key belongs to.
fn place(uid: &str) -> String {
    format!("user/{uid}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://one.example";

    fn users(folder: &std::path::Path) -> Users {
        let vault = Arc::new(Vault::open_folder(folder).unwrap());
        Users::new(Store::open(&folder.join("db")).unwrap(), vault)
    }

    #[tokio::test]
    async fn an_account_is_made_once_and_survives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let first = users(folder.path());
        let trusted = [ISSUER.to_owned()];
        assert_eq!(first.secret_key("ann").await.unwrap(), None);
        for name in ["Ann", "Ann Smith"] {
            first
                .first_seen("ann", name, ISSUER, &trusted)
                .await
                .unwrap();
        }
        let key = first.secret_key("ann").await.unwrap().unwrap();
        assert_eq!(key.len(), 14);
        let again = users(folder.path());
        assert_eq!(again.secret_key("ann").await.unwrap(), Some(key));
        assert_eq!(again.known("ann").await.unwrap().unwrap().name, "Ann Smith");
    }

    #[tokio::test]
    async fn a_subject_belongs_to_the_issuer_that_vouched_for_it_first() {
        let folder = tempfile::tempdir().unwrap();
        let users = users(folder.path());
        let both = [ISSUER.to_owned(), "https://two.example".to_owned()];
        users.first_seen("ann", "Ann", ISSUER, &both).await.unwrap();
        let other = users.first_seen("ann", "Ann", &both[1], &both).await;
        assert!(matches!(other, Err(UserError::Taken { .. })), "{other:?}");
        // An operator whose provider has moved takes the old address out of the settings.
        users
            .first_seen("ann", "Ann", &both[1], &both[1..])
            .await
            .unwrap();
        assert!(users.first_seen("ann", "Ann", ISSUER, &both).await.is_err());
    }

    #[tokio::test]
    async fn nobody_can_be_named_like_the_administrator() {
        let folder = tempfile::tempdir().unwrap();
        let users = users(folder.path());
        for uid in [
            "",
            "cluster_admin",
            "oscar",
            "nil",
            "a/b",
            "a b",
            &"x".repeat(256),
        ] {
            let made = users.first_seen(uid, "", ISSUER, &[]).await;
            assert!(matches!(made, Err(UserError::Name(_))), "{uid:?}: {made:?}");
            assert_eq!(users.secret_key(uid).await.unwrap(), None);
        }
    }

    #[tokio::test]
    async fn more_people_than_are_cached_keep_their_keys() {
        let folder = tempfile::tempdir().unwrap();
        let users = users(folder.path());
        let uids: Vec<_> = (0..CACHED + 10).map(|n| format!("u{n}")).collect();
        let (handle, all) = (users.clone(), uids.clone());
        let add = move |db: &Connection| all.iter().try_for_each(|uid| handle.ensure(db, uid));
        users.0.store.write(add).await.unwrap();
        for uid in &uids {
            assert!(users.secret_key(uid).await.unwrap().is_some());
        }
        assert_eq!(users.lock().len(), CACHED);
        assert!(users.secret_key("u0").await.unwrap().is_some());
    }
}
