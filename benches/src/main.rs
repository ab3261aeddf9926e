//! The comparison harness: every figure beside its floor, from one run.
//!
//! A measurement is a function that gets the [`Stage`] and returns rows; [`MEASUREMENTS`] lists them. To add one,
//! write a module and a line there. Floors are measured by the same harness in the same run, because absolute
//! times on shared machines mean little.

mod cold;
mod flash;
mod floors;
mod idle;
mod listing;
mod machine;
mod rate;
mod report;
mod runc;
mod samples;
mod services;
mod sizes;
mod stage;
mod tax;
mod transfer;
mod warm;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use futures::future::LocalBoxFuture;

use crate::report::Row;
use crate::stage::Stage;

/// Measures Spillway and its floors and prints a table.
#[derive(Debug, Parser)]
struct Arguments {
    /// Only measurements whose name contains this; may be given several times.
    #[arg(long)]
    only: Vec<String>,
    /// Repetitions of what is cheap; what is dear gets a tenth of it.
    #[arg(long, default_value_t = 200)]
    samples: usize,
    /// How long to watch the idle daemons, in seconds.
    #[arg(long, default_value_t = 60)]
    idle_seconds: u64,
    /// Where the rows go as JSON.
    #[arg(long, default_value = "target/bench/results.json")]
    json: PathBuf,
}

type Measurement = for<'a> fn(&'a mut Stage) -> LocalBoxFuture<'a, Result<Vec<Row>>>;

const MEASUREMENTS: &[(&str, Measurement)] = &[
    ("sizes", |stage| Box::pin(sizes::measure(stage))),
    ("idle", |stage| Box::pin(idle::measure(stage))),
    ("cold", |stage| Box::pin(cold::measure(stage))),
    ("warm", |stage| Box::pin(warm::measure(stage))),
    ("tax", |stage| Box::pin(tax::measure(stage))),
    ("rate", |stage| Box::pin(rate::measure(stage))),
    ("flash", |stage| Box::pin(flash::measure(stage))),
    ("services", |stage| Box::pin(services::measure(stage))),
    ("listing", |stage| Box::pin(listing::measure(stage))),
    ("transfer", |stage| Box::pin(transfer::measure(stage))),
];

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: starting: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<()> {
    let mut stage = Stage::build(arguments.samples, arguments.idle_seconds).await?;
    let mut rows = Vec::new();
    for (name, measure) in MEASUREMENTS {
        if !arguments.only.is_empty()
            && !arguments
                .only
                .iter()
                .any(|only| name.contains(only.as_str()))
        {
            continue;
        }
        eprintln!("measuring: {name} …");
        match measure(&mut stage).await {
            Ok(measured) => rows.extend(measured),
            // One broken measurement must not hide the others; it shows in the table as missing and in the exit code.
            Err(error) => {
                stage.failed.push(format!("{name}: {error:#}"));
            }
        }
    }
    let failed = std::mem::take(&mut stage.failed);
    stage.finish().await?;
    report::print(&rows);
    report::write(&arguments.json, &rows, &machine::describe().await?)?;
    anyhow::ensure!(failed.is_empty(), "could not measure {}", failed.join("; "));
    Ok(())
}
