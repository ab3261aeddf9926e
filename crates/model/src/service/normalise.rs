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
        match self.cpu.parse::<Cpu>() {
            Err(error) => problems.push(SpecError::new("cpu", error.to_string())),
            Ok(cpu) if cpu.millicores() == 0 => {
                problems.push(SpecError::new(
                    "cpu",
                    format!("{:?} is nothing; expected more than 0", self.cpu),
                ));
            }
            Ok(_) => {}
        }
        match self.memory.parse::<Memory>() {
            Err(error) => problems.push(SpecError::new("memory", error.to_string())),
            Ok(memory) if memory.bytes() < LEAST_MEMORY => {
                let bytes = memory.bytes();
                let message = format!(
                    "{:?} is only {bytes} bytes, and no container starts with less than 6Mi",
                    self.memory
                );
                problems.push(SpecError::new("memory", message));
            }
            Ok(_) => {}
        }
        if let Err(error) = self.total() {
            problems.push(error);
        }
        let scratch = self.ephemeral_storage_request.trim();
        if let Some(Err(error)) = (!scratch.is_empty()).then(|| scratch.parse::<Memory>()) {
            problems.push(SpecError::new(
                "ephemeral_storage_request",
                error.to_string(),
            ));
        }
        let scale = &self.synchronous;
        if scale.max_scale > 0 && scale.min_scale > scale.max_scale {
            let message = format!(
                "{} is more than max_scale, which is {}",
                scale.min_scale, scale.max_scale
            );
            problems.push(SpecError::new("synchronous.min_scale", message));
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

#[cfg(test)]
mod tests;
