//! What the program writes to standard error.

use std::io::IsTerminal as _;

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

/// Target that is never logged: it writes the headers of requests, and with them authorisation.
const SILENT: &str = "s3s";

/// How to log.
#[derive(Debug, Args)]
pub(crate) struct Logging {
    /// What to log: a level, or `target=level` pairs
    #[arg(
        long,
        env = "SPILLWAY_LOG",
        default_value = "info",
        value_name = "FILTER"
    )]
    log: String,
    /// How to log it
    #[arg(
        long,
        env = "SPILLWAY_LOG_FORMAT",
        default_value = "text",
        value_name = "FORMAT"
    )]
    log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

impl Logging {
    /// Sets logging up, once in a process.
    pub(crate) fn start(&self) -> anyhow::Result<()> {
        let filter = filter(&self.log);
        let filter = EnvFilter::try_new(&filter)
            .map_err(|error| anyhow::anyhow!("--log {:?}: {error}", self.log))?;
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(std::io::stderr);
        match self.log_format {
            LogFormat::Text => subscriber.init(),
            LogFormat::Json => subscriber.json().init(),
        }
        Ok(())
    }
}

/// The filter that was asked for, less what must not be logged.
fn filter(asked: &str) -> String {
    let allowed = asked
        .split(',')
        .map(str::trim)
        .filter(|directive| !directive.is_empty() && !directive.starts_with(SILENT));
    let silence = format!("{SILENT}=off");
    allowed
        .chain([silence.as_str()])
        .collect::<Vec<_>>()
        .join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_requests_are_not_logged_whatever_is_asked_for() {
        assert_eq!(filter("debug"), "debug,s3s=off");
        assert_eq!(
            filter("warn, s3s=trace,s3s::ops=debug,spillway_gateway=debug"),
            "warn,spillway_gateway=debug,s3s=off"
        );
        assert!(EnvFilter::try_new(filter("info")).is_ok());
    }
}
