use proptest::prelude::*;

use super::super::blobs::retain;
use super::super::buckets::{self, Bucket};
use super::*;
use crate::store::{Store, StoreError};

/// A bucket "b" of these keys, in a fresh database.
async fn bucket(keys: Vec<String>) -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("db")).unwrap();
    let fill = move |db: &Connection| {
        buckets::create(
            db,
            &Bucket {
                name: "bbb".to_owned(),
                ..Bucket::default()
            },
        )?;
        db.execute("INSERT INTO blobs VALUES (1, 0, 0, x'')", [])?;
        for key in keys {
            retain(db, 1)?;
            db.execute(
                "INSERT INTO objects VALUES ('bbb', ?1, 1, 0, '', '', '{}', 0)",
                [key],
            )?;
        }
        Ok::<_, ObjectError>(())
    };
    store.write(fill).await.unwrap();
    (folder, store)
}

/// What S3 lists, said naively: fold all keys, then take what comes after.
fn model(keys: &[String], prefix: &str, delimiter: &str, after: &str) -> Vec<String> {
    let mut items: Vec<String> = keys
        .iter()
        .filter(|key| key.starts_with(prefix) && key.as_str() > after)
        .map(|key| match key[prefix.len()..].find(delimiter) {
            Some(at) if !delimiter.is_empty() => {
                key[..prefix.len() + at + delimiter.len()].to_owned()
            }
            _ => key.clone(),
        })
        .filter(|item| item != after)
        .collect();
    items.sort();
    items.dedup();
    items
}

async fn all_pages(store: &Store, mut listing: Listing) -> Vec<String> {
    let mut items = Vec::new();
    loop {
        let asked = listing.clone();
        let page = store.read(move |db| asked.page(db)).await.unwrap();
        assert!(page.objects.len() + page.prefixes.len() <= listing.limit);
        let mut found: Vec<String> = page.objects.into_iter().map(|object| object.key).collect();
        found.extend(page.prefixes);
        found.sort();
        items.extend(found);
        match page.next {
            Some(next) => listing.after = next,
            None => return items,
        }
    }
}

fn key() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        proptest::sample::select(vec![
            "a",
            "b",
            "/",
            "//",
            "é",
            "\u{d7ff}",
            "\u{10ffff}",
            " ",
            "../",
            "0",
        ]),
        1..6,
    )
    .prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn pages_of_any_size_list_what_the_model_lists(
        keys in proptest::collection::btree_set(key(), 0..40),
        prefix in prop_oneof![Just(String::new()), key()],
        delimiter in proptest::sample::select(vec!["", "/", "b", "//"]),
        after in prop_oneof![Just(String::new()), key()],
        limit in 1..7_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let keys: Vec<String> = keys.into_iter().collect();
        let expected = model(&keys, &prefix, delimiter, &after);
        let listing = Listing { bucket: "bbb".to_owned(), prefix, delimiter: delimiter.to_owned(), after, limit };
        let found = runtime.block_on(async {
            let (_folder, store) = bucket(keys).await;
            all_pages(&store, listing).await
        });
        prop_assert_eq!(found, expected);
    }
}

#[tokio::test]
async fn a_bucket_that_is_missing_is_said_to_be_missing() {
    let (_folder, store) = bucket(vec![]).await;
    let missing = store.read(|db| list_page(db, "other", "", "", 10)).await;
    assert!(matches!(missing, Err(ObjectError::NoSuchBucket(name)) if name == "other"));
    let empty = store
        .read(|db| list_page(db, "bbb", "", "", 10))
        .await
        .unwrap();
    assert_eq!(empty, Page::default());
}

#[tokio::test]
async fn a_full_last_page_says_that_nothing_follows() {
    let (_folder, store) = bucket(vec!["a".to_owned(), "b".to_owned()]).await;
    let page = store
        .read(|db| list_page(db, "bbb", "", "", 2))
        .await
        .unwrap();
    assert_eq!((page.objects.len(), page.next), (2, None));
    let page = store
        .read(|db| Ok::<_, StoreError>(list_page(db, "bbb", "", "a", 1).unwrap()))
        .await
        .unwrap();
    assert_eq!((page.objects[0].key.as_str(), page.next), ("b", None));
}

#[tokio::test]
async fn a_page_is_found_by_seeking_and_never_by_sorting() {
    let (_folder, store) = bucket(vec!["a".to_owned()]).await;
    let plan = |db: &Connection| {
        let mut lines = Vec::new();
        for upper in ["AND key < 'z'", ""] {
            let sql = format!(
                "EXPLAIN QUERY PLAN SELECT key, metadata FROM objects WHERE bucket = 'bbb' AND key > 'a' {upper} ORDER BY key"
            );
            let mut query = db.prepare(&sql)?;
            let rows = query.query_map([], |row| row.get::<_, String>(3))?;
            lines.extend(rows.collect::<Result<Vec<_>, _>>()?);
        }
        Ok::<_, ObjectError>(lines)
    };
    for line in store.read(plan).await.unwrap() {
        assert!(
            line.starts_with("SEARCH objects USING PRIMARY KEY"),
            "{line}"
        );
    }
}
