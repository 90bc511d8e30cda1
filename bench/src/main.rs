//! Figures: what the product does, measured in turn with a floor on the same machine (`script/bench`).
//!
//! - [`live`], [`key`], [`tenancy`], [`events`], [`start`]: one module for each bench, [`figures`]: how results are told
//! - [`program`]: the product in a scratch folder, [`shop`]: the shop that always answers the same
//! - [`client`]: the load, [`nginx`] and [`naive`]: what `live` is held against, [`cpu`]: who used the processor

mod client;
mod cpu;
mod events;
mod figures;
mod key;
mod live;
mod naive;
mod nginx;
mod program;
mod shop;
mod start;
mod tenancy;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

/// Measures the product against floors. The last line is one JSON object.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// Live reads against nginx as a reverse proxy, and a naive proxy beside it
    Live(live::Options),
    /// The check of an API key against one SHA-256 of it
    Key(key::Options),
    /// The event list under row level security against the same query without
    Tenancy(tenancy::Options),
    /// What the activity log promises of a million lines: lists, CSV, hash chain, tail
    Events(events::Options),
    /// From the start of the program until it is ready, and its memory when idle
    Start(start::Options),
}

/// What every bench takes.
#[derive(Args)]
pub(crate) struct Common {
    /// How often the floor and ours take turns
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Where NAME.json is written
    #[arg(long, default_value = "bench/results")]
    results: PathBuf,
    /// Where the scratch folder with the database is made: a disk, since commits are durable
    #[arg(long, env = "ENTREPOT_BENCH_DIR", default_value_os_t = std::env::temp_dir())]
    scratch: PathBuf,
}

fn main() -> ExitCode {
    // `bench start` measures the program itself; where that is not built, this one stands in for it.
    if std::env::args_os().nth(1).is_some_and(|first| first == "serve") {
        return entrepot::cli::Cli::parse().run();
    }
    let result = match Cli::parse().bench {
        Bench::Live(options) => live::run(&options),
        Bench::Key(options) => key::run(&options),
        Bench::Tenancy(options) => tenancy::run(&options),
        Bench::Events(options) => events::run(&options),
        Bench::Start(options) => start::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            figures::say(&format!("bench: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
