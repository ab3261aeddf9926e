//! Deleting jobs: on request, and those of services that are no more.

use rusqlite::{Connection, ToSql, params};

use super::dispatcher::Ask;
use super::{Shared, Which};
use crate::objects;
use crate::store::StoreError;

/// Jobs deleted in one transaction: others wait for the writer meanwhile.
pub(crate) const BATCH: u32 = 200;

/// Deletes the jobs that were there when this was called.
pub(super) async fn delete(
    shared: &Shared,
    service: &str,
    which: Which,
    whose: Option<String>,
) -> Result<u64, StoreError> {
    let owner = service.to_owned();
    let last: i64 = shared
        .store
        .read(move |db| {
            let sql = "SELECT coalesce(max(id), 0) FROM jobs WHERE service = ?1";
            Ok::<_, StoreError>(
                db.prepare_cached(sql)?
                    .query_row([owner], |row| row.get(0))?,
            )
        })
        .await?;
    let mut deleted = 0;
    loop {
        let (owner, which, whose) = (service.to_owned(), which.clone(), whose.clone());
        let ids = shared
            .store
            .write(move |db| delete_some(db, &owner, &which, whose.as_deref(), last))
            .await?;
        if ids.is_empty() {
            recount(shared).await?;
            return Ok(deleted);
        }
        deleted += ids.len() as u64;
        shared
            .dispatcher
            .ask(Ask::Deleted {
                service: service.to_owned(),
                ids,
            })
            .await;
    }
}

fn delete_some(
    db: &Connection,
    service: &str,
    which: &Which,
    whose: Option<&str>,
    last: i64,
) -> Result<Vec<i64>, StoreError> {
    match which {
        Which::All => delete_where(
            db,
            "service = ?1 AND id <= ?2 AND (?3 IS NULL OR owner = ?3)",
            params![service, last, whose],
        ),
        Which::Succeeded => delete_where(
            db,
            "service = ?1 AND id <= ?2 AND state = 'succeeded' AND (?3 IS NULL OR owner = ?3)",
            params![service, last, whose],
        ),
        Which::One(name) => delete_where(
            db,
            "service = ?1 AND name = ?2 AND (?3 IS NULL OR owner = ?3)",
            params![service, name, whose],
        ),
    }
}

async fn recount(shared: &Shared) -> Result<(), StoreError> {
    shared
        .room
        .set(shared.store.read(super::room::count).await?);
    Ok(())
}

/// Services that have jobs but are not there (any more), or were made anew after some of their jobs.
pub(crate) fn orphaned(db: &Connection) -> Result<Vec<String>, StoreError> {
    // One look-up in the index per service, however many jobs each has. Jobs have names, too: `known` keeps them apart.
    let mut statement = db.prepare(
        "WITH RECURSIVE names (known) AS (
            SELECT min(service) FROM jobs
            UNION ALL
            SELECT (SELECT min(service) FROM jobs WHERE service > known) FROM names WHERE known IS NOT NULL)
         SELECT known FROM names LEFT JOIN services ON services.name = known WHERE known IS NOT NULL AND (
            services.created_ms IS NULL OR services.created_ms >
            (SELECT created_ms FROM jobs WHERE service = known ORDER BY id LIMIT 1))",
    )?;
    let names = statement.query_map([], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

/// Deletes some jobs of such a service.
pub(crate) fn sweep(db: &Connection, service: &str) -> Result<Vec<i64>, StoreError> {
    delete_where(
        db,
        "service = ?1 AND created_ms < coalesce((SELECT created_ms FROM services WHERE name = ?1), 9e18)",
        params![service],
    )
}

/// Deletes up to a batch of jobs with their logs and references; returns their ids.
pub(crate) fn delete_where(
    db: &Connection,
    condition: &str,
    values: &[&dyn ToSql],
) -> Result<Vec<i64>, StoreError> {
    let mut statement = db.prepare_cached(&format!(
        "DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE {condition} ORDER BY id LIMIT {BATCH})
         RETURNING id, blob"
    ))?;
    let rows = statement.query_map(values, |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?))
    })?;
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    for blob in rows.iter().filter_map(|(_, blob)| *blob) {
        objects::release(db, blob)?;
    }
    Ok(rows.into_iter().map(|(id, _)| id).collect())
}

impl super::Queue {
    /// Puts dead letters back into the queue, with all their retries before them; returns how many.
    pub(crate) async fn retry_dead(
        &self,
        service: Option<String>,
        name: Option<String>,
    ) -> Result<u64, StoreError> {
        let queue = self.clone();
        // On its own task: jobs that are back in the table must be announced, even if the client hangs up.
        let work = self
            .0
            .tasks
            .spawn(async move { queue.revive(service, name).await });
        work.await.unwrap_or(Err(StoreError::Closed))
    }

    async fn revive(
        &self,
        service: Option<String>,
        name: Option<String>,
    ) -> Result<u64, StoreError> {
        let mut touched = 0;
        loop {
            let (service, name, now_ms) = (service.clone(), name.clone(), self.now_ms());
            let revive = move |db: &Connection| {
                super::revive(db, service.as_deref(), name.as_deref(), now_ms)
            };
            let services = self.0.store.write(revive).await?;
            if services.is_empty() {
                return Ok(touched);
            }
            touched += services.len() as u64;
            self.0.room.add(services.len());
            self.0.dispatcher.ask(Ask::Revived(services)).await;
            self.errands().fetches.notify_one();
        }
    }

    /// Deletes dead letters with their inputs; returns how many.
    pub(crate) async fn purge_dead(
        &self,
        service: Option<String>,
        name: Option<String>,
    ) -> Result<u64, StoreError> {
        let mut touched = 0;
        loop {
            let (service, name) = (service.clone(), name.clone());
            let purge = move |db: &Connection| {
                let condition =
                    "state = 'dead' AND (?1 IS NULL OR service = ?1) AND (?2 IS NULL OR name = ?2)";
                delete_where(db, condition, params![service, name])
            };
            match self.0.store.write(purge).await?.len() as u64 {
                0 => return Ok(touched),
                some => touched += some,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_whose_service_is_gone_are_found_whatever_the_jobs_are_called() {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(
            "CREATE TABLE services (name TEXT PRIMARY KEY, created_ms INTEGER);
             CREATE TABLE jobs (id INTEGER PRIMARY KEY, service TEXT, name TEXT, created_ms INTEGER);
             CREATE INDEX jobs_of_service ON jobs (service, id);
             INSERT INTO services VALUES ('here', 10), ('made-anew', 30);
             INSERT INTO jobs (service, name, created_ms) VALUES
                ('gone', 'a-name-before-that-of-its-service', 20), ('gone', 'gone-2', 20), ('here', 'a', 20),
                ('made-anew', 'b', 20), ('never-there', 'zzz', 20);",
        )
        .unwrap();
        assert_eq!(orphaned(&db).unwrap(), ["gone", "made-anew", "never-there"]);
        db.execute("DELETE FROM jobs", []).unwrap();
        assert_eq!(orphaned(&db).unwrap(), Vec::<String>::new());
    }
}
