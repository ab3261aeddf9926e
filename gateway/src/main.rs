//! `spillway-gateway`: flags in, exit code out.

mod logging;

use std::process::ExitCode;

use clap::Parser;
use logging::Logging;
use spillway_gateway::{Config, Gateway};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};

/// Spillway's front door: OSCAR REST API, object store and job queue of a cluster.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    config: Config,
    #[command(flatten)]
    logging: Logging,
}

fn main() -> ExitCode {
    let provider = rustls::crypto::ring::default_provider().install_default();
    let Arguments { config, logging } = Arguments::parse();
    if let Err(error) = logging.start() {
        eprintln!("{error:#}");
        return ExitCode::FAILURE;
    }
    if provider.is_err() {
        error!("a second TLS provider is linked in");
    }
    // Small nodes: the work is done by agents, and a thread more is memory less.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(16)
        .enable_all()
        .build();
    let outcome = runtime.map_err(anyhow::Error::from);
    match outcome.and_then(|runtime| runtime.block_on(serve(config))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let gateway = Gateway::start(config).await?;
    tokio::select! { _ = terminate.recv() => info!("told to stop"), _ = interrupt.recv() => info!("interrupted") }
    gateway.stop().await;
    Ok(())
}
