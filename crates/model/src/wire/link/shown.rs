//! `Debug` of messages that carry secrets or payloads: neither is printed.

use std::fmt;

use super::{Completion, InputFile, Joined, Lease, OutputContent, ServiceDefinition};

impl fmt::Debug for Joined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Joined")
            .field("lease_ms", &self.lease_ms)
            .field("heartbeat_ms", &self.heartbeat_ms)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("attempt", &self.attempt)
            .field("service", &self.service)
            .field("revision", &self.revision)
            .field("resources", &self.resources)
            .field("environment", &self.environment.keys())
            .field("event_bytes", &self.event.len())
            .field("input", &self.input)
            .finish()
    }
}

impl fmt::Debug for InputFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InputFile")
            .field("name", &self.name)
            .field("size", &self.size)
            .field("is_inline", &self.inline.is_some())
            .finish()
    }
}

impl fmt::Debug for ServiceDefinition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceDefinition")
            .field("revision", &self.revision)
            .field("service", &self.service)
            .field("secrets", &self.secrets.keys())
            .field("registries", &self.registries)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Completion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completion")
            .field("outcome", &self.outcome)
            .field("started_at", &self.started_at)
            .field("finished_at", &self.finished_at)
            .field("usage", &self.usage)
            .field("spans", &self.spans)
            .field("log_bytes", &self.log.len())
            .field("outputs", &self.outputs)
            .finish()
    }
}

impl fmt::Debug for OutputContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(base64) => write!(f, "Inline({} characters)", base64.len()),
            Self::Staged(id) => write!(f, "Staged({id})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::link::Attempt;

    #[test]
    fn neither_secrets_nor_payloads_are_printed() {
        let word = || "swordfish".to_owned();
        let lease = Lease {
            attempt: Attempt {
                job: "plants-1".to_owned(),
                attempt: 1,
            },
            service: "plants".to_owned(),
            revision: 1,
            resources: crate::wire::link::Resources::default(),
            environment: [("A".to_owned(), word())].into(),
            event: word(),
            input: Some(InputFile {
                name: "a.txt".to_owned(),
                size: 9,
                inline: Some(word()),
            }),
        };
        let joined = Joined {
            token: word(),
            lease_ms: 1,
            heartbeat_ms: 1,
        };
        let printed = format!("{lease:?} {joined:?} {:?}", OutputContent::Inline(word()));
        assert!(!printed.contains("swordfish"), "{printed}");
        assert!(printed.contains("plants-1"));
    }
}
