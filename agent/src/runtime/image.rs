//! Images: pulled when missing, each once however many ask for it, with progress for whoever watches.

mod login;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures::future::{BoxFuture, Shared};
use futures::{FutureExt, StreamExt};
use spillway_model::registry::RegistryLogin;
use spillway_model::wire::link::{FailureReason, Pull};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::ClaimError;
use super::engine::{EngineClient, EngineError};

/// A pull on which nothing has happened for this long is given up.
const STALLED: Duration = Duration::from_mins(3);

/// Layers whose progress is told apart; an image has at most 127.
const MAX_LAYERS: usize = 256;

type Pulling = Shared<BoxFuture<'static, Result<(), PullError>>>;

/// Pulls in progress.
#[derive(Debug, Default)]
pub(crate) struct Images {
    pulling: Mutex<HashMap<Wanted, Pulling>>,
    progress: Mutex<HashMap<Wanted, Layers>>,
}

/// What is pulled, and as whom: a service with the right login does not share the failure of one without.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Wanted {
    image: String,
    login: Option<RegistryLogin>,
}

/// Bytes arrived and bytes expected, by layer.
type Layers = HashMap<String, (u64, u64)>;

/// Why an image is not there.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum PullError {
    #[error("image {image} is not on this node and cannot be pulled: {message}")]
    Missing { image: String, message: String },
    #[error("pulling image {image}: {message}")]
    Engine { image: String, message: String },
}

impl PullError {
    /// Adds what its reader can do.
    fn with_advice(self, wanted: &Wanted, logins: &[RegistryLogin]) -> Self {
        match self {
            Self::Missing { image, message } => {
                let advice = login::advice(&image, wanted.login.as_ref(), logins, &message);
                let message = match advice {
                    Some(advice) => format!("{message}: {advice}"),
                    None => message,
                };
                Self::Missing { image, message }
            }
            engine @ Self::Engine { .. } => engine,
        }
    }
}

impl From<PullError> for ClaimError {
    fn from(error: PullError) -> Self {
        match error {
            PullError::Missing { .. } => Self::Failed {
                reason: FailureReason::ImageMissing,
                message: error.to_string(),
            },
            PullError::Engine { .. } => Self::Interrupted(error.to_string()),
        }
    }
}

impl Images {
    /// Whether the image is on this node.
    pub(crate) async fn is_present(
        &self,
        engine: &EngineClient,
        image: &str,
    ) -> Result<bool, EngineError> {
        match engine
            .call("looking for an image", engine.docker().inspect_image(image))
            .await
        {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Pulls an image with the one of `logins` that its registry takes, or waits for the pull of it that is going on. It goes on when the caller loses interest.
    pub(crate) async fn pull(
        self: &Arc<Self>,
        engine: &Arc<EngineClient>,
        tasks: &TaskTracker,
        image: &str,
        logins: &[RegistryLogin],
    ) -> Result<(), PullError> {
        let wanted = Wanted {
            image: image.to_owned(),
            login: login::of_image(image, logins).cloned(),
        };
        let pulled = self.share(engine, tasks, &wanted).await;
        pulled.map_err(|error| error.with_advice(&wanted, logins))
    }

    async fn share(
        self: &Arc<Self>,
        engine: &Arc<EngineClient>,
        tasks: &TaskTracker,
        wanted: &Wanted,
    ) -> Result<(), PullError> {
        let pulling = {
            let mut all = self.pulling.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(pulling) = all.get(wanted) {
                pulling.clone()
            } else {
                let (images, engine, name) = (Arc::clone(self), Arc::clone(engine), wanted.clone());
                let task = tasks.spawn(async move {
                    let result = images.pull_now(&engine, &name).await;
                    images
                        .pulling
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .remove(&name);
                    images
                        .progress
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .remove(&name);
                    result
                });
                let name = wanted.image.clone();
                let pulling = async move {
                    task.await.unwrap_or_else(|error| {
                        Err(PullError::Engine {
                            image: name,
                            message: error.to_string(),
                        })
                    })
                };
                let pulling = pulling.boxed().shared();
                all.insert(wanted.clone(), pulling.clone());
                pulling
            }
        };
        pulling.await
    }

    /// Pulls in progress.
    pub(crate) fn pulls(&self) -> Vec<Pull> {
        let progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = |layers: &Layers, part: fn(&(u64, u64)) -> u64| layers.values().map(part).sum();
        let pull = |(wanted, layers): (&Wanted, &Layers)| Pull {
            image: wanted.image.clone(),
            current_bytes: sum(layers, |layer| layer.0),
            total_bytes: sum(layers, |layer| layer.1),
        };
        let mut pulls: Vec<Pull> = progress.iter().map(pull).collect();
        pulls.sort_by(|a, b| a.image.cmp(&b.image));
        pulls
    }

    async fn pull_now(&self, engine: &EngineClient, wanted: &Wanted) -> Result<(), PullError> {
        let image = wanted.image.as_str();
        let login = wanted.login.as_ref().map(|login| login.name.as_str());
        info!(login, "pulling image {image}");
        self.progress
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(wanted.clone(), Layers::new());
        let mut options = CreateImageOptionsBuilder::new().from_image(image);
        if !has_tag(image) {
            // Without this the engine pulls every tag there is.
            options = options.tag("latest");
        }
        let mut steps = std::pin::pin!(engine.docker().create_image(
            Some(options.build()),
            None,
            wanted.login.as_ref().map(login::credentials),
        ));
        loop {
            match timeout(STALLED, steps.next()).await {
                Ok(None) => break,
                Ok(Some(Ok(step))) => self.note(wanted, &step),
                Ok(Some(Err(error))) => {
                    let error = EngineError::new("pulling", &error);
                    warn!(%error, "cannot pull image {image}");
                    let image = image.to_owned();
                    return Err(match error {
                        EngineError::Refused { message, .. } => {
                            PullError::Missing { image, message }
                        }
                        EngineError::Away { message, .. } => PullError::Engine { image, message },
                    });
                }
                Err(_) => {
                    let message = format!("nothing has arrived for {} s", STALLED.as_secs());
                    return Err(PullError::Missing {
                        image: image.to_owned(),
                        message,
                    });
                }
            }
        }
        info!("image {image} is here");
        Ok(())
    }

    fn note(&self, wanted: &Wanted, step: &CreateImageInfo) {
        let (Some(layer), Some(progress)) = (&step.id, &step.progress_detail) else {
            return;
        };
        // Unpacking counts the same bytes again.
        if step.status.as_deref() != Some("Downloading") {
            return;
        }
        let bytes = |value: Option<i64>| {
            value
                .and_then(|value| u64::try_from(value).ok())
                .unwrap_or(0)
        };
        let mut all = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(layers) = all.get_mut(wanted)
            && (layers.len() < MAX_LAYERS || layers.contains_key(layer))
        {
            layers.insert(
                layer.clone(),
                (bytes(progress.current), bytes(progress.total)),
            );
        }
    }
}

/// Whether a reference says which of the images of that name is meant.
fn has_tag(image: &str) -> bool {
    let name = image.rsplit('/').next().unwrap_or(image);
    name.contains(':') || name.contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_not_a_tag() {
        assert!(has_tag("busybox:1.36") && has_tag("a.example:5000/b:1") && has_tag("b@sha256:00"));
        assert!(!has_tag("busybox") && !has_tag("a.example:5000/b"));
    }
}
