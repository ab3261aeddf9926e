//! Figure 14: pages of a bucket with a hundred thousand objects, beside those of one with a thousand.

use std::time::Instant;

use anyhow::{Result, ensure};
use futures::{StreamExt, TryStreamExt};
use reqwest::Method;
use serde_json::{Value, json};
use spillway_storage::{Depth, ObjectPath, Storage};

use crate::report::{Bound, Row};
use crate::samples::Samples;
use crate::services::{call, milliseconds};
use crate::stage::Stage;

/// Keys are `f000/00000` to `f099/00999`.
const FOLDERS: usize = 100;
const IN_FOLDER: usize = 1000;
const UPLOADERS: usize = 64;
const FULL: &str = "bench-full";
const SMALL: &str = "bench-small";

pub(crate) async fn measure(stage: &mut Stage) -> Result<Vec<Row>> {
    fill(stage, FULL, FOLDERS).await?;
    fill(stage, SMALL, 1).await?;
    let small = page(stage, SMALL, Depth::All, IN_FOLDER).await?;
    let first = page(stage, FULL, Depth::All, IN_FOLDER).await?;
    let middle = page(stage, &format!("{FULL}/f050/"), Depth::All, IN_FOLDER).await?;
    let folders = page(stage, FULL, Depth::Folder, FOLDERS).await?;
    let folder = page(stage, &format!("{FULL}/f099/"), Depth::Folder, IN_FOLDER).await?;
    let api_small = api_pages(stage, SMALL).await?;
    let api = api_pages(stage, FULL).await?;
    for bucket in [FULL, SMALL] {
        let path = format!("/system/buckets/{bucket}");
        call(stage, Method::DELETE, &path, String::new()).await?;
    }
    let row = |id, name, samples: &Samples| {
        Row::new(id, 14, name, "ms", samples)
            .against("first 1,000 of 1,000 objects", &small)
            .aiming_at(Bound::Times(1.5), None)
    };
    Ok(vec![
        row(
            "14.list.first",
            "first 1,000 of 100,000 objects by S3",
            &first,
        ),
        row("14.list.middle", "1,000 in the middle, by prefix", &middle),
        row(
            "14.list.folders",
            "the 100 folders of 100,000 objects, by delimiter",
            &folders,
        ),
        row(
            "14.list.folder",
            "the 1,000 objects of the last folder, by delimiter",
            &folder,
        ),
        Row::new(
            "14.list.api",
            14,
            "a page of 70 of 100,000 objects by the API",
            "ms",
            &api,
        )
        .against("a page of 70 of 1,000", &api_small)
        .aiming_at(Bound::Times(1.5), None),
    ])
}

async fn fill(stage: &Stage, bucket: &str, folders: usize) -> Result<()> {
    let body = json!({ "bucket_name": bucket }).to_string();
    call(stage, Method::POST, "/system/buckets", body).await?;
    let cluster = &stage.cluster;
    futures::stream::iter(0..folders * IN_FOLDER)
        .map(|number| async move {
            let (folder, file) = (number / IN_FOLDER, number % IN_FOLDER);
            cluster
                .put(&format!("{bucket}/f{folder:03}/{file:05}"), "x")
                .await
        })
        .buffer_unordered(UPLOADERS)
        .try_collect()
        .await
}

/// Times of one `ListObjectsV2`, which must bring so many entries.
async fn page(stage: &Stage, path: &str, depth: Depth, entries: usize) -> Result<Samples> {
    let path = ObjectPath::parse(path);
    let mut samples = Samples::default();
    for _ in 0..stage.samples {
        let began = Instant::now();
        let listing = stage.cluster.s3().list(&path, depth).take(entries);
        let got: Vec<_> = listing.try_collect().await?;
        samples.push(milliseconds(began));
        ensure!(got.len() == entries, "{} entries at {path:?}", got.len());
    }
    Ok(samples)
}

/// Times of pages of the API's own listing, one after the other from the first.
async fn api_pages(stage: &Stage, bucket: &str) -> Result<Samples> {
    let (mut samples, mut token) = (Samples::default(), String::new());
    for _ in 0..stage.samples {
        let path = format!("/system/buckets/{bucket}?page={token}");
        let began = Instant::now();
        let text = stage.cluster.get_text(&path).await?;
        samples.push(milliseconds(began));
        let page: Value = serde_json::from_str(&text)?;
        page["next_page"]
            .as_str()
            .unwrap_or_default()
            .clone_into(&mut token);
    }
    Ok(samples)
}
