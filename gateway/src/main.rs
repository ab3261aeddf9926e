//! `spillway-gateway`: flags in, exit code out.

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use spillway_gateway::{Config, Gateway};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};
use tracing_subscriber::EnvFilter;

/// Spillway's front door: OSCAR REST API, object store and job queue of a cluster.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    config: Config,
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

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

fn main() -> ExitCode {
    let provider = rustls::crypto::ring::default_provider().install_default();
    let arguments = Arguments::parse();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(&arguments.log))
        .with_writer(std::io::stderr);
    match arguments.log_format {
        LogFormat::Text => subscriber.init(),
        LogFormat::Json => subscriber.json().init(),
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
    let outcome = runtime
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(run(arguments.config)));
    outcome.map_or_else(
        |error| {
            error!("{error:#}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

async fn run(config: Config) -> anyhow::Result<()> {
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let gateway = Gateway::start(config).await?;
    tokio::select! { _ = terminate.recv() => info!("told to stop"), _ = interrupt.recv() => info!("interrupted") }
    gateway.stop().await;
    Ok(())
}
