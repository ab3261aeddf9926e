//! Which way to start a container is the fastest on this node: measured once, remembered until engine, kernel or
//! supervisor change.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use spillway_model::service::{Edge, Service};
use spillway_model::wire::link::ServiceDefinition;
use tokio::time::Instant;
use tracing::{info, warn};

use super::ClaimError;
use super::container;
use super::core::Core;
use super::engine::EngineFacts;
use super::holder;

/// Starts per recipe; the median counts.
const STARTS: usize = 3;

/// What the probe found is kept in this file of the data folder.
const FILE: &str = "engine.json";

/// A probe that takes longer is given up: the node is too busy to measure anything.
const LONGEST: Duration = Duration::from_mins(1);

/// How a container gets its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Recipe {
    /// It joins the namespace of a holder.
    Joined,
    /// The engine makes one for it.
    Default,
}

impl Recipe {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Joined => "joined",
            Self::Default => "default",
        }
    }
}

/// What was measured; milliseconds from the first call to the supervisor's Hello.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Probe {
    fingerprint: String,
    pub(crate) recipe: Recipe,
    joined_ms: Option<f64>,
    default_ms: Option<f64>,
}

impl Probe {
    /// Median milliseconds of a cold start with the recipe in use.
    pub(crate) fn cold_start_ms(&self) -> Option<f64> {
        match self.recipe {
            Recipe::Joined => self.joined_ms,
            Recipe::Default => self.default_ms,
        }
    }

    /// From the file if it is about this engine, else measured.
    pub(crate) async fn of(core: &Arc<Core>, facts: &EngineFacts) -> Self {
        let fingerprint = format!(
            "{} supervisor {}",
            facts.fingerprint, core.folders.supervisor_digest
        );
        let file = core.settings.data.join(FILE);
        if let Some(probe) = read(&file)
            .await
            .filter(|probe| probe.fingerprint == fingerprint)
        {
            return probe;
        }
        let joined_ms = median(core, Recipe::Joined).await;
        let default_ms = median(core, Recipe::Default).await;
        let recipe = match (joined_ms, default_ms) {
            (None, Some(_)) => Recipe::Default,
            (Some(joined), Some(default)) if default < joined => Recipe::Default,
            _ => Recipe::Joined,
        };
        let probe = Self {
            fingerprint,
            recipe,
            joined_ms,
            default_ms,
        };
        info!(
            ?joined_ms,
            ?default_ms,
            "containers start with recipe {}",
            recipe.name()
        );
        if joined_ms.is_some()
            && let Err(error) = write(&file, &probe).await
        {
            warn!(%error, "cannot remember the engine probe in {}", file.display());
        }
        probe
    }
}

async fn read(file: &Path) -> Option<Probe> {
    serde_json::from_slice(&tokio::fs::read(file).await.ok()?).ok()
}

async fn write(file: &Path, probe: &Probe) -> std::io::Result<()> {
    let fresh = file.with_extension("new");
    tokio::fs::write(&fresh, serde_json::to_vec_pretty(probe)?).await?;
    tokio::fs::rename(fresh, file).await
}

/// Median milliseconds of a cold start; absent when it does not work.
async fn median(core: &Arc<Core>, recipe: Recipe) -> Option<f64> {
    let measured = tokio::time::timeout(LONGEST, async {
        let mut times = Vec::new();
        for _ in 0..STARTS {
            times.push(measure(core, recipe).await?);
        }
        Ok::<_, ClaimError>(times)
    });
    match measured.await {
        Ok(Ok(mut times)) => {
            times.sort_by(f64::total_cmp);
            times.get(STARTS / 2).copied()
        }
        Ok(Err(problem)) => {
            warn!(%problem, "cannot start a container with recipe {}", recipe.name());
            None
        }
        Err(_) => None,
    }
}

async fn measure(core: &Arc<Core>, recipe: Recipe) -> Result<f64, ClaimError> {
    let service = Service {
        name: "probe".into(),
        cpu: "0.1".into(),
        memory: "16Mi".into(),
        image: holder::image_name(&core.folders),
        edge: Some(Edge::default()),
        ..Service::default()
    };
    let definition = ServiceDefinition {
        revision: 0,
        service,
        secrets: BTreeMap::new(),
        registries: Vec::new(),
        volume: None,
    };
    let plan = core.plan(&Arc::new(definition))?;
    if recipe == Recipe::Joined {
        // The holder is there before: it is no part of what is measured.
        core.holders
            .get(core, &plan.network)
            .await
            .map_err(|error| ClaimError::Interrupted(error.to_string()))?;
    }
    let begun = Instant::now();
    let live = container::start(core, &plan, recipe).await?;
    let taken = begun.elapsed();
    core.end_now(live).await;
    Ok(taken.as_secs_f64() * 1000.0)
}
