//! The container engine: the connection to it, what it can do, whether it answers.

use std::collections::HashMap;
use std::time::Duration;

use bollard::errors::Error as DockerError;
use bollard::query_parameters::EventsOptionsBuilder;
use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use futures::{Stream, StreamExt};
use reqwest::header::HeaderValue;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// Every call to the engine ends within this time, starts of containers included.
const CALL: Duration = Duration::from_mins(2);

/// Same for the question whether it is there at all.
const PING: Duration = Duration::from_secs(5);

/// An engine that hangs without closing connections is noticed after this time.
const CHECK_EVERY: Duration = Duration::from_mins(1);

/// First and longest pause between two attempts to reach an engine that is away.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// While the engine is away at start, say so this often.
const SAY_AGAIN: Duration = Duration::from_secs(30);

/// A connected engine.
#[derive(Debug)]
pub(crate) struct EngineClient {
    docker: Docker,
    ready: watch::Sender<bool>,
    doubt: Notify,
}

/// What the engine said of itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct EngineFacts {
    pub(crate) version: String,
    pub(crate) memory_limits: bool,
    /// What start times depend on besides load, as text.
    pub(crate) fingerprint: String,
}

/// Why a call to the engine failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EngineError {
    /// It answered, and said no.
    #[error("{doing}: {message}")]
    Refused {
        doing: &'static str,
        status: u16,
        message: String,
    },
    /// It did not answer, or not in a way that makes sense.
    #[error("{doing}: the container engine does not answer ({message})")]
    Away {
        doing: &'static str,
        message: String,
    },
}

impl EngineError {
    pub(crate) fn new(doing: &'static str, error: &DockerError) -> Self {
        match error {
            DockerError::DockerResponseServerError {
                status_code,
                message,
            } => Self::Refused {
                doing,
                status: *status_code,
                message: message.trim().to_owned(),
            },
            DockerError::DockerStreamError { error } => Self::Refused {
                doing,
                status: 500,
                message: error.clone(),
            },
            other => Self::Away {
                doing,
                message: other.to_string(),
            },
        }
    }

    /// Whether the thing that was asked for does not exist.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }

    /// Whether the engine said something that contains `words`.
    pub(crate) fn says(&self, words: &str) -> bool {
        matches!(self, Self::Refused { message, .. } if message.to_lowercase().contains(words))
    }
}

impl EngineClient {
    /// Connects to `address`, waiting with growing pauses for an engine that is away.
    pub(crate) async fn connect(address: &str) -> Self {
        let mut pause = BACK_OFF.0;
        let mut said: Option<Instant> = None;
        loop {
            match open(address).await {
                Ok(docker) => {
                    return Self {
                        docker,
                        ready: watch::Sender::new(true),
                        doubt: Notify::new(),
                    };
                }
                Err(problem) => {
                    if said.is_none_or(|at| at.elapsed() > SAY_AGAIN) {
                        warn!(%problem, "waiting for the container engine at {address}");
                        said = Some(Instant::now());
                    }
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(BACK_OFF.1);
        }
    }

    pub(crate) fn docker(&self) -> &Docker {
        &self.docker
    }

    pub(crate) fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }

    /// Awaits one call, for a bounded time.
    pub(crate) async fn call<T>(
        &self,
        doing: &'static str,
        call: impl Future<Output = Result<T, DockerError>>,
    ) -> Result<T, EngineError> {
        let answer = match timeout(CALL, call).await {
            Ok(answer) => answer.map_err(|error| EngineError::new(doing, &error)),
            Err(_) => Err(EngineError::Away {
                doing,
                message: format!("no answer in {} s", CALL.as_secs()),
            }),
        };
        if matches!(answer, Err(EngineError::Away { .. })) {
            self.doubt.notify_one();
        }
        answer
    }

    /// Asks the engine about itself, and says loudly what a user of a Raspberry Pi must know.
    pub(crate) async fn facts(&self) -> Result<EngineFacts, EngineError> {
        let info = self
            .call("asking the engine about itself", self.docker.info())
            .await?;
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let facts = EngineFacts {
            version: text(&info.server_version),
            memory_limits: info.memory_limit.unwrap_or(false),
            fingerprint: [
                text(&info.server_version),
                text(&info.kernel_version),
                text(&info.architecture),
                text(&info.driver),
                info.cgroup_version
                    .map(|version| version.to_string())
                    .unwrap_or_default(),
                info.ncpu.unwrap_or_default().to_string(),
            ]
            .join(" "),
        };
        info!(engine.version = %facts.version, "container engine {} is there", facts.fingerprint);
        if !facts.memory_limits {
            error!(
                "THE KERNEL'S MEMORY CONTROLLER IS OFF: containers are NOT held to their memory limits, and one of \
                 them can take the whole node down. Raspberry Pi OS ships it this way. To mend it, add \
                 \"cgroup_enable=memory cgroup_memory=1\" to the one line of /boot/firmware/cmdline.txt (older \
                 releases: /boot/cmdline.txt) and restart the machine."
            );
        }
        Ok(facts)
    }

    /// Watches the engine until `stop`: by the end of its event stream, by calls that failed, and by asking it now
    /// and then. `changed` is told when it went away (false) and when it came back (true).
    pub(crate) async fn watch(&self, stop: &CancellationToken, changed: impl Fn(bool)) {
        loop {
            // The end of the stream is what counts, so it is one on which next to nothing comes.
            let seldom = HashMap::from([("type", vec!["plugin"])]);
            let events = self
                .docker
                .events(Some(EventsOptionsBuilder::new().filters(&seldom).build()));
            let cut = tokio::select! {
                () = stop.cancelled() => return,
                () = drained(events) => true,
                () = self.doubt.notified() => false,
                () = sleep(CHECK_EVERY) => false,
            };
            if self.answers().await {
                if cut {
                    // It was restarted, faster than we could see it away.
                    changed(true);
                }
                // An engine that closes every event stream at once must not keep us busy.
                sleep(BACK_OFF.0).await;
                continue;
            }
            warn!("the container engine does not answer; waiting for it");
            self.ready.send_replace(false);
            changed(false);
            let mut pause = BACK_OFF.0;
            while !self.answers().await {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = sleep(pause) => (),
                }
                pause = (pause * 2).min(BACK_OFF.1);
            }
            info!("the container engine is back");
            self.ready.send_replace(true);
            changed(true);
        }
    }

    async fn answers(&self) -> bool {
        matches!(timeout(PING, self.docker.ping()).await, Ok(Ok(_)))
    }
}

/// Reads a stream to its end, whatever it says.
async fn drained<T>(stream: impl Stream<Item = T>) {
    let mut stream = std::pin::pin!(stream);
    while stream.next().await.is_some() {}
}

/// The engine reads a login in the alphabet of URLs and takes one that it cannot read for none, but the client
/// writes it in the other alphabet: passwords with `?`, `>` or `~` would not arrive.
fn url_safe(mut request: BollardRequest) -> BollardRequest {
    let header = "X-Registry-Auth";
    let written = request.headers().get(header);
    if let Some(text) = written.and_then(|value| value.to_str().ok())
        && let Ok(mut value) = text
            .replace('+', "-")
            .replace('/', "_")
            .parse::<HeaderValue>()
    {
        value.set_sensitive(true);
        request.headers_mut().insert(header, value);
    }
    request
}

async fn open(address: &str) -> Result<Docker, String> {
    let seconds = CALL.as_secs();
    let docker = if address.starts_with("tcp://") || address.starts_with("http://") {
        Docker::connect_with_http(address, seconds, API_DEFAULT_VERSION)
    } else {
        Docker::connect_with_unix(address, seconds, API_DEFAULT_VERSION)
    };
    let docker = docker.map_err(|error| error.to_string())?;
    let docker = docker.with_request_modifier(url_safe);
    match timeout(PING, docker.negotiate_version()).await {
        Ok(Ok(docker)) => Ok(docker),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer in {} s", PING.as_secs())),
    }
}
