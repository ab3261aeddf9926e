use super::*;

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("db")).unwrap();
    (folder, store)
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn range(start: &str, end: &str) -> Range {
    Range {
        start: time(start),
        end: time(end),
    }
}

async fn sum(store: &Store, metrics: &Metrics, range: Range) -> u64 {
    let found = amounts(store, metrics, range).await.unwrap();
    found.iter().map(|found| found.sum).sum()
}

fn count_at(metrics: &Metrics, at: &str, user: &str) {
    let at = time(at).as_millisecond();
    metrics.counted().add(at, Kind::Async, "grey", user, 1);
}

#[tokio::test]
async fn what_is_counted_is_found_before_and_after_it_is_written_out() {
    let (_folder, store) = store();
    let metrics = Metrics::new("oscar", vec!["AKIA".to_owned(), "cluster_admin".to_owned()]);
    metrics.request(Kind::Sync, "grey", "ann");
    metrics.request(Kind::Async, "grey", "AKIA");
    metrics.request(Kind::Async, "grey", "");
    metrics.cpu("grey", 3_600_000_000);
    let all = range("2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z");
    let before = totals(&amounts(&store, &metrics, all).await.unwrap());
    metrics.flush(&store).await;
    assert!(metrics.counted().amounts.is_empty());
    let after = totals(&amounts(&store, &metrics, all).await.unwrap());
    assert_eq!(before, after);
    assert_eq!(
        (
            after.counts.sync,
            after.counts.asynchronous,
            after.counts.cpu_us
        ),
        (1, 2, 3_600_000_000)
    );
    assert_eq!(
        after.users.into_iter().collect::<Vec<_>>(),
        ["ann", "oscar"]
    );
    // Adding to a row that is there.
    metrics.request(Kind::Sync, "grey", "ann");
    metrics.flush(&store).await;
    let services = by_service(&amounts(&store, &metrics, all).await.unwrap());
    assert_eq!(services["grey"].counts.requests(), 4);
}

#[tokio::test]
async fn a_range_holds_the_hours_it_touches() {
    let (_folder, store) = store();
    let metrics = Metrics::default();
    for at in [
        "2026-03-01T09:59:00Z",
        "2026-03-01T10:30:00Z",
        "2026-03-01T12:00:00Z",
    ] {
        count_at(&metrics, at, "ann");
    }
    for written in [false, true] {
        if written {
            metrics.flush(&store).await;
        }
        let check = async |start, end, expected| {
            let found = sum(&store, &metrics, range(start, end)).await;
            assert_eq!(found, expected, "{start} to {end}, written: {written}");
        };
        check("2026-03-01T10:00:00Z", "2026-03-01T11:00:00Z", 1).await;
        check("2026-03-01T09:59:59Z", "2026-03-01T12:00:00Z", 3).await;
        check("2026-03-01T10:45:00Z", "2026-03-01T10:45:00Z", 1).await;
        check("2026-03-01T13:00:00Z", "2026-03-02T00:00:00Z", 0).await;
    }
}

#[tokio::test]
async fn old_hours_become_days_and_older_ones_go() {
    let (_folder, store) = store();
    let metrics = Metrics::default();
    for at in [
        "2024-01-01T01:00:00Z",
        "2026-01-01T01:00:00Z",
        "2026-01-01T23:00:00Z",
        "2026-06-01T01:00:00Z",
    ] {
        count_at(&metrics, at, "ann");
    }
    metrics.flush(&store).await;
    for _ in 0..2 {
        rows::tidy(&store, time("2026-06-02T00:00:00Z"), 400)
            .await
            .unwrap();
        let rows: Vec<(i64, i64)> = store
            .read(|db| {
                let mut query =
                    db.prepare("SELECT hours, amount FROM traffic ORDER BY period_ms")?;
                let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
                Ok::<_, StoreError>(rows.collect::<Result<_, _>>()?)
            })
            .await
            .unwrap();
        assert_eq!(rows, [(24, 2), (1, 1)]);
    }
    let day = range("2026-01-01T12:00:00Z", "2026-01-01T13:00:00Z");
    assert_eq!(sum(&store, &metrics, day).await, 2);
}

#[test]
fn a_crowd_of_users_is_counted_but_not_told_apart() {
    let metrics = Metrics::default();
    let more = USERS + 100;
    for user in 0..more {
        count_at(&metrics, "2026-03-01T10:30:00Z", &format!("user-{user}"));
    }
    let counted = metrics.counted();
    assert_eq!(counted.amounts.len(), USERS + 1);
    assert_eq!(counted.amounts.values().sum::<u64>(), more as u64);
    drop(counted);
    // Another hour, another crowd.
    count_at(&metrics, "2026-03-01T11:00:00Z", "late");
    assert!(
        metrics
            .counted()
            .amounts
            .keys()
            .any(|key| key.user == "late")
    );
}
