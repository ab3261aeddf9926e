//! A bucket as clients see it.

use std::collections::BTreeMap;

use rusqlite::Connection;
use serde::Serialize;

use crate::objects::{Bucket, ObjectError, buckets, quotas};

/// A bucket as it is shown.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = Bucket))]
pub(super) struct Shown {
    bucket_name: String,
    visibility: String,
    allowed_users: Vec<String>,
    owner: String,
    pub(super) metadata: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    objects: Option<Vec<Entry>>,
    storage_quota: Quota,
    storage_usage: Usage,
    attribution: &'static str,
    #[serde(flatten)]
    #[cfg_attr(test, schema(value_type = Paging))]
    paging: Option<Paging>,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = BucketObject))]
pub(super) struct Entry {
    object_name: String,
    size_bytes: u64,
    last_modified: String,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = StorageQuota))]
struct Quota {
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_bytes: Option<u64>,
    source: &'static str,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = StorageUsage))]
struct Usage {
    used: String,
    used_bytes: u64,
    objects: u64,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = BucketPaging))]
pub(super) struct Paging {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next_page: Option<String>,
    #[cfg_attr(test, schema(required = false))]
    pub(super) is_truncated: bool,
    #[cfg_attr(test, schema(required = false))]
    pub(super) returned_items: usize,
}

impl Shown {
    /// Without objects.
    pub(super) fn of(db: &Connection, bucket: Bucket) -> Result<Self, ObjectError> {
        let usage = buckets::usage(db, &bucket.name)?;
        let max_bytes = quotas::of(db, &bucket.owner)?.bytes;
        let restricted = bucket.visibility == "restricted";
        let tagged = bucket.tags.get(buckets::OWNER).cloned().unwrap_or_default();
        Ok(Self {
            owner: if bucket.owner.is_empty() {
                tagged
            } else {
                bucket.owner
            },
            bucket_name: bucket.name,
            visibility: bucket.visibility,
            allowed_users: if restricted {
                bucket.allowed_users
            } else {
                Vec::new()
            },
            metadata: bucket.tags,
            objects: None,
            storage_quota: Quota {
                max: max_bytes.map(quantity),
                max_bytes,
                source: if max_bytes.is_some() {
                    "bucket"
                } else {
                    "unset"
                },
            },
            storage_usage: Usage {
                used: quantity(usage.bytes),
                used_bytes: usage.bytes,
                objects: usage.objects,
            },
            attribution: "complete",
            paging: None,
        })
    }

    /// With a page of objects.
    pub(super) fn with(self, objects: Vec<Entry>, paging: Paging) -> Self {
        Self {
            objects: Some(objects),
            paging: Some(paging),
            ..self
        }
    }
}

impl From<crate::objects::Object> for Entry {
    fn from(object: crate::objects::Object) -> Self {
        let seconds = jiff::Timestamp::from_second(object.modified.as_second()).unwrap_or_default();
        Self {
            object_name: object.key,
            size_bytes: object.size,
            last_modified: seconds.to_string(),
        }
    }
}

/// Bytes as Kubernetes writes them: the largest binary unit that loses nothing.
fn quantity(bytes: u64) -> String {
    let units = ["", "Ki", "Mi", "Gi", "Ti", "Pi"];
    let mut number = bytes;
    let mut unit = 0;
    while number != 0 && number.is_multiple_of(1024) && unit + 1 < units.len() {
        number /= 1024;
        unit += 1;
    }
    format!("{number}{}", units[unit])
}

#[cfg(test)]
#[allow(clippy::items_after_statements)] // The check of a table stands below it.
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_as_kubernetes_does() {
        check(0, "0");
        check(1000, "1000");
        check(1024, "1Ki");
        check(1536, "1536");
        check(5 << 30, "5Gi");

        #[track_caller]
        fn check(bytes: u64, expected: &str) {
            assert_eq!(quantity(bytes), expected);
        }
    }
}
