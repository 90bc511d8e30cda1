use std::process::ExitCode;

use clap::Parser;
use entrepot::cli::Cli;

fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.run()
}
