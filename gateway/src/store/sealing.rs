//! Secrets at rest in SQL: `sealed(place, text)` makes the bytes that are stored, `unsealed(place, bytes)` the text
//! again. Whoever reads or writes a sealed column says so in the statement; the plain text never reaches the file.

use std::sync::Arc;

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::{Connection, OptionalExtension as _, params};
use tracing::error;

use super::StoreError;
use crate::vault::Vault;

/// Key, in the table of settings, of a value that only the right key opens; its place, too.
const CHECK: &str = "vault_check";

/// What that value is.
const CHECKED: &str = "this is the right key";

/// Teaches a connection both functions. They cannot be called from within the file, by a view or a trigger.
pub(super) fn register(db: &Connection, vault: &Arc<Vault>) -> rusqlite::Result<()> {
    let common = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DIRECTONLY;
    let sealing = Arc::clone(vault);
    db.create_scalar_function("sealed", 2, common, move |call| {
        let (place, text): (String, String) = (call.get(0)?, call.get(1)?);
        sealing
            .seal(&place, text.as_bytes())
            .map_err(|error| rusqlite::Error::UserFunctionError(error.into()))
    })?;
    let opening = Arc::clone(vault);
    let flags = common | FunctionFlags::SQLITE_DETERMINISTIC;
    db.create_scalar_function("unsealed", 2, flags, move |call| Ok(unseal(&opening, call)))
}

/// NULL for what cannot be opened: one damaged row must not hide all others of a table.
fn unseal(vault: &Vault, call: &Context<'_>) -> Option<String> {
    let place: String = call.get(0).ok()?;
    let sealed = call.get_raw(1).as_blob().unwrap_or_default();
    vault
        .open_text(&place, sealed)
        .inspect_err(|error| error!(place, %error, "a damaged row"))
        .ok()
}

/// Refuses a key that is not the one this database was written with, before anything is sealed with it.
pub(super) fn check(db: &Connection, vault: &Vault) -> Result<(), StoreError> {
    let stored: Option<String> = db
        .query_row(
            "SELECT value FROM settings WHERE key = ?1",
            [CHECK],
            |row| row.get(0),
        )
        .optional()?;
    let Some(stored) = stored else {
        let sealed = vault.seal(CHECK, CHECKED.as_bytes())?;
        db.execute(
            "INSERT INTO settings (key, value) VALUES (?1, ?2)",
            params![CHECK, hex::encode(sealed)],
        )?;
        return Ok(());
    };
    vault.open(CHECK, &hex::decode(stored).unwrap_or_default())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::store::{Store, StoreError};

    #[tokio::test]
    async fn what_a_statement_seals_is_read_back_and_not_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let store = Store::open(&path).unwrap();
        let write = store.write(|db| {
            db.execute(
                "INSERT INTO settings (key, value) VALUES ('x', hex(sealed('a', 'swordfish')))",
                [],
            )?;
            Ok::<_, StoreError>(())
        });
        write.await.unwrap();
        let read = |place: &'static str| {
            store.read(move |db| {
                let sql = "SELECT unsealed(?1, unhex(value)) FROM settings WHERE key = 'x'";
                Ok::<Option<String>, StoreError>(db.query_row(sql, [place], |row| row.get(0))?)
            })
        };
        assert_eq!(read("a").await.unwrap().as_deref(), Some("swordfish"));
        assert_eq!(read("b").await.unwrap(), None);
        store.close().await;
        for name in ["db", "db-wal"] {
            let bytes = std::fs::read(folder.path().join(name)).unwrap_or_default();
            assert!(!bytes.windows(9).any(|part| part == b"swordfish"), "{name}");
        }
    }

    #[test]
    fn another_key_than_the_databases_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        drop(Store::open(&path).unwrap());
        drop(Store::open(&path).unwrap());
        std::fs::remove_file(folder.path().join("secrets.key")).unwrap();
        let error = Store::open(&path).unwrap_err().to_string();
        assert!(error.contains("is not the one"), "{error}");
    }
}
