//! Definitions of services, fetched once for each revision.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use spillway_model::wire::link::ServiceDefinition;
use tokio::sync::OnceCell;

use crate::link::{Link, LinkError};

/// Definitions that are kept, at most.
pub(crate) const MAX_KEPT: usize = 256;

type Slot = Arc<OnceCell<Arc<ServiceDefinition>>>;

/// The cache.
#[derive(Debug, Default)]
pub(crate) struct Definitions {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    slots: HashMap<(String, u64), (u64, Slot)>,
    /// Grows with each use; the least recently used definition goes first.
    uses: u64,
}

impl Definitions {
    /// A definition, from the cache or from the gateway. Callers that ask for the same one at once share a request.
    pub(crate) async fn get(
        &self,
        link: &Link,
        service: &str,
        revision: u64,
    ) -> Result<Arc<ServiceDefinition>, LinkError> {
        let fetch = || async { link.definition(service, revision).await.map(Arc::new) };
        self.slot(service, revision)
            .get_or_try_init(fetch)
            .await
            .cloned()
    }

    fn slot(&self, service: &str, revision: u64) -> Slot {
        // A panic while the lock was held cannot leave the map half-changed, so poisoning says nothing.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.uses += 1;
        let now = kept.uses;
        let (used, slot) = kept
            .slots
            .entry((service.to_owned(), revision))
            .or_default();
        *used = now;
        let slot = Arc::clone(slot);
        if kept.slots.len() > MAX_KEPT
            && let Some(oldest) = kept
                .slots
                .iter()
                .min_by_key(|(_, (used, _))| *used)
                .map(|(key, _)| key.clone())
        {
            kept.slots.remove(&oldest);
        }
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_definition_goes_first() {
        let definitions = Definitions::default();
        let first = definitions.slot("s", 0);
        for revision in 1..=MAX_KEPT as u64 {
            definitions.slot("s", 0);
            definitions.slot("s", revision);
        }
        assert!(
            Arc::ptr_eq(&first, &definitions.slot("s", 0)),
            "used all the time, so kept"
        );
        assert_eq!(definitions.kept.lock().unwrap().slots.len(), MAX_KEPT);
        assert!(
            !definitions
                .kept
                .lock()
                .unwrap()
                .slots
                .contains_key(&("s".to_owned(), 1))
        );
    }
}
