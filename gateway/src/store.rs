//! `SQLite`: one writer thread that groups commits, and a few readers.
//!
//! Writes are closures. The writer takes what is queued, up to [`BATCH`] closures, runs each inside a savepoint
//! of one transaction, commits once (one flush for all of them) and only then answers. A closure that fails
//! undoes its own changes and nobody else's. Nothing in here knows HTTP, jobs or objects.

mod schema;
mod sealing;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;

use crate::vault::{Vault, VaultError};
pub use writer::Write;

/// Readers at the same time; each has its own connection.
const READERS: usize = 4;

/// What can go wrong between us and the database file.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("opening the database {path}")]
    Open {
        path: PathBuf,
        #[source]
        source: rusqlite::Error,
    },
    #[error("bringing the database {path} to the current schema")]
    Migrate {
        path: PathBuf,
        #[source]
        source: Box<rusqlite_migration::Error>,
    },
    #[error("{0:#}")]
    Vault(anyhow::Error),
    #[error("starting the database's writer thread")]
    Thread(#[source] std::io::Error),
    #[error("a statement failed")]
    Statement(#[from] rusqlite::Error),
    #[error("committing: {0}")]
    Commit(String),
    #[error("the database is closed")]
    Closed,
}

/// A clonable handle to the database.
#[derive(Debug, Clone)]
pub struct Store {
    writer: writer::Writer,
    readers: Arc<Readers>,
}

impl From<VaultError> for StoreError {
    fn from(error: VaultError) -> Self {
        Self::Vault(error.into())
    }
}

#[derive(Debug)]
struct Readers {
    path: PathBuf,
    vault: Arc<Vault>,
    idle: std::sync::Mutex<Vec<Connection>>,
    permits: Semaphore,
}

impl Store {
    /// Opens the database, creating and migrating it as needed. The key of its secrets lies beside it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let open_error = |source| StoreError::Open {
            path: path.to_owned(),
            source,
        };
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        let vault = Arc::new(Vault::open_folder(folder).map_err(StoreError::Vault)?);
        let mut connection = Connection::open(path).map_err(open_error)?;
        schema::prepare(&connection).map_err(open_error)?;
        sealing::register(&connection, &vault).map_err(open_error)?;
        schema::migrations()
            .to_latest(&mut connection)
            .map_err(|source| StoreError::Migrate {
                path: path.to_owned(),
                source: Box::new(source),
            })?;
        sealing::check(&connection, &vault)?;
        let readers = Readers {
            path: path.to_owned(),
            vault,
            idle: std::sync::Mutex::default(),
            permits: Semaphore::new(READERS),
        };
        Ok(Self {
            writer: writer::Writer::start(connection)?,
            readers: Arc::new(readers),
        })
    }

    /// The folder that the database is in.
    pub fn folder(&self) -> &Path {
        self.readers.path.parent().unwrap_or_else(|| Path::new("."))
    }

    /// What seals the secrets in it.
    pub(crate) fn vault(&self) -> &Arc<Vault> {
        &self.readers.vault
    }

    /// Runs `change` in a transaction and returns once it is on disk. On an error nothing of it remains.
    pub async fn write<T, E>(
        &self,
        change: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.writer.write(change).await
    }

    /// Runs `change` together with a later write, after at most [`writer::LAZY_DELAY`]; a crash before then loses it.
    /// For what is merely nice to remember.
    pub fn write_lazily(
        &self,
        change: impl FnOnce(&Connection) -> Result<(), StoreError> + Send + 'static,
    ) {
        self.writer.write_lazily(change);
    }

    /// Runs `query` on a read-only connection, on a thread that may block.
    pub async fn read<T, E>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let readers = Arc::clone(&self.readers);
        let Ok(_permit) = self.readers.permits.acquire().await else {
            return Err(StoreError::Closed.into());
        };
        let work = tokio::task::spawn_blocking(move || {
            let connection = readers.take()?;
            let answer = query(&connection);
            readers.put(connection);
            answer
        });
        work.await
            .unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }

    /// Writes everything out and closes the writer; later writes answer [`StoreError::Closed`].
    pub async fn close(&self) {
        self.writer.close().await;
    }
}

impl Readers {
    fn take(&self) -> Result<Connection, StoreError> {
        if let Some(connection) = self.idle.lock().ok().and_then(|mut idle| idle.pop()) {
            return Ok(connection);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_URI;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        schema::prepare_reader(&connection)?;
        sealing::register(&connection, &self.vault)?;
        Ok(connection)
    }

    fn put(&self, connection: Connection) {
        if let Ok(mut idle) = self.idle.lock() {
            idle.push(connection);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn count(store: &Store) -> i64 {
        store
            .read(|db| {
                Ok::<_, StoreError>(db.query_row(
                    "SELECT count(*) FROM settings WHERE key <> 'vault_check'",
                    [],
                    |row| row.get(0),
                )?)
            })
            .await
            .unwrap()
    }

    fn insert(db: &Connection, key: &str) -> Result<(), StoreError> {
        db.execute("INSERT INTO settings (key, value) VALUES (?1, '')", [key])?;
        Ok(())
    }

    #[tokio::test]
    async fn a_failed_write_undoes_itself_and_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("db")).unwrap();
        let good = (0..50).map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                store
                    .write(move |db| insert(db, &format!("good-{n}")))
                    .await
            })
        });
        let bad = store.write(|db| {
            insert(db, "bad")?;
            insert(db, "bad") // A duplicate key.
        });
        let good = futures::future::join_all(good.collect::<Vec<_>>());
        let (good, bad) = futures::join!(good, bad);
        assert!(good.into_iter().all(|done| done.unwrap().is_ok()));
        assert!(bad.is_err());
        assert_eq!(count(&store).await, 50);
    }

    #[tokio::test]
    async fn when_the_database_breaks_a_transaction_off_everybody_is_told_the_truth() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("db")).unwrap();
        store.write(|db| insert(db, "there")).await.unwrap();
        // While this one holds the writer up, the others queue for one transaction.
        let busy = store.write(|_| {
            std::thread::sleep(std::time::Duration::from_millis(200));
            Ok::<_, StoreError>(())
        });
        let before = store.write(|db| insert(db, "before"));
        let breaks = store.write(|db| {
            // What `SQLite` does by itself when the disk is full.
            let undo_all = "INSERT OR ROLLBACK INTO settings (key, value) VALUES ('there', '')";
            Ok::<_, StoreError>(db.execute(undo_all, []).map(drop)?)
        });
        let after = store.write(|db| insert(db, "after"));
        let (busy, before, breaks, after) = futures::join!(busy, before, breaks, after);
        assert!(breaks.is_err());
        drop(busy); // It may have been in the same transaction or in one before.
        let is_there = |key: &'static str| {
            let store = store.clone();
            async move {
                let found = store.read(move |db| {
                    let query = "SELECT 1 FROM settings WHERE key = ?1";
                    Ok::<_, StoreError>(db.prepare(query)?.exists([key])?)
                });
                found.await.unwrap()
            }
        };
        assert_eq!(before.is_ok(), is_there("before").await);
        assert_eq!(after.is_ok(), is_there("after").await);
        assert!(after.is_ok(), "it has nothing to do with the others");
        store.write(|db| insert(db, "later")).await.unwrap();
    }

    #[tokio::test]
    async fn a_lazy_write_arrives_with_the_next_one_and_survives_a_close() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("db")).unwrap();
        store.write_lazily(|db| insert(db, "lazy"));
        store.write(|db| insert(db, "eager")).await.unwrap();
        assert_eq!(count(&store).await, 2);
        store.write_lazily(|db| insert(db, "last words"));
        store.close().await;
        let again = Store::open(&folder.path().join("db")).unwrap();
        assert_eq!(count(&again).await, 3);
        assert!(matches!(
            store.write(|db| insert(db, "late")).await,
            Err(StoreError::Closed)
        ));
    }

    #[tokio::test]
    async fn a_write_that_panics_is_undone_and_others_are_served() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("db")).unwrap();
        let panicked: Result<(), StoreError> = store
            .write(|db| {
                insert(db, "half")?;
                panic!("on purpose")
            })
            .await;
        assert!(
            matches!(panicked, Err(StoreError::Commit(_))),
            "{panicked:?}"
        );
        store.write(|db| insert(db, "whole")).await.unwrap();
        assert_eq!(count(&store).await, 1);
    }

    #[tokio::test]
    async fn many_writers_at_once_are_all_answered() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("db")).unwrap();
        let writers = (0..500).map(|n| {
            let store = store.clone();
            tokio::spawn(async move { store.write(move |db| insert(db, &n.to_string())).await })
        });
        for done in futures::future::join_all(writers.collect::<Vec<_>>()).await {
            done.unwrap().unwrap();
        }
        assert_eq!(count(&store).await, 500);
    }
}
