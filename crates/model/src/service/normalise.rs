//! What creating and updating do to a service before anything is stored: defaults, one spelling for everything,
//! and every rule that can be checked by looking at the service alone.

mod edge;
mod names;
mod paths;
mod volume;

use super::{Service, SpecError};
use crate::quantity::{Cpu, Memory};

/// Memory limit of a container whose service names none.
pub const DEFAULT_MEMORY: &str = "256Mi";

/// CPU limit of a container whose service names none.
pub const DEFAULT_CPU: &str = "0.2";

/// The least memory a container can be started with, in bytes: Docker refuses less.
pub const LEAST_MEMORY: u64 = 6 << 20;

/// Longest name of a service, in characters.
pub const LONGEST_NAME: usize = 39;

const LOG_LEVELS: [&str; 6] = ["NOTSET", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"];

impl Service {
    /// Fills in defaults, brings paths, lists, labels and line ends into one form and checks all rules. What the
    /// client has no say in (`owner`, `token`, `storage_providers.minio.default`) is left to the caller.
    ///
    /// Normalising twice changes nothing more.
    pub fn normalise(&mut self) -> Result<(), SpecError> {
        self.normalise_all().into_iter().next().map_or(Ok(()), Err)
    }

    /// As [`Service::normalise`], but tells everything that is wrong and not only the first of it.
    pub fn normalise_all(&mut self) -> Vec<SpecError> {
        let mut problems = Vec::new();
        self.identity(&mut problems);
        paths::normalise(self, &mut problems);
        self.access(&mut problems);
        self.script = self.script.replace("\r\n", "\n").replace('\r', "\n");
        self.defaults();
        self.quantities(&mut problems);
        self.environment_names(&mut problems);
        volume::normalise(self, &mut problems);
        edge::check(self, &mut problems);
        names::labels(self, &mut problems);
        if let Some(federation) = &mut self.federation {
            if federation.topology.is_empty() {
                "none".clone_into(&mut federation.topology);
            }
            if federation.group_id.is_empty() {
                federation.group_id.clone_from(&self.name);
            }
        }
        self.exposed(&mut problems);
        problems
    }

    /// Refuses what no version of Spillway runs.
    pub fn check_supported(&self) -> Result<(), SpecError> {
        if self.enable_sgx {
            return Err(SpecError::new(
                "enable_sgx",
                "enclaves (SGX) are not available on this cluster; leave it out",
            ));
        }
        if self.kserve.is_some() {
            return Err(SpecError::new(
                "kserve",
                "model servers (KServe) are not available on this cluster; leave it out",
            ));
        }
        Ok(())
    }

    /// Name, image and script, without which there is no service.
    fn identity(&mut self, problems: &mut Vec<SpecError>) {
        let missing = |field: &str| SpecError::new(field, "it is missing; every service needs one");
        if self.name.is_empty() {
            problems.push(missing("name"));
        } else if let Err(message) = names::service_name(&self.name) {
            problems.push(SpecError::new("name", message));
        }
        self.image = self.image.trim().to_owned();
        if self.image.is_empty() {
            problems.push(missing("image"));
        } else if self
            .image
            .chars()
            .any(|c| c.is_whitespace() || c.is_control())
        {
            problems.push(SpecError::new(
                "image",
                format!(
                    "{:?} is no image reference: it contains a blank",
                    self.image
                ),
            ));
        }
        if self.script.trim().is_empty() {
            problems.push(missing("script"));
        }
    }

    /// Who may see the service.
    fn access(&mut self, problems: &mut Vec<SpecError>) {
        for user in &mut self.allowed_users {
            *user = user.trim().to_owned();
        }
        self.allowed_users.retain(|user| !user.is_empty());
        self.visibility = self.visibility.trim().to_lowercase();
        if self.visibility.is_empty() {
            "private".clone_into(&mut self.visibility);
        }
        if !["private", "restricted", "public"].contains(&self.visibility.as_str()) {
            let message = format!(
                "{:?} is not known; expected private, restricted or public",
                self.visibility
            );
            problems.push(SpecError::new("visibility", message));
        }
        self.isolation_level = self.isolation_level.trim().to_uppercase();
        if !["", "SERVICE", "USER"].contains(&self.isolation_level.as_str()) {
            let message = format!(
                "{:?} is not known; expected SERVICE or USER",
                self.isolation_level
            );
            problems.push(SpecError::new("isolation_level", message));
        }
    }

    fn defaults(&mut self) {
        for (text, default) in [
            (&mut self.memory, DEFAULT_MEMORY),
            (&mut self.cpu, DEFAULT_CPU),
        ] {
            *text = text.trim().to_owned();
            if text.is_empty() {
                default.clone_into(text);
            }
        }
        self.log_level = self.log_level.trim().to_uppercase();
        if !LOG_LEVELS.contains(&self.log_level.as_str()) {
            "INFO".clone_into(&mut self.log_level);
        }
    }

    fn quantities(&self, problems: &mut Vec<SpecError>) {
        let mut wrong =
            |field: &str, message: String| problems.push(SpecError::new(field, message));
        match self.cpu.parse::<Cpu>() {
            Err(error) => wrong("cpu", error.to_string()),
            Ok(cpu) if cpu.millicores() == 0 => {
                wrong(
                    "cpu",
                    format!("{:?} is nothing; expected more than 0", self.cpu),
                );
            }
            Ok(_) => {}
        }
        match self.memory.parse::<Memory>() {
            Err(error) => wrong("memory", error.to_string()),
            Ok(memory) if memory.bytes() < LEAST_MEMORY => {
                // "512m" is half a byte to Kubernetes and half a gibibyte to whoever wrote it.
                let meant = self
                    .memory
                    .strip_suffix('m')
                    .map(|number| format!("; did you mean \"{number}Mi\"?"));
                let hint = meant.unwrap_or_default();
                wrong(
                    "memory",
                    format!(
                        "{:?} is less than the 6Mi that every container needs{hint}",
                        self.memory
                    ),
                );
            }
            Ok(_) => {}
        }
        if let Some(Err(error)) = given(&self.total_cpu).map(str::parse::<Cpu>) {
            wrong("total_cpu", error.to_string());
        }
        for (field, text) in [
            ("total_memory", &self.total_memory),
            ("ephemeral_storage_request", &self.ephemeral_storage_request),
        ] {
            if let Some(Err(error)) = given(text).map(str::parse::<Memory>) {
                wrong(field, error.to_string());
            }
        }
        let scale = &self.synchronous;
        if scale.max_scale > 0 && scale.min_scale > scale.max_scale {
            let message = format!(
                "{} is more than max_scale, which is {}",
                scale.min_scale, scale.max_scale
            );
            wrong("synchronous.min_scale", message);
        }
    }

    /// How the service is exposed.
    fn exposed(&self, problems: &mut Vec<SpecError>) {
        let expose = &self.expose;
        let choices: [(&str, &str, &[&str]); 2] = [
            ("auth_type", &expose.auth_type, &["basic", "forward"]),
            ("probe_mode", &expose.probe_mode, &["legacy", "direct"]),
        ];
        for (member, text, known) in choices {
            if !text.is_empty() && !known.contains(&text) {
                let message = format!("{text:?} is not known; expected {}", one_of(known));
                problems.push(SpecError::new(format!("expose.{member}"), message));
            }
        }
        let (ports, node_ports) = (expose.api_port.len(), expose.node_port.len());
        if node_ports > 0 && ports != node_ports {
            let message = format!(
                "it has {node_ports} and api_port has {ports}; expected as many, 0 to have one chosen"
            );
            problems.push(SpecError::new("expose.nodePort", message));
        }
    }

    /// Variables and secrets end up as `NAME=value` in a container.
    fn environment_names(&self, problems: &mut Vec<SpecError>) {
        let groups = [
            ("variables", &self.environment.variables),
            ("secrets", &self.environment.secrets),
        ];
        for (group, map) in groups {
            for (name, value) in map {
                if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                    let message = format!(
                        "{name:?} is no name of a variable, or its value holds a zero byte"
                    );
                    problems.push(SpecError::new(
                        format!("environment.{group}.{name}"),
                        message,
                    ));
                }
            }
        }
    }
}

/// A text that is not blank.
fn given(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

/// `keep, delete or move`
fn one_of(words: &[&str]) -> String {
    match words {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        _ => words.join(""),
    }
}

#[cfg(test)]
#[allow(clippy::items_after_statements)] // Cases first, what checks them below.
mod tests;
