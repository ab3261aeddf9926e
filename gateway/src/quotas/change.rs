//! What the administrator sets for one user, as the API's body says it.

use rusqlite::{Connection, params};
use serde_json::{Map, Value};
use spillway_model::quantity::Memory;

use crate::store::StoreError;

/// What is set; the rest stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Change {
    buckets: Option<u64>,
    bucket_bytes: Option<u64>,
    volumes: Option<u64>,
    volumes_disk: Option<u64>,
    volume_max: Option<u64>,
    volume_min: Option<u64>,
}

/// Why a body sets nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// OSCAR's words.
    #[error("cpu, memory, ephemeral_storage, volumes or minio must be provided")]
    Nothing,
    /// Kept by Kubernetes' queueing add-on in OSCAR.
    #[error(
        "quotas of cpu, memory, ephemeral_storage and gpu need Kueue, which this cluster does not have; set volumes or minio"
    )]
    NeedsKueue,
    #[error("{field}: {reason}")]
    Value { field: &'static str, reason: String },
}

impl Change {
    /// Reads the body; names of members in any case.
    pub(crate) fn read(body: Map<String, Value>) -> Result<Self, Refused> {
        let body = lower(body);
        let queued = ["cpu", "memory", "ephemeral_storage", "ephemeral-storage"];
        if queued.iter().any(|name| body.contains_key(*name)) {
            return Err(Refused::NeedsKueue);
        }
        let part = |name: &'static str| match body.get(name) {
            None => Ok(None),
            Some(Value::Object(part)) => Ok(Some(lower(part.clone()))),
            Some(_) => Err(wrong(name, "expected an object")),
        };
        let (volumes, minio) = (part("volumes")?, part("minio")?);
        if volumes.is_none() && minio.is_none() {
            return Err(Refused::Nothing);
        }
        let (volumes, minio) = (volumes.unwrap_or_default(), minio.unwrap_or_default());
        let change = Self {
            buckets: count(&minio, "buckets", "minio.buckets")?,
            bucket_bytes: size(&minio, "storage_per_bucket", "minio.storage_per_bucket")?,
            volumes: count(&volumes, "volumes", "volumes.volumes")?,
            volumes_disk: size(&volumes, "disk", "volumes.disk")?,
            volume_max: size(
                &volumes,
                "max_disk_per_volume",
                "volumes.max_disk_per_volume",
            )?,
            volume_min: size(
                &volumes,
                "min_disk_per_volume",
                "volumes.min_disk_per_volume",
            )?,
        };
        Ok(change)
    }
}

/// Sets it for the user.
pub(crate) fn change(db: &Connection, uid: &str, change: Change) -> Result<(), StoreError> {
    let stored = |value: Option<u64>| value.map(|value| i64::try_from(value).unwrap_or(i64::MAX));
    db.prepare_cached(
        "INSERT INTO quotas (uid, buckets, bucket_bytes, volumes, volumes_disk, volume_max, volume_min)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (uid) DO UPDATE SET
             buckets = coalesce(excluded.buckets, buckets),
             bucket_bytes = coalesce(excluded.bucket_bytes, bucket_bytes),
             volumes = coalesce(excluded.volumes, volumes),
             volumes_disk = coalesce(excluded.volumes_disk, volumes_disk),
             volume_max = coalesce(excluded.volume_max, volume_max),
             volume_min = coalesce(excluded.volume_min, volume_min)",
    )?
    .execute(params![
        uid,
        stored(change.buckets),
        stored(change.bucket_bytes),
        stored(change.volumes),
        stored(change.volumes_disk),
        stored(change.volume_max),
        stored(change.volume_min),
    ])?;
    Ok(())
}

/// Without what is null or blank: both mean that nothing is set.
fn lower(object: Map<String, Value>) -> Map<String, Value> {
    let given = |value: &Value| !value.is_null() && value.as_str() != Some("");
    object
        .into_iter()
        .filter(|(_, value)| given(value))
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .collect()
}

fn wrong(field: &'static str, reason: impl Into<String>) -> Refused {
    Refused::Value {
        field,
        reason: reason.into(),
    }
}

/// Numbers are taken for what they look like.
fn text(
    part: &Map<String, Value>,
    name: &str,
    field: &'static str,
) -> Result<Option<String>, Refused> {
    match part.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.trim().to_owned())),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(_) => Err(wrong(field, "expected a string")),
    }
}

fn count(
    part: &Map<String, Value>,
    name: &str,
    field: &'static str,
) -> Result<Option<u64>, Refused> {
    let Some(text) = text(part, name, field)? else {
        return Ok(None);
    };
    let number = text.parse::<u32>().map_err(|_| {
        wrong(
            field,
            format!("{text:?} is no number; expected a whole number such as \"5\", or \"0\" for no limit"),
        )
    })?;
    Ok(Some(number.into()))
}

fn size(
    part: &Map<String, Value>,
    name: &str,
    field: &'static str,
) -> Result<Option<u64>, Refused> {
    let Some(text) = text(part, name, field)? else {
        return Ok(None);
    };
    let size = text
        .parse::<Memory>()
        .map_err(|error| wrong(field, error.to_string()))?;
    Ok(Some(size.bytes()))
}
