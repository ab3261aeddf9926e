//! Settings of the agent: flags, environment variables, defaults.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use spillway_model::quantity::{Cpu, Memory};
use spillway_trust::{Fingerprint, Trust};

/// Where the agent keeps its state unless told otherwise.
pub const DEFAULT_DATA: &str = "/var/lib/spillway/agent";

/// The engine's address unless told otherwise.
pub const DEFAULT_DOCKER: &str = "unix:///var/run/docker.sock";

/// Settings of one agent. `Config::default()` are the defaults of the command line, without a gateway.
#[derive(Debug, Clone, clap::Args)]
pub struct Config {
    /// Folder for everything the agent keeps.
    #[arg(long, env = "SPILLWAY_AGENT_DATA", value_name = "FOLDER", default_value = DEFAULT_DATA)]
    pub data: PathBuf,
    /// Address of the gateway, such as `http://10.0.0.1:8080`.
    #[arg(long, env = "SPILLWAY_GATEWAY", value_name = "URL")]
    pub gateway: String,
    /// Fingerprint of the gateway's key, as the gateway prints it at its start; for an https address whose certificate
    /// nobody vouches for.
    #[arg(
        long,
        env = "SPILLWAY_GATEWAY_FINGERPRINT",
        value_name = "SHA256",
        conflicts_with = "gateway_ca"
    )]
    pub gateway_fingerprint: Option<Fingerprint>,
    /// PEM file with the authorities that may vouch for the gateway [default: the system's].
    #[arg(long, env = "SPILLWAY_GATEWAY_CA", value_name = "FILE")]
    pub gateway_ca: Option<PathBuf>,
    /// Whom to trust, for a gateway in the same process.
    #[arg(skip)]
    pub gateway_trust: Option<Trust>,
    /// The gateway's join token (`join_token` in its credentials.json).
    #[arg(
        long,
        env = "SPILLWAY_JOIN_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true
    )]
    pub join_token: Option<Secret>,
    /// File that holds the join token.
    #[arg(long, value_name = "FILE", conflicts_with = "join_token")]
    pub join_token_file: Option<PathBuf>,
    /// Name of this node, unique in the cluster [default: the host name].
    #[arg(long, env = "SPILLWAY_NODE", value_name = "NAME")]
    pub node: Option<String>,
    /// Address of the Docker Engine.
    #[arg(long, env = "DOCKER_HOST", value_name = "ADDRESS", default_value = DEFAULT_DOCKER)]
    pub docker: String,
    /// The static supervisor binary [default: beside this program, then /usr/lib/spillway/spillway-supervisor].
    #[arg(long, env = "SPILLWAY_SUPERVISOR", value_name = "FILE")]
    pub supervisor: Option<PathBuf>,
    /// Label of this node, for `edge.node_selector`; repeatable.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = pair)]
    pub labels: Vec<(String, String)>,
    /// Label on every container that is created; repeatable.
    #[arg(long = "container-label", value_name = "KEY=VALUE", value_parser = pair)]
    pub container_labels: Vec<(String, String)>,
    /// Cores for containers, such as 2 or 1500m [default: all].
    #[arg(long, value_name = "CORES")]
    pub cpus: Option<Cpu>,
    /// Memory for containers, such as 3Gi [default: all but the larger of 256Mi and a tenth].
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<Memory>,
    /// An idle container above `min_scale` is removed after so long.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = spillway_model::duration::parse)]
    pub idle: Duration,
    /// How long running scripts may go on when the agent is asked to stop.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = spillway_model::duration::parse)]
    pub stop_grace: Duration,
    /// Largest log of one attempt; what lies between its head and its tail is left out.
    #[arg(long, value_name = "SIZE", default_value = "1Mi")]
    pub log_limit: Memory,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: PathBuf::from(DEFAULT_DATA),
            gateway: String::new(),
            gateway_fingerprint: None,
            gateway_ca: None,
            gateway_trust: None,
            join_token: None,
            join_token_file: None,
            node: None,
            docker: DEFAULT_DOCKER.to_owned(),
            supervisor: None,
            labels: Vec::new(),
            container_labels: Vec::new(),
            cpus: None,
            memory: None,
            idle: Duration::from_mins(1),
            stop_grace: Duration::from_secs(10),
            log_limit: Memory::from_bytes(1024 * 1024),
        }
    }
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl FromStr for Secret {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(…)")
    }
}

/// Why the settings cannot be used; the text is for whoever starts the agent.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{0:?} is no address of a gateway; expected one such as http://10.0.0.1:8080")]
    Gateway(String),
    #[error(
        "{0} does not speak TLS, so there is no key to compare; write https:// in front, or leave --gateway-fingerprint and --gateway-ca out"
    )]
    NoTls(String),
    #[error(
        "the join token is missing; give --join-token or --join-token-file (it is `join_token` in the gateway's credentials.json)"
    )]
    NoJoinToken,
    #[error("cannot read the join token from {}", path.display())]
    JoinTokenFile {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(
        "{0:?} is no name for a node; use 1 to 63 letters, digits, '-', '_' and '.', beginning with a letter or digit (--node)"
    )]
    Node(String),
    #[error("there is no supervisor binary at {tried}; give its place with --supervisor")]
    NoSupervisor { tried: String },
}

impl Config {
    /// The gateway's address without a slash at its end.
    pub(crate) fn gateway_url(&self) -> Result<String, ConfigError> {
        let wrong = || ConfigError::Gateway(self.gateway.clone());
        let url = reqwest::Url::parse(&self.gateway).map_err(|_| wrong())?;
        if !matches!(url.scheme(), "http" | "https")
            || url.host().is_none()
            || url.query().is_some()
        {
            return Err(wrong());
        }
        Ok(url.as_str().trim_end_matches('/').to_owned())
    }

    /// Whose certificate the agent accepts as the gateway's.
    pub(crate) fn trust(&self) -> Result<Trust, ConfigError> {
        let trust = match (
            &self.gateway_trust,
            self.gateway_fingerprint,
            &self.gateway_ca,
        ) {
            (Some(trust), _, _) => trust.clone(),
            (None, Some(key), _) => Trust::Key(key),
            (None, None, Some(file)) => Trust::Authority(file.clone()),
            (None, None, None) => return Ok(Trust::System),
        };
        if self.gateway.starts_with("https:") {
            Ok(trust)
        } else {
            // Whoever wants the gateway's key compared must not get a connection without one.
            Err(ConfigError::NoTls(self.gateway.clone()))
        }
    }

    /// The join token, read from its file when it is in one.
    pub(crate) fn token(&self) -> Result<Secret, ConfigError> {
        let token = match (&self.join_token, &self.join_token_file) {
            (Some(token), _) => token.reveal().trim().to_owned(),
            (None, Some(path)) => std::fs::read_to_string(path)
                .map_err(|source| ConfigError::JoinTokenFile {
                    path: path.clone(),
                    source,
                })?
                .trim()
                .to_owned(),
            (None, None) => String::new(),
        };
        if token.is_empty() {
            Err(ConfigError::NoJoinToken)
        } else {
            Ok(Secret(token))
        }
    }

    /// The node's name: as given, else the host's.
    pub(crate) fn node_name(&self) -> Result<String, ConfigError> {
        let name = match &self.node {
            Some(name) => name.clone(),
            None => crate::node::hostname(),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let good = (1..=63).contains(&name.len())
            && name.chars().all(plain)
            && name.starts_with(|c: char| c.is_ascii_alphanumeric());
        if good {
            Ok(name)
        } else {
            Err(ConfigError::Node(name))
        }
    }

    /// The supervisor's binary, looked for where packages put it.
    pub(crate) fn supervisor_binary(&self) -> Result<PathBuf, ConfigError> {
        let places = match &self.supervisor {
            Some(path) => vec![path.clone()],
            None => std::env::current_exe()
                .ok()
                .and_then(|exe| Some(exe.parent()?.join("spillway-supervisor")))
                .into_iter()
                .chain([PathBuf::from("/usr/lib/spillway/spillway-supervisor")])
                .collect(),
        };
        places
            .iter()
            .find(|path| path.is_file())
            .cloned()
            .ok_or_else(|| ConfigError::NoSupervisor {
                tried: places
                    .iter()
                    .map(|path| path.display().to_string())
                    .collect::<Vec<_>>()
                    .join(" or "),
            })
    }
}

/// Reads `key=value`.
fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE, such as camera=true".to_owned()),
    }
}

#[cfg(test)]
#[allow(clippy::items_after_statements)] // The helper of a table of cases comes last.
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        config: Config,
    }

    #[test]
    fn the_defaults_of_flags_and_of_default_are_the_same() {
        let parsed = Cli::parse_from(["agent", "--gateway", "http://gw:1"]).config;
        let expected = Config {
            gateway: "http://gw:1".to_owned(),
            ..Config::default()
        };
        // The environment of whoever runs the tests may say otherwise for these.
        let parsed = Config {
            docker: expected.docker.clone(),
            join_token: None,
            node: None,
            supervisor: None,
            ..parsed
        };
        assert_eq!(format!("{parsed:?}"), format!("{expected:?}"));
    }

    #[test]
    fn tokens_are_never_printed() {
        let config = Config {
            join_token: Some(Secret::from("hush".to_owned())),
            ..Config::default()
        };
        assert!(!format!("{config:?}").contains("hush"));
        assert_eq!(config.token().unwrap().reveal(), "hush");
    }

    #[test]
    fn addresses_of_gateways_are_checked() {
        check("http://10.0.0.1:8080/", Some("http://10.0.0.1:8080"));
        check(
            "https://gw.example.org/spillway",
            Some("https://gw.example.org/spillway"),
        );
        check("10.0.0.1:8080", None);
        check("unix:///gw.sock", None);
        check("", None);

        #[track_caller]
        fn check(text: &str, expected: Option<&str>) {
            let config = Config {
                gateway: text.to_owned(),
                ..Config::default()
            };
            assert_eq!(
                config.gateway_url().ok().as_deref(),
                expected,
                "for {text:?}"
            );
        }
    }

    #[test]
    fn a_key_to_compare_needs_tls() {
        let digits = "00".repeat(32);
        let config = |gateway: &str| Config {
            gateway: gateway.to_owned(),
            gateway_fingerprint: Some(digits.parse().unwrap()),
            ..Config::default()
        };
        assert!(matches!(config("https://gw").trust(), Ok(Trust::Key(_))));
        let error = config("http://gw").trust().unwrap_err().to_string();
        assert!(error.starts_with("http://gw does not speak TLS"), "{error}");
    }

    #[test]
    fn names_of_nodes_are_checked() {
        check("pi-1.local", true);
        check("", false);
        check("-pi", false);
        check("pi 1", false);
        check(&"x".repeat(64), false);

        #[track_caller]
        fn check(name: &str, good: bool) {
            let config = Config {
                node: Some(name.to_owned()),
                ..Config::default()
            };
            assert_eq!(config.node_name().is_ok(), good, "for {name:?}");
        }
    }
}
