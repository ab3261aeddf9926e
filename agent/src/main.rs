//! The program `spillway-agent`: one per node.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use spillway_agent::{Agent, Config};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Runs services in containers of this node's Docker Engine, for a Spillway gateway.
#[derive(Debug, Parser)]
#[command(name = "spillway-agent", version)]
struct Cli {
    #[command(flatten)]
    config: Config,
}

fn main() -> ExitCode {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colour)
        .with_writer(std::io::stderr)
        .init();
    // Two threads serve all requests; file work has up to eight of its own, made when needed.
    let built = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(8)
        .enable_all()
        .build();
    let done = built
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(run(cli.config)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(config: Config) -> anyhow::Result<()> {
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    // The engine may not be there yet; a signal ends the wait for it, too.
    let mut agent = tokio::select! {
        agent = Agent::start(config) => agent?,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    let broken = tokio::select! {
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
        error = agent.broken() => Some(error),
    };
    agent.stop().await;
    broken.map_or(Ok(()), Err)
}
