//! Storage providers elsewhere: clients for what definitions name, and the check of a definition before it is stored.
//!
//! Only the gateway talks to them. Their credentials are in the definition and nowhere else; no node and no container ever
//! sees them.

mod check;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use spillway_model::service::{Service, StorageProviders, split_provider};
use spillway_storage::{Connections, Provider, ProviderError};

pub(crate) use check::{CheckError, Clocks};

/// Clients that are kept ready.
const KEPT: usize = 256;

/// Clonable handle.
#[derive(Debug, Clone)]
pub(crate) struct Providers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    connections: Connections,
    clients: Mutex<HashMap<String, Kept>>,
}

#[derive(Debug)]
struct Kept {
    /// What it was made of: another definition makes another client.
    made_of: StorageProviders,
    client: Arc<Provider>,
}

impl Providers {
    pub(crate) fn new(connections: Connections) -> Self {
        Self(Arc::new(Shared {
            connections,
            clients: Mutex::default(),
        }))
    }

    /// The client for a provider (`<type>.<id>`) of a service. What it has learnt of its server is kept as long as the
    /// definition stays the same.
    pub(crate) fn client(
        &self,
        service: &Service,
        provider: &str,
    ) -> Result<Arc<Provider>, ProviderError> {
        let name = format!("{}\n{provider}", service.name);
        let mut clients = self
            .0
            .clients
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = clients.get(&name)
            && kept.made_of == service.storage_providers
        {
            return Ok(Arc::clone(&kept.client));
        }
        let (kind, id) = split_provider(provider);
        let client = Arc::new(Provider::new(
            &service.storage_providers,
            kind,
            id,
            &self.0.connections,
        )?);
        if clients.len() >= KEPT {
            clients.clear();
        }
        let kept = Kept {
            made_of: service.storage_providers.clone(),
            client: Arc::clone(&client),
        };
        clients.insert(name, kept);
        Ok(client)
    }
}
