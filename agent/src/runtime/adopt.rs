//! After a start: what a former process of this agent left behind is taken over if it is idle and as it should be,
//! and removed if not.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use bollard::models::ContainerSummaryStateEnum;
use futures::future::join_all;
use spillway_model::wire::link::Resources;
use tracing::info;

use super::cgroup::Cgroup;
use super::container::Live;
use super::core::Core;
use super::engine::EngineError;
use super::holder::class_of;
use super::labels;
use super::plan::Key;
use super::pool::Ask;

/// Takes over what can be used and removes all else, folders included.
pub(crate) async fn adopt(core: &Arc<Core>) -> Result<(), EngineError> {
    let mut members = Vec::new();
    let mut removed = Vec::new();
    for container in core.list().await? {
        let (Some(id), Some(marks)) = (container.id, container.labels) else {
            continue;
        };
        let runs = container.state == Some(ContainerSummaryStateEnum::RUNNING);
        if runs
            && marks
                .get(labels::KIND)
                .is_some_and(|kind| kind == labels::MEMBER)
        {
            members.push((id, marks));
        } else if !runs || !adopt_holder(core, &id, &marks).await {
            removed.push(id);
        }
    }
    let mut adopted = 0;
    for (id, marks) in members {
        if adopt_member(core, &id, &marks).await.is_some() {
            adopted += 1;
        } else {
            removed.push(id);
        }
    }
    if adopted > 0 || !removed.is_empty() {
        info!(
            "took {adopted} idle containers of a former process over, removing {} leftovers",
            removed.len()
        );
    }
    join_all(removed.iter().map(|id| core.remove_now(id))).await;
    Ok(())
}

async fn adopt_holder(core: &Arc<Core>, id: &str, marks: &HashMap<String, String>) -> bool {
    let Some(class) = class_of(marks) else {
        return false;
    };
    // One holder per class is enough.
    if core.holders.has(&class) {
        return false;
    }
    matches!(
        core.holders.watch(core, &class, id.to_owned()).await,
        Ok(Some(_))
    )
}

async fn adopt_member(core: &Arc<Core>, id: &str, marks: &HashMap<String, String>) -> Option<()> {
    // Thawed in any case: the frozen can neither say Hello nor die.
    let facts = core
        .engine
        .docker()
        .inspect_container(id, None)
        .await
        .ok()?;
    if let Some(cgroup) = Cgroup::of(i32::try_from(facts.state?.pid?).ok()?, id) {
        cgroup.thaw();
    }
    let text = |label: &str| marks.get(label).cloned();
    let number = |label: &str| marks.get(label)?.parse::<u64>().ok();
    let key = Key {
        service: text(labels::SERVICE)?,
        revision: number(labels::REVISION)?,
        digest: text(labels::DIGEST)?,
    };
    let resources = Resources {
        millicores: number(labels::MILLICORES)?,
        memory_bytes: number(labels::MEMORY)?,
    };
    let folder = core.folders.members.join(text(labels::FOLDER)?);
    let service = core
        .folders
        .services
        .join(&key.service)
        .join(format!("{}-{}", key.revision, key.digest));
    let joined = text(labels::JOINED)?;
    let holder = match joined.as_str() {
        "" => None,
        id => Some(core.holders.by_container(id)?),
    };
    if !service.is_dir() || has_run(&folder) {
        return None;
    }
    let ask = Ask {
        key: key.clone(),
        resources,
        max_scale: 0,
    };
    let live = Live::connect(id.to_owned(), key, folder.clone(), holder)
        .await
        .ok()?;
    let process = live.process.clone();
    let moves = core.pool().adopt(&ask, live).ok()?;
    core.know(&folder, &service, process);
    core.carry_out(moves);
    Some(())
}

/// Whether the former process was in the middle of a run: its folder is still there.
fn has_run(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return true;
    };
    entries
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().starts_with("run-"))
}
