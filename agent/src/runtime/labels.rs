//! Labels by which we know our containers again.

use std::collections::HashMap;

use super::RuntimeSettings;

/// Identity of the agent that made it: whatever carries ours is ours.
pub(crate) const AGENT: &str = "spillway.agent";
pub(crate) const NODE: &str = "spillway.node";
pub(crate) const KIND: &str = "spillway.kind";
pub(crate) const SERVICE: &str = "spillway.service";
pub(crate) const REVISION: &str = "spillway.revision";
pub(crate) const DIGEST: &str = "spillway.digest";
/// Name of the member's folder.
pub(crate) const FOLDER: &str = "spillway.folder";
pub(crate) const MILLICORES: &str = "spillway.millicores";
pub(crate) const MEMORY: &str = "spillway.memory";
/// Container id of the holder whose network it joined.
pub(crate) const JOINED: &str = "spillway.joined";
pub(crate) const OWNER: &str = "spillway.owner";
pub(crate) const NETWORK: &str = "spillway.network";

/// What the owner of a volume calls it.
pub(crate) const NAME: &str = "spillway.name";

/// Values of [`KIND`].
pub(crate) const HOLDER: &str = "holder";
pub(crate) const MEMBER: &str = "member";
pub(crate) const VOLUME: &str = "volume";

/// What everything we make carries.
pub(crate) fn common(settings: &RuntimeSettings, kind: &str) -> HashMap<String, String> {
    let mut labels: HashMap<_, _> = settings.labels.clone().into_iter().collect();
    labels.insert(AGENT.into(), settings.identity.clone());
    labels.insert(NODE.into(), settings.node.clone());
    labels.insert(KIND.into(), kind.into());
    labels
}
