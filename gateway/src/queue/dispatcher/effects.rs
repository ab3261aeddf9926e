//! What the dispatcher has done by others: reading and writing. Each ends with a message back to it.

use spillway_model::wire::link::Attempt;
use tracing::{error, warn};

use super::{Ask, Dispatcher};
use crate::queue::board::{Held, WINDOW};
use crate::queue::catalog::Catalog;
use crate::queue::removal;
use crate::queue::rows::{self, Ending, Limits};
use crate::store::StoreError;

/// Leases of one service that a refill looks past, at most: their grants may not be in its snapshot yet.
const LOOK_PAST: u32 = 4096;

impl Dispatcher {
    /// Asks the database for more jobs where few are left in memory.
    pub(super) fn refill(&mut self) {
        for (service, lane) in &mut self.board.lanes {
            if self.board.catalog.get(service).is_none() || !lane.begin_refill() {
                continue;
            }
            let running = u32::try_from(lane.running)
                .unwrap_or(LOOK_PAST)
                .min(LOOK_PAST);
            let limit = u32::try_from(WINDOW).unwrap_or(LOOK_PAST) + running;
            let (store, service) = (self.store.clone(), service.clone());
            let (epoch, now_ms, to) = (
                self.epoch,
                self.settings.clock.now_ms(),
                self.inbox.sender.clone(),
            );
            self.tasks.spawn(async move {
                let name = service.clone();
                let page = store
                    .read(move |db| rows::ready(db, &name, now_ms, limit, epoch))
                    .await;
                let page = page
                    .inspect_err(
                        |error| error!(%error, service.name = %service, "reading queued jobs"),
                    )
                    .ok();
                if page.is_none() {
                    tokio::time::sleep(RETRY).await;
                }
                if let Some(to) = to.upgrade() {
                    drop(to.send(Ask::Refilled { service, page }).await);
                }
            });
        }
    }

    /// Writes into the row that an attempt was interrupted, for a reason of the node's.
    pub(super) fn write_back(&self, held: Held, message: String) {
        let (store, to, epoch) = (self.store.clone(), self.inbox.sender.clone(), self.epoch);
        let now_ms = self.settings.clock.now_ms();
        let limits = Limits {
            retries: 0, // An interruption does not count against them.
            interruptions: self.settings.interruptions,
            backoff: self.settings.backoff,
        };
        self.tasks.spawn(async move {
            let (node, name, number) = (held.node.clone(), held.name.clone(), held.attempt);
            let written = store.write(move |db| {
                let attempt = Attempt { job: name, attempt: number };
                let ending = Ending::Interrupted { message };
                rows::finish(db, &node, &attempt, &ending, None, &limits, epoch, now_ms)
            });
            let news = match written.await {
                Ok(mut finished) => {
                    finished.id = held.id;
                    finished.service.clone_from(&held.service);
                    Ask::Ended { finished, attempt: number }
                }
                Err(StoreError::Closed) => return,
                Err(error) => {
                    error!(%error, job.id = %held.name, "an interruption could not be written; trying again");
                    tokio::time::sleep(RETRY).await;
                    Ask::NotEnded(held)
                }
            };
            if let Some(to) = to.upgrade() {
                drop(to.send(news).await);
            }
        });
    }

    /// Reads the services again.
    pub(super) fn load_catalog(&mut self) {
        self.loading = true;
        let (store, to) = (self.store.clone(), self.inbox.sender.clone());
        let signals = std::sync::Arc::clone(&self.inbox.signals);
        self.tasks.spawn(async move {
            let catalog = store.read(Catalog::load).await;
            if let Err(error) = &catalog {
                error!(%error, "reading the services; trying again");
                tokio::time::sleep(RETRY).await;
                signals
                    .services
                    .store(true, std::sync::atomic::Ordering::Release);
            }
            if let Some(to) = to.upgrade() {
                drop(to.send(Ask::Services(catalog.ok())).await);
            }
        });
    }

    /// Deletes the jobs of services that are no more, in the background.
    pub(super) fn sweep_orphans(&self) {
        let (store, to, stop) = (
            self.store.clone(),
            self.inbox.sender.clone(),
            self.stop.clone(),
        );
        self.tasks.spawn(async move {
            let services = match store.read(removal::orphaned).await {
                Ok(services) => services,
                Err(error) => return warn!(%error, "looking for jobs of deleted services"),
            };
            for service in services {
                while !stop.is_cancelled() {
                    let name = service.clone();
                    let swept = store.write(move |db| removal::sweep(db, &name)).await;
                    let ids = match swept {
                        Ok(ids) if ids.is_empty() => break,
                        Ok(ids) => ids,
                        Err(error) => return warn!(%error, service.name = %service, "deleting jobs of a deleted service"),
                    };
                    let Some(to) = to.upgrade() else { return };
                    drop(to.send(Ask::Deleted { service: service.clone(), ids }).await);
                }
            }
        });
    }
}

/// Between two tries of something that failed on our own side.
const RETRY: std::time::Duration = std::time::Duration::from_secs(1);
