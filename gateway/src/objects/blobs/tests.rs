use std::path::PathBuf;

use futures::{StreamExt, stream};

use super::*;

struct Place {
    folder: tempfile::TempDir,
    store: Store,
    blobs: Blobs,
}

async fn place() -> Place {
    open(tempfile::tempdir().unwrap()).await
}

async fn open(folder: tempfile::TempDir) -> Place {
    let store = Store::open(&folder.path().join("db")).unwrap();
    let blobs = Blobs::open_with_reserve(&folder.path().join("blobs"), store.clone(), 0)
        .await
        .unwrap();
    Place {
        folder,
        store,
        blobs,
    }
}

impl Place {
    /// Ends this run, as far as files and rows are concerned, and begins the next.
    async fn reopen(self) -> Self {
        self.blobs.close().await;
        self.store.close().await;
        open(self.folder).await
    }

    /// Waits for the sweeper to have left so many files.
    async fn files_become(&self, number: usize) {
        for _ in 0..1000 {
            if self.files().len() == number {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("{number} files expected, there are {:?}", self.files());
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for folder in std::fs::read_dir(self.folder.path().join("blobs")).unwrap() {
            files.extend(
                std::fs::read_dir(folder.unwrap().path())
                    .unwrap()
                    .map(|file| file.unwrap().path()),
            );
        }
        files
    }

    async fn keep(&self, blob: NewBlob) -> i64 {
        let id = blob.id;
        let blob = self
            .store
            .write(move |db| {
                blob.insert(db)?;
                retain(db, blob.id)?;
                Ok::<_, StoreError>(blob)
            })
            .await
            .unwrap();
        blob.keep();
        id
    }

    async fn release(&self, blob: i64) {
        self.store.write(move |db| release(db, blob)).await.unwrap();
    }

    async fn refs(&self, blob: i64) -> Option<i64> {
        let query = move |db: &Connection| {
            Ok::<_, StoreError>(db.query_row(
                "SELECT max(refs) FROM blobs WHERE id = ?1",
                [blob],
                |row| row.get(0),
            )?)
        };
        self.store.read(query).await.unwrap()
    }

    async fn content(&self, blob: i64, range: std::ops::Range<u64>) -> Vec<u8> {
        let mut stream = self.blobs.read(blob, range).await.unwrap();
        let mut bytes = Vec::new();
        while let Some(chunk) = stream.next().await {
            bytes.extend_from_slice(&chunk.unwrap());
        }
        bytes
    }
}

/// Bytes in which every position is told apart from its neighbours.
fn pattern(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| u8::try_from(at * 31 % 251).unwrap())
        .collect()
}

fn chunks(
    bytes: &[u8],
    size: usize,
) -> impl Stream<Item = Result<Bytes, std::io::Error>> + Send + use<> {
    stream::iter(
        bytes
            .chunks(size)
            .map(|chunk| Ok(Bytes::copy_from_slice(chunk)))
            .collect::<Vec<_>>(),
    )
}

#[tokio::test]
async fn what_goes_in_comes_out_in_any_size_and_range() {
    let place = place().await;
    for length in [
        0,
        1,
        INLINE,
        INLINE + 1,
        256 * 1024,
        256 * 1024 + 1,
        1_000_003,
    ] {
        let bytes = pattern(length);
        let blob = place
            .blobs
            .receive(chunks(&bytes, 9_973), u64::MAX)
            .await
            .unwrap();
        assert_eq!(blob.size, length as u64);
        assert_eq!(
            blob.md5,
            hex::encode(<md5::Md5 as md5::Digest>::digest(&bytes)),
            "{length}"
        );
        let id = place.keep(blob).await;
        assert!(
            place.content(id, 0..length as u64).await == bytes,
            "{length}"
        );
        let (from, to) = (length / 3, length - length / 4);
        assert!(
            place.content(id, from as u64..to as u64).await == bytes[from..to],
            "{length}"
        );
        assert!(place.blobs.read_all(id, length as u64).await.unwrap() == bytes);
    }
    assert_eq!(place.files().len(), 4, "small content has no file");
}

#[tokio::test]
async fn a_crash_between_file_and_commit_leaves_no_file_after_the_next_start() {
    let place = place().await;
    let kept = place.blobs.receive_bytes(pattern(100_000)).await.unwrap();
    let kept = place.keep(kept).await;
    let lost = place.blobs.receive_bytes(pattern(100_000)).await.unwrap();
    std::mem::forget(lost); // Nobody is left to delete the file.
    std::fs::write(place.folder.path().join("blobs/tmp/7"), "half").unwrap();
    assert_eq!(place.files().len(), 3);
    let place = place.reopen().await;
    place.files_become(1).await;
    assert!(place.content(kept, 0..100_000).await == pattern(100_000));
}

#[tokio::test]
async fn a_blob_that_nobody_keeps_leaves_no_file() {
    let place = place().await;
    drop(place.blobs.receive_bytes(pattern(100_000)).await.unwrap());
    place.blobs.close().await;
    assert_eq!(place.files(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn an_upload_that_is_given_up_at_any_moment_leaves_no_file() {
    let place = place().await;
    let mut was_whole = false;
    for last in 1.. {
        let mut receive = Box::pin(place.blobs.receive_bytes(pattern(600_000)));
        let mut polls = 0;
        was_whole = futures::future::poll_fn(|context| {
            polls += 1;
            match receive.as_mut().poll(context) {
                std::task::Poll::Ready(_) => std::task::Poll::Ready(true),
                std::task::Poll::Pending if polls == last => std::task::Poll::Ready(false),
                std::task::Poll::Pending => std::task::Poll::Pending,
            }
        })
        .await;
        drop(receive);
        if was_whole {
            break;
        }
    }
    assert!(was_whole);
    // No restart: what nobody waits for any more is deleted by this run.
    place.files_become(0).await;
}

#[tokio::test]
async fn a_blob_lives_as_long_as_its_last_reference() {
    let place = place().await;
    let id = place.blobs.receive_bytes(pattern(50_000)).await.unwrap();
    let id = place.keep(id).await;
    place.store.write(move |db| retain(db, id)).await.unwrap();
    place.release(id).await;
    assert_eq!(place.refs(id).await, Some(1));
    assert_eq!(place.content(id, 0..50_000).await.len(), 50_000);
    place.release(id).await;
    assert_eq!(place.refs(id).await, None);
    assert!(matches!(
        place.blobs.read(id, 0..1).await,
        Err(ObjectError::NoSuchBlob(_))
    ));
    let place = place.reopen().await;
    place.files_become(0).await;
    assert!(
        place.store.write(move |db| retain(db, id)).await.is_err(),
        "a deleted blob cannot be kept"
    );
}

#[tokio::test]
async fn a_blob_of_pieces_reads_as_one_and_takes_its_pieces_along_when_it_goes() {
    let place = place().await;
    let whole = pattern(700_000);
    let mut pieces = Vec::new();
    for part in [
        &whole[..300_000],
        &whole[300_000..600_000],
        &whole[600_000..600_000],
        &whole[600_000..610_000],
    ] {
        let blob = place.blobs.receive_bytes(part.to_vec()).await.unwrap();
        pieces.push((place.keep(blob).await, part.len() as u64));
    }
    let id = place.blobs.next_id();
    let all = pieces.clone();
    let insert = move |db: &Connection| {
        insert_pieces(db, id, &all)?;
        retain(db, id)?;
        all.iter().try_for_each(|(piece, _)| release(db, *piece))
    };
    place.store.write(insert).await.unwrap();
    for range in [
        0..610_000,
        0..1,
        299_999..300_001,
        300_000..600_000,
        599_000..610_000,
        605_000..605_001,
    ] {
        let expected =
            &whole[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()];
        assert!(
            place.content(id, range.clone()).await == expected,
            "{range:?}"
        );
    }
    // Deleted while it is read: the reader gets all of it.
    let mut stream = place.blobs.read(id, 0..610_000).await.unwrap();
    place.release(id).await;
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    let mut length = 0;
    while let Some(chunk) = stream.next().await {
        length += chunk.unwrap().len();
    }
    assert_eq!(length, 610_000);
    drop(stream);
    assert_eq!(place.refs(pieces[0].0).await, None);
    place.files_become(0).await;
}

#[tokio::test]
async fn content_that_is_not_what_was_announced_is_refused_and_gone() {
    let place = place().await;
    for length in [100, 400_000] {
        let bytes = pattern(length);
        let wrong = |expected: Expected| {
            let (place, bytes) = (&place, &bytes);
            async move {
                let stream = chunks(bytes, 10_000);
                place
                    .blobs
                    .receive_expecting(stream, u64::MAX, &expected, no_trailer())
                    .await
                    .unwrap_err()
            }
        };
        let md5 = Expected {
            md5: Some("1B2M2Y8AsgTpgAmY7PhCfg==".to_owned()),
            ..Expected::default()
        };
        assert!(matches!(
            wrong(md5).await,
            ObjectError::Digest {
                header: "Content-MD5",
                ..
            }
        ));
        let short = Expected {
            length: Some(length as u64 + 1),
            ..Expected::default()
        };
        assert!(matches!(wrong(short).await, ObjectError::Length { .. }));
        for name in CHECKSUMS {
            let sum = |value| Expected {
                checksums: vec![(name, value)],
                ..Expected::default()
            };
            assert!(
                matches!(
                    wrong(sum(Some("AAAAAA==".to_owned()))).await,
                    ObjectError::Digest { .. }
                ),
                "{name}"
            );
            assert!(
                matches!(wrong(sum(None)).await, ObjectError::Receive(_)),
                "{name}: no trailer"
            );
        }
        let stream = chunks(&bytes, 1000).chain(stream::iter([Err(std::io::Error::other("gone"))]));
        assert!(matches!(
            place.blobs.receive(stream, u64::MAX).await,
            Err(ObjectError::Receive(_))
        ));
        let limit = place
            .blobs
            .receive(chunks(&bytes, 1000), length as u64 - 1)
            .await;
        assert!(matches!(limit, Err(ObjectError::TooLarge(_))));
    }
    place.files_become(0).await;
}

#[tokio::test]
async fn a_full_disk_refuses_content_of_any_size() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("db")).unwrap();
    let blobs = Blobs::open_with_reserve(&folder.path().join("blobs"), store, u64::MAX / 2)
        .await
        .unwrap();
    for length in [10, 500_000] {
        let refused = blobs.receive_bytes(pattern(length)).await.unwrap_err();
        assert!(
            matches!(refused, ObjectError::StorageFull { .. }),
            "{refused}"
        );
    }
    assert_eq!(
        std::fs::read_dir(folder.path().join("blobs/tmp"))
            .unwrap()
            .count(),
        0
    );
}
