//! A definition's providers are tried before it is stored, so that a wrong key is told to whoever wrote it, not to a log.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use spillway_model::service::{Service, StorageIo};
use spillway_storage::{ProviderError, StorageError, Why};

use super::Providers;

/// Time for one provider.
const LIMIT: Duration = Duration::from_secs(20);

/// The times that providers showed, by `<type>.<id>`: what lay in a folder before is told from what came after by the
/// provider's own clock, not by ours.
pub(crate) type Clocks = BTreeMap<String, Timestamp>;

/// Why a definition is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckError {
    /// In OSCAR's words.
    #[error("the StorageProvider \"{0}\" is not defined")]
    Undefined(String),
    #[error("unrecognized input (valid inputs are MinIO and dCache)")]
    Input,
    #[error("output provider {0} is not available in this version")]
    Output(String),
    #[error("{direction} {provider} (path {path:?}): {message}{advice}")]
    Provider {
        direction: &'static str,
        provider: String,
        path: String,
        message: String,
        advice: &'static str,
    },
}

/// What helps when a provider is away on purpose.
const FORCE: &str =
    ". To store the definition although it does not answer, add ?validate=false to the request";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Input,
    Output,
}

impl Providers {
    /// Checks what needs no connection: kinds, and that each used provider is defined.
    pub(crate) fn check_names(&self, service: &Service) -> Result<(), CheckError> {
        for io in &service.input {
            let (kind, _) = io.provider();
            if !matches!(kind, "minio" | "s3" | "webdav" | "rucio") {
                return Err(CheckError::Input);
            }
        }
        for io in &service.output {
            let (kind, id) = io.provider();
            if !matches!(kind, "minio" | "s3" | "webdav" | "onedata" | "rucio") {
                return Err(CheckError::Output(format!("{kind}.{id}")));
            }
        }
        for io in service.input.iter().chain(&service.output) {
            let (kind, id) = io.provider();
            if !service.storage_providers.defines(kind, id) && kind != "rucio" {
                return Err(CheckError::Undefined(format!("{kind}.{id}")));
            }
            if kind != "rucio" && !service.is_built_in(io) {
                let name = format!("{kind}.{id}");
                self.client(service, &name)
                    .map_err(|error| CheckError::Provider {
                        direction: "the provider",
                        provider: name,
                        path: io.path.clone(),
                        message: error.to_string(),
                        advice: "",
                    })?;
            }
        }
        Ok(())
    }

    /// Talks to each provider that is used: proves the credentials and makes folders as OSCAR does. Those that are defined
    /// but not used are left alone.
    pub(crate) async fn check(&self, service: &Service) -> Result<Clocks, CheckError> {
        let mut clocks = Clocks::new();
        let inputs = service.input.iter().map(|io| (Side::Input, io));
        let outputs = service.output.iter().map(|io| (Side::Output, io));
        for (side, io) in inputs.chain(outputs) {
            let (kind, id) = io.provider();
            if kind == "rucio" || service.is_built_in(io) {
                continue;
            }
            let name = format!("{kind}.{id}");
            let asked = tokio::time::timeout(LIMIT, self.ask(service, side, io, &name)).await;
            let refuse = |message: String, advice| CheckError::Provider {
                direction: if side == Side::Input {
                    "input"
                } else {
                    "output"
                },
                provider: name.clone(),
                path: io.path.clone(),
                message,
                advice,
            };
            match asked {
                Ok(Ok(time)) => clocks.extend(time.map(|time| (name, time))),
                Ok(Err(ProviderError::Storage(error))) => {
                    let advice = if is_away(&error) { FORCE } else { "" };
                    return Err(refuse(error.in_full(), advice));
                }
                Ok(Err(error)) => return Err(refuse(error.to_string(), "")),
                Err(_) => {
                    let words = format!("it did not answer within {} s", LIMIT.as_secs());
                    return Err(refuse(words, FORCE));
                }
            }
        }
        Ok(clocks)
    }

    async fn ask(
        &self,
        service: &Service,
        side: Side,
        io: &StorageIo,
        name: &str,
    ) -> Result<Option<Timestamp>, ProviderError> {
        let client = self.client(service, name)?;
        let folder = client.folder(io);
        Ok(match side {
            Side::Input => client.prepare_input(&folder).await?,
            Side::Output => {
                client.prepare_output(&folder).await?;
                None
            }
        })
    }
}

fn is_away(error: &StorageError) -> bool {
    matches!(error.why(), Some(Why::Unreachable | Why::Busy))
}
