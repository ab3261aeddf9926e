//! What agents say of the volumes on their nodes, and what they are told to do.

use std::sync::PoisonError;

use rusqlite::Connection;
use spillway_model::wire::link::{
    VolumeIs, VolumeReport, VolumeShall, VolumesAnswer, WantedVolume,
};
use tracing::{info, warn};

use super::rows::Volume;
use super::{Volumes, rows};
use crate::store::StoreError;

/// What a report changes in a row.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Phase(&'static str, String),
    Gone,
}

impl Volumes {
    /// Takes a node's report in and says what shall be there.
    pub(crate) async fn report(
        &self,
        node: &str,
        reports: Vec<VolumeReport>,
    ) -> Result<VolumesAnswer, StoreError> {
        let owner = node.to_owned();
        let known = self
            .0
            .store
            .read(move |db| rows::on_node(db, &owner))
            .await?;
        self.note_sizes(&known, &reports);
        let steps = |known: &[Volume]| -> Vec<(String, Step)> {
            known
                .iter()
                .filter_map(|volume| {
                    let report = reports.iter().find(|report| report.id == volume.id)?;
                    Some((volume.id.clone(), step(volume, report)?))
                })
                .collect()
        };
        let steps = steps(&known);
        if steps.is_empty() {
            return Ok(answer(&known));
        }
        let owner = node.to_owned();
        let known = self
            .0
            .store
            .write(move |db| {
                steps
                    .iter()
                    .try_for_each(|(id, step)| carry_out(db, &owner, id, step))?;
                rows::on_node(db, &owner)
            })
            .await?;
        self.0.queue.services_changed();
        Ok(answer(&known))
    }

    fn note_sizes(&self, known: &[Volume], reports: &[VolumeReport]) {
        let mut used = self.0.used.lock().unwrap_or_else(PoisonError::into_inner);
        for volume in known {
            let report = reports.iter().find(|report| report.id == volume.id);
            if let Some(bytes) = report.and_then(|report| report.used_bytes) {
                used.insert(volume.id.clone(), bytes);
            }
        }
    }
}

/// What follows for the row from what the node says; nothing if they agree.
fn step(volume: &Volume, report: &VolumeReport) -> Option<Step> {
    let phase = volume.stored_phase.as_str();
    let is = |phase: &'static str, message: String| {
        (volume.stored_phase != phase || volume.message != message)
            .then_some(Step::Phase(phase, message))
    };
    match (&report.is, phase) {
        (VolumeIs::Absent, "deleting") => Some(Step::Gone),
        (VolumeIs::Present, "pending" | "error" | "ready") => is("ready", String::new()),
        // A new one is made; one that was there has lost its content, which nobody must overlook.
        (VolumeIs::Absent, "ready" | "error") => is(
            "error",
            format!(
                "the node {} has lost it; delete the volume and its services, and make them anew",
                volume.node
            ),
        ),
        (VolumeIs::Failed { message }, "deleting") => is("deleting", message.clone()),
        // What is being tried is told, and tried on.
        (VolumeIs::Failed { message }, "pending") => is("pending", message.clone()),
        _ => None,
    }
}

fn carry_out(db: &Connection, node: &str, id: &str, step: &Step) -> Result<(), StoreError> {
    match step {
        Step::Gone => {
            info!(id, node, "a volume is deleted");
            rows::remove(db, id)
        }
        Step::Phase(phase, message) => {
            if message.is_empty() {
                info!(id, node, phase, "a volume changed");
            } else {
                warn!(id, node, phase, message, "a volume has a problem");
            }
            rows::set_phase(db, id, phase, message)
        }
    }
}

fn answer(known: &[Volume]) -> VolumesAnswer {
    let wanted = known.iter().map(|volume| WantedVolume {
        id: volume.id.clone(),
        name: volume.name.clone(),
        shall: match volume.stored_phase.as_str() {
            "pending" => VolumeShall::BeMade,
            "deleting" => VolumeShall::BeGone,
            _ => VolumeShall::Stay,
        },
    });
    VolumesAnswer {
        wanted: wanted.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_follows_its_node_but_never_makes_up_content_that_was_lost() {
        let volume = |phase: &str, message: &str| Volume {
            id: "v".into(),
            owner: String::new(),
            name: "data".into(),
            size: "1Gi".into(),
            bytes: 1 << 30,
            service: String::new(),
            policy: String::new(),
            node: "pi-1".into(),
            stored_phase: phase.into(),
            message: message.into(),
            attachments: Vec::new(),
        };
        let check = |phase: &str, message: &str, is: VolumeIs| {
            let report = VolumeReport {
                id: "v".into(),
                is,
                used_bytes: None,
            };
            step(&volume(phase, message), &report)
        };
        let phase = |phase, message: &str| Some(Step::Phase(phase, message.to_owned()));
        let lost =
            "the node pi-1 has lost it; delete the volume and its services, and make them anew";
        let failed = |message: &str| VolumeIs::Failed {
            message: message.into(),
        };
        assert_eq!(check("pending", "", VolumeIs::Present), phase("ready", ""));
        assert_eq!(check("pending", "", VolumeIs::Absent), None);
        assert_eq!(
            check("pending", "", failed("full")),
            phase("pending", "full")
        );
        assert_eq!(check("pending", "full", failed("full")), None);
        assert_eq!(check("ready", "", VolumeIs::Present), None);
        assert_eq!(check("ready", "", VolumeIs::Absent), phase("error", lost));
        assert_eq!(check("ready", "", failed("x")), None);
        assert_eq!(check("error", lost, VolumeIs::Absent), None);
        assert_eq!(check("error", lost, VolumeIs::Present), phase("ready", ""));
        assert_eq!(check("deleting", "", VolumeIs::Present), None);
        assert_eq!(
            check("deleting", "", failed("in use")),
            phase("deleting", "in use")
        );
        assert_eq!(check("deleting", "", VolumeIs::Absent), Some(Step::Gone));
    }
}
