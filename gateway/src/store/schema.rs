//! Tables, and the steps from one version of them to the next. Forward only: a step that has been released is
//! never edited, a new one is added at the end.

use rusqlite::Connection;
use rusqlite_migration::{M, Migrations};

/// The steps, in order; one file each.
const STEPS: &[M<'_>] = &[
    M::up(include_str!("schema/01-main.sql")),
    M::up(include_str!("schema/02-users.sql")),
    M::up(include_str!("schema/03-issuers.sql")),
    M::up(include_str!("schema/04-quotas.sql")),
    M::up(include_str!("schema/05-sealed.sql")),
    M::up(include_str!("schema/06-buckets.sql")),
    M::up(include_str!("schema/07-registries.sql")),
    M::up(include_str!("schema/08-traffic.sql")),
    M::up(include_str!("schema/09-volumes.sql")),
    M::up(include_str!("schema/10-providers.sql")),
];

/// All steps.
pub(super) fn migrations() -> Migrations<'static> {
    Migrations::from_slice(STEPS)
}

/// Settings of the writer's connection. Small pages: a commit writes every page that it touched as a whole, and the
/// rows here are small. FULL: a commit is on disk when it returns, which acknowledgements rely on.
pub(super) fn prepare(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(
        "PRAGMA page_size = 1024; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 5000;
         PRAGMA cache_size = -2048; PRAGMA mmap_size = 0; PRAGMA wal_autocheckpoint = 8000;
         PRAGMA journal_size_limit = 16777216; PRAGMA temp_store = MEMORY;",
    )?;
    db.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// Settings of a reader's connection.
pub(super) fn prepare_reader(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch("PRAGMA busy_timeout = 5000; PRAGMA cache_size = -512; PRAGMA mmap_size = 0;")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_steps_are_valid() {
        super::migrations().validate().unwrap();
    }
}
