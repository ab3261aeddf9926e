//! All that follows from a service's definition for its containers, worked out once per revision.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use ring::digest::{SHA256, digest};
use spillway_model::service::Service;
use spillway_model::wire::link::{FailureReason, Resources, ServiceDefinition};

use super::ClaimError;

/// Which containers may take each other's place: same service, same revision, same content.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) service: String,
    pub(crate) revision: u64,
    /// Of definition and supervisor: a gateway that lost its memory counts revisions from 1 again.
    pub(crate) digest: String,
}

/// Who may share a network namespace: containers of one owner with one network policy.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct NetworkClass {
    pub(crate) owner: String,
    pub(crate) policy: NetworkPolicy,
}

/// `edge.network`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum NetworkPolicy {
    /// The engine's own bridge: outgoing connections.
    Default,
    /// Loopback only.
    Closed,
}

impl NetworkPolicy {
    /// As the engine calls it.
    pub(crate) fn mode(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Closed => "none",
        }
    }
}

/// What is needed to make a container of a service.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) definition: Arc<ServiceDefinition>,
    pub(crate) key: Key,
    pub(crate) resources: Resources,
    pub(crate) network: NetworkClass,
    /// Host folder that becomes `/oscar`.
    pub(crate) folder: PathBuf,
    /// Whether a container serves more than one run.
    pub(crate) reuse: bool,
    /// Most containers of the service; 0 for no bound.
    pub(crate) max_scale: u32,
}

impl Plan {
    /// Works it out. `services` is the folder that holds one folder per service, `supervisor` the digest of the
    /// binary.
    pub(crate) fn of(
        definition: &Arc<ServiceDefinition>,
        services: &std::path::Path,
        supervisor: &str,
    ) -> Result<Self, ClaimError> {
        let service = &definition.service;
        let refuse = |problem: String| ClaimError::Failed {
            reason: FailureReason::ContainerStart,
            message: format!("service {:?}: {problem}", service.name),
        };
        let resources = service
            .resources()
            .map_err(|error| refuse(error.to_string()))?;
        let policy = match service
            .edge
            .as_ref()
            .and_then(|edge| edge.network.as_deref())
        {
            None | Some("" | "default") => NetworkPolicy::Default,
            Some("none") => NetworkPolicy::Closed,
            Some(other) => {
                return Err(refuse(format!(
                    "edge.network is {other:?}, expected default or none"
                )));
            }
        };
        let content = serde_json::to_vec(&**definition).unwrap_or_default();
        let content = hex::encode(
            &digest(&SHA256, &[&content, supervisor.as_bytes()].concat()).as_ref()[..8],
        );
        let folder = services
            .join(&service.name)
            .join(format!("{}-{content}", definition.revision));
        Ok(Self {
            key: Key {
                service: service.name.clone(),
                revision: definition.revision,
                digest: content,
            },
            resources,
            network: NetworkClass {
                owner: service.owner.clone(),
                policy,
            },
            folder,
            reuse: service.reuse(),
            max_scale: service.synchronous.max_scale,
            definition: Arc::clone(definition),
        })
    }

    /// Variables of the container: the user's, the secrets, ours. The image's own stay, unless named here.
    pub(crate) fn environment(&self, node: &str) -> Vec<String> {
        let service = &self.definition.service;
        let mut all = BTreeMap::new();
        all.extend(
            service
                .environment
                .variables
                .iter()
                .map(|(name, value)| (name.as_str(), value.clone())),
        );
        // The token with which a federation acts in its owner's name is none of the script's business.
        let secrets = self
            .definition
            .secrets
            .iter()
            .filter(|(name, _)| *name != "refresh_token");
        all.extend(secrets.map(|(name, value)| (name.as_str(), value.clone())));
        all.extend([
            ("OSCAR_SERVICE_NAME", service.name.clone()),
            ("OSCAR_SERVICE_TOKEN", service.token.clone()),
            (
                "OSCAR_SERVICE_BASE_PATH",
                format!("/system/services/{}/exposed", service.name),
            ),
            ("RESOURCE_ID", node.to_owned()),
        ]);
        all.into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name}={value}"))
            .collect()
    }

    /// `function_config.yaml`: the definition without script, token, secrets and provider credentials. JSON is YAML.
    pub(crate) fn public_definition(&self) -> String {
        let service = &self.definition.service;
        let mut shown: Service = service.clone();
        shown.script = String::new();
        shown.token = String::new();
        shown.blank_secrets();
        shown.mask_credentials();
        shown.clusters.clear();
        if let Some(federation) = &mut shown.federation {
            federation
                .members
                .iter_mut()
                .for_each(|member| member.headers.clear());
        }
        serde_json::to_string_pretty(&shown).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
