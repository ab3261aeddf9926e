//! An agent from start to stop.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::definitions::Definitions;
use crate::home::Home;
use crate::ledger::Ledger;
use crate::link::Link;
use crate::node;
use crate::runtime::{Runtime, RuntimeSettings};
use crate::site::{Ends, Pause, Site};
use crate::staging::blocking;
use crate::work;

/// After scripts were killed at a stop, the gateway is given so long to hear of it.
const FAREWELL: Duration = Duration::from_secs(5);

/// A running agent. It works until [`Agent::stop`]; dropped without, its scripts are killed and their leases lapse.
#[derive(Debug)]
pub struct Agent {
    site: Arc<Site>,
    standing: JoinSet<()>,
    attempts: TaskTracker,
    stop_grace: Duration,
}

impl Agent {
    /// Checks the settings, takes the data folder, waits for the container engine, and begins to work. The gateway
    /// need not be there yet.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let gateway = config.gateway_url()?;
        let node = config.node_name()?;
        let join_token = config.token()?;
        let supervisor = config.supervisor_binary()?;
        let capacity = node::capacity(config.cpus, config.memory);
        let data = config.data.clone();
        let home = blocking(move || Home::open(&data)).await??;
        let link = Link::new(&gateway, join_token, &config.trust()?)
            .context("cannot set up the client of the gateway")?;
        let settings = RuntimeSettings {
            docker: config.docker.clone(),
            data: home.data().to_owned(),
            supervisor,
            node: node.clone(),
            identity: home.identity().to_owned(),
            labels: config
                .container_labels
                .into_iter()
                .collect::<BTreeMap<_, _>>(),
            capacity,
            idle: config.idle,
        };
        let runtime = Runtime::start(settings)
            .await
            .context("cannot set up the container runtime")?;
        tracing::info!(
            node,
            gateway,
            millicores = capacity.millicores,
            memory_bytes = capacity.memory_bytes,
            "ready to work"
        );
        let site = Arc::new(Site {
            home,
            runtime,
            link,
            ledger: Arc::new(Ledger::default()),
            definitions: Definitions::default(),
            node,
            capacity,
            labels: config.labels.into_iter().collect(),
            log_limit: usize::try_from(config.log_limit.bytes()).unwrap_or(usize::MAX),
            ends: Ends::default(),
            pause: Pause::default(),
            news: Notify::new(),
            wanted_version: AtomicU64::new(0),
            runs: AtomicU64::new(1),
        });
        let attempts = TaskTracker::new();
        let (wish, wanted) = watch::channel(None);
        let volumes_wanted = wanted.clone();
        let mut standing = JoinSet::new();
        standing.spawn(work::stay_member(Arc::clone(&site)));
        standing.spawn(work::ask_for_work(
            Arc::clone(&site),
            attempts.clone(),
            wish,
        ));
        standing.spawn(work::keep_ready(Arc::clone(&site), wanted));
        standing.spawn(work::keep_volumes(Arc::clone(&site), volumes_wanted));
        Ok(Self {
            site,
            standing,
            attempts,
            stop_grace: config.stop_grace,
        })
    }

    /// Name of the node, as the cluster knows it.
    pub fn node(&self) -> &str {
        &self.site.node
    }

    /// Returns when a standing task has ended, which none does before [`Agent::stop`]: the agent is broken then.
    pub async fn broken(&mut self) -> anyhow::Error {
        match self.standing.join_next().await {
            Some(Err(error)) => anyhow::Error::new(error).context("a task of the agent broke"),
            _ => anyhow::anyhow!("a task of the agent ended"),
        }
    }

    /// Takes no new work, gives running scripts their grace, hands back what is not done, and removes all
    /// containers. Takes at most the grace, a few seconds, and what the engine needs.
    pub async fn stop(mut self) {
        let ends = &self.site.ends;
        ends.stopping.cancel();
        self.attempts.close();
        if !self.attempts.is_empty() {
            tracing::info!(attempts = self.attempts.len(), grace = ?self.stop_grace, "waiting for running scripts");
        }
        if tokio::time::timeout(self.stop_grace, self.attempts.wait())
            .await
            .is_err()
        {
            ends.kill.cancel();
            if tokio::time::timeout(FAREWELL, self.attempts.wait())
                .await
                .is_err()
            {
                ends.abandon.cancel();
                let _ = tokio::time::timeout(FAREWELL, self.attempts.wait()).await;
            }
        }
        self.standing.shutdown().await;
        self.site.runtime.stop().await;
        tracing::info!("stopped");
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let ends = &self.site.ends;
        for end in [&ends.stopping, &ends.kill, &ends.abandon] {
            end.cancel();
        }
    }
}
