//! Definitions of the wanted services, handed to the runtime.

use std::sync::Arc;

use spillway_model::wire::link::{Wanted, WantedService};
use tokio::sync::watch;

use crate::definitions::MAX_KEPT;
use crate::link::{causes, persist};
use crate::runtime::Runtime;
use crate::site::Site;

/// Hands each new list of wanted services to the runtime; a newer one overtakes an older one that is not complete.
pub(crate) async fn keep_ready(site: Arc<Site>, mut wanted: watch::Receiver<Option<Wanted>>) {
    loop {
        let Some(now) = wanted.borrow_and_update().clone() else {
            if wanted.changed().await.is_err() {
                return;
            }
            continue;
        };
        tokio::select! {
            () = keep(&site, now) => {}
            changed = wanted.changed() => if changed.is_err() { return } else { continue },
        }
        if wanted.changed().await.is_err() {
            return;
        }
    }
}

async fn keep(site: &Site, wanted: Wanted) {
    let mut list = Vec::with_capacity(wanted.services.len());
    for (at, service) in wanted.services.into_iter().enumerate() {
        // A definition that nothing is kept ready for saves the first job a request, as long as there is space.
        let needed = service.warm > 0 || service.prefetch || at < MAX_KEPT / 2;
        let definition = if needed {
            definition(site, &service).await
        } else {
            None
        };
        list.push((service, definition));
    }
    tracing::debug!(
        version = wanted.version,
        services = list.len(),
        "keeping ready what is wanted"
    );
    Runtime::keep(&site.runtime, list);
}

async fn definition(
    site: &Site,
    service: &WantedService,
) -> Option<Arc<spillway_model::wire::link::ServiceDefinition>> {
    let fetch = || {
        site.definitions
            .get(&site.link, &service.name, service.revision)
    };
    match persist(&site.ends.stopping, fetch).await? {
        Ok(definition) => Some(definition),
        Err(error) => {
            tracing::warn!(
                service = service.name,
                error = causes(&error),
                "there is no definition of a wanted service"
            );
            None
        }
    }
}
