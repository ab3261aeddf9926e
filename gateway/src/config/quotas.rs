//! What each user may use unless the administrator says otherwise for somebody.

use std::fmt;

use serde::Deserialize;
use spillway_model::quantity::Memory;

use crate::quotas::Quotas;

/// Defaults of the quotas. In the settings file they stand below `quotas`.
#[derive(Debug, Clone, Default, PartialEq, clap::Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QuotaConfig {
    /// Disk space that the volumes of one user may take together, such as 7Gi; 0 for no limit [default: 7Gi]
    #[arg(
        long = "quota-volumes-disk",
        env = "VOLUME_AVAILABLE",
        value_name = "SIZE"
    )]
    pub volumes_disk: Option<Size>,
    /// Volumes that one user may have; 0 for no limit [default: 5]
    #[arg(long = "quota-volumes", env = "VOLUME_MAX", value_name = "NUMBER")]
    pub volumes: Option<u32>,
    /// Largest volume of a user; 0 for no limit [default: 5Gi]
    #[arg(
        long = "quota-volume-max",
        env = "VOLUME_MAX_DISK",
        value_name = "SIZE"
    )]
    pub volume_max: Option<Size>,
    /// Smallest volume of a user [default: 200Mi]
    #[arg(
        long = "quota-volume-min",
        env = "VOLUME_MIN_DISK",
        value_name = "SIZE"
    )]
    pub volume_min: Option<Size>,
    /// Limit the buckets of users; quotas that are set for one user hold anyway [default: false]
    #[arg(
        long = "quota-buckets-enabled",
        env = "MINIO_QUOTA_ENABLED",
        value_name = "true|false"
    )]
    pub buckets_enabled: Option<bool>,
    /// Buckets that one user may have; 0 for no limit [default: 5]
    #[arg(
        long = "quota-buckets",
        env = "MINIO_QUOTA_BUCKETS",
        value_name = "NUMBER"
    )]
    pub buckets: Option<u32>,
    /// Bytes that a user's bucket may hold, such as 5Gi; 0 for no limit [default: 5Gi]
    #[arg(
        long = "quota-bucket-size",
        env = "MINIO_QUOTA_STORAGE",
        value_name = "SIZE"
    )]
    pub bucket_size: Option<Size>,
}

/// A size as the user writes it.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Size(pub Memory);

impl std::str::FromStr for Size {
    type Err = spillway_model::quantity::QuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl TryFrom<String> for Size {
    type Error = spillway_model::quantity::QuantityError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Debug for Size {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl QuotaConfig {
    /// What `self` leaves open is taken from `other`.
    #[allow(clippy::needless_pass_by_value)] // As `Config::or`, whose part it is.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            volumes_disk: self.volumes_disk.or(other.volumes_disk),
            volumes: self.volumes.or(other.volumes),
            volume_max: self.volume_max.or(other.volume_max),
            volume_min: self.volume_min.or(other.volume_min),
            buckets_enabled: self.buckets_enabled.or(other.buckets_enabled),
            buckets: self.buckets.or(other.buckets),
            bucket_size: self.bucket_size.or(other.bucket_size),
        }
    }

    /// What holds for users of whom nothing else is said.
    pub(super) fn defaults(&self) -> Quotas {
        let usual = Quotas::default();
        let size = |set: Option<Size>, usual| set.map_or(usual, |size| size.0.bytes());
        let mut quotas = Quotas {
            volumes: self.volumes.map_or(usual.volumes, u64::from),
            volumes_disk: size(self.volumes_disk, usual.volumes_disk),
            volume_max: size(self.volume_max, usual.volume_max),
            volume_min: size(self.volume_min, usual.volume_min),
            ..usual
        };
        if self.buckets_enabled.unwrap_or(false) {
            quotas.buckets = self.buckets.map_or(5, u64::from);
            quotas.bucket_bytes = size(self.bucket_size, 5 << 30);
        }
        quotas
    }
}
