//! What a normalised service says about one run: what it takes, how long, how often.

use std::time::Duration;

use super::{DEFAULT_RETRIES, DEFAULT_TIMEOUT_SECONDS, Edge, Service, SpecError};
use crate::duration;
use crate::quantity::{Cpu, Memory, QuantityError};
use crate::wire::link::Resources;

impl Service {
    /// What one container takes.
    pub fn resources(&self) -> Result<Resources, SpecError> {
        let wrong = |field: &str, error: &QuantityError| SpecError::new(field, error.to_string());
        let cpu: Cpu = self.cpu.parse().map_err(|error| wrong("cpu", &error))?;
        let memory: Memory = self
            .memory
            .parse()
            .map_err(|error| wrong("memory", &error))?;
        Ok(Resources {
            millicores: cpu.millicores(),
            memory_bytes: memory.bytes(),
        })
    }

    /// What all running jobs of the service together may take, each where the service sets a bound.
    pub fn total(&self) -> Result<(Option<Cpu>, Option<Memory>), SpecError> {
        let wrong = |field: &str, error: &QuantityError| SpecError::new(field, error.to_string());
        let given = |text: &str| !text.trim().is_empty();
        let cpu = given(&self.total_cpu)
            .then(|| self.total_cpu.parse())
            .transpose();
        let memory = given(&self.total_memory)
            .then(|| self.total_memory.parse())
            .transpose();
        Ok((
            cpu.map_err(|error| wrong("total_cpu", &error))?,
            memory.map_err(|error| wrong("total_memory", &error))?,
        ))
    }

    /// Longest run of the script. A value that does not parse, which [`Service::normalise`] refuses, counts as absent.
    pub fn timeout(&self) -> Duration {
        self.edge
            .as_ref()
            .and_then(|edge| duration::parse(edge.timeout.as_deref()?).ok())
            .unwrap_or(Duration::from_secs(DEFAULT_TIMEOUT_SECONDS))
    }

    /// From event to result, if the service sets a bound.
    pub fn deadline(&self) -> Option<Duration> {
        duration::parse(self.edge.as_ref()?.deadline.as_deref()?).ok()
    }

    /// Further attempts after a failed one.
    pub fn retries(&self) -> u32 {
        self.edge
            .as_ref()
            .and_then(|edge| edge.retries)
            .unwrap_or(DEFAULT_RETRIES)
    }

    /// Whether a container may serve several runs, one after another.
    pub fn reuse(&self) -> bool {
        self.edge
            .as_ref()
            .and_then(|edge| edge.reuse)
            .unwrap_or(true)
    }

    /// Higher runs first.
    pub fn priority(&self) -> i32 {
        self.edge
            .as_ref()
            .and_then(|edge| edge.priority)
            .unwrap_or(0)
    }

    /// Whether the container's root file system is read-only.
    pub fn read_only(&self) -> bool {
        self.edge
            .as_ref()
            .and_then(|edge| edge.read_only)
            .unwrap_or(false)
    }

    /// Whether the container has a network.
    pub fn has_network(&self) -> bool {
        self.edge.as_ref().and_then(|edge| edge.network.as_deref()) != Some("none")
    }

    /// Host devices the container gets.
    pub fn devices(&self) -> &[String] {
        self.edge.as_ref().map_or(&[], |edge| &edge.devices)
    }

    /// Whether a node with these labels may run the service.
    pub fn selects(&self, labels: &super::StringMap) -> bool {
        let wanted = self.edge.as_ref().map(|edge: &Edge| &edge.node_selector);
        wanted
            .into_iter()
            .flatten()
            .all(|(key, value)| labels.get(key) == Some(value))
    }

    /// Whether the image contains one of the allowed texts; an empty list allows all.
    pub fn image_allowed(&self, allowed: &[String]) -> bool {
        allowed.is_empty()
            || allowed
                .iter()
                .any(|text| self.image.contains(text.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_the_edge_block_leaves_out_has_its_documented_default() {
        let service = Service::default();
        assert_eq!(service.timeout(), Duration::from_hours(1));
        assert_eq!(service.deadline(), None);
        assert_eq!(service.retries(), 3);
        assert!(service.reuse());
        assert_eq!(service.priority(), 0);
        assert!(service.has_network());
        assert!(!service.read_only());
    }

    #[test]
    fn a_service_without_units_that_make_sense_has_no_resources() {
        let service = Service {
            cpu: "250m".to_owned(),
            memory: "1Gib".to_owned(),
            ..Service::default()
        };
        let error = service.resources().unwrap_err().to_string();
        assert_eq!(
            error,
            "memory: \"Gib\" is no unit; use Ki, Mi, Gi, Ti (powers of 1024) or k, M, G, T (powers of 1000)"
        );
        let service = Service {
            memory: "64Mi".to_owned(),
            ..service
        };
        assert_eq!(
            service.resources(),
            Ok(Resources {
                millicores: 250,
                memory_bytes: 64 << 20
            })
        );
    }

    #[test]
    fn a_node_needs_all_labels_that_are_selected() {
        let labels = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect()
        };
        let edge = Edge {
            node_selector: labels(&[("camera", "true"), ("zone", "a")]),
            ..Edge::default()
        };
        let service = Service {
            edge: Some(edge),
            ..Service::default()
        };
        assert!(service.selects(&labels(&[("camera", "true"), ("zone", "a"), ("x", "y")])));
        assert!(!service.selects(&labels(&[("camera", "true")])));
        assert!(Service::default().selects(&labels(&[])));
    }
}
