//! `POST volumes`: an agent says what volumes are on its node and hears which shall be. It asks whenever the services
//! it shall know change, now and then besides, and again when it has done something.

use serde::{Deserialize, Serialize};

/// What the node has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumesReport {
    /// Volumes that the node was told of. Those not named are unknown, not absent.
    pub volumes: Vec<VolumeReport>,
}

/// One volume on the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeReport {
    /// What the container engine calls it.
    pub id: String,
    /// Whether it is there.
    pub is: VolumeIs,
    /// Bytes in it; absent while nobody has looked.
    pub used_bytes: Option<u64>,
}

/// Whether a volume is on the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum VolumeIs {
    Present,
    Absent,
    /// What should be done with it cannot be done; it is tried again.
    Failed {
        /// A sentence for the user.
        message: String,
    },
}

/// What shall be there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumesAnswer {
    /// All volumes of the node.
    pub wanted: Vec<WantedVolume>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedVolume {
    /// What the container engine calls it.
    pub id: String,
    /// What its owner calls it; for a label.
    pub name: String,
    /// What is to be done.
    pub shall: VolumeShall,
}

/// What is to be done with a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VolumeShall {
    /// Make it, unless it is there.
    BeMade,
    /// It was there. If it is not any more, it must not be made anew: its content is lost, and that is to be told.
    Stay,
    /// Delete it with all it holds, once no container uses it.
    BeGone,
}

/// A volume in the containers of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountedVolume {
    /// What the container engine calls it.
    pub id: String,
    /// Absolute path in the container.
    pub mount_path: String,
}
