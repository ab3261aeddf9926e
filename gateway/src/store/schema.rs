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

    #[test]
    fn what_buckets_hold_is_counted_when_the_counters_come() {
        let mut db = rusqlite::Connection::open_in_memory().unwrap();
        super::prepare(&db).unwrap();
        super::migrations().to_version(&mut db, 5).unwrap();
        db.execute_batch(
            "INSERT INTO buckets VALUES ('full', '', 'private', '[]', '{}', 0), ('empty', '', 'private', '[]', '{}', 0);
             INSERT INTO objects VALUES ('full', 'a', 1, 5, '', '', '{}', 0), ('full', 'b', 2, 7, '', '', '{}', 0);",
        )
        .unwrap();
        super::migrations().to_latest(&mut db).unwrap();
        let mut query = db
            .prepare("SELECT bucket, objects, bytes FROM bucket_usage ORDER BY bucket")
            .unwrap();
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        let counted: Vec<(String, i64, i64)> = rows.unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!(
            counted,
            [("empty".to_owned(), 0, 0), ("full".to_owned(), 2, 12)]
        );
    }
}
