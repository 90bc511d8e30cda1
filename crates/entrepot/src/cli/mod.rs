//! The command line. Every option but `--sandbox` is also an environment variable. One file per command that takes more than a word.

mod backup;
mod configuration;
mod database;
mod doctor;
mod keys;
mod plan;
mod serve;
mod upgrade_cluster;

use std::{io::Write, path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::{Args, CommandFactory as _, Parser, Subcommand};
use db::Db;
use kernel::OrganizationId;
use kit::vault::MasterKey;

pub use self::configuration::reference;
use self::database::Database;
use crate::{
    assembly, demo, error_reporting, sandbox_command,
    telemetry::traces::{SpanLayer, but_traces},
    verify,
};

/// The commerce integration hub.
#[derive(Parser)]
#[command(version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve. With only a master key it runs on its own PostgreSQL
    Serve(Box<serve::Serve>),
    /// Bring an external database up to date, as its owner
    Migrate(Migrate),
    /// Compare the logs with their seals, and name the first line that was altered, removed or put in between
    Verify(Verify),
    /// Back up the database to one place and the shards of its keys to another, also while it is served from
    Backup(Box<backup::Backup>),
    /// Make an installation out of a backup, where there is none
    Restore(Box<backup::Restore>),
    /// Convert the embedded PostgreSQL for a later version. The old cluster is kept
    UpgradeCluster(Box<upgrade_cluster::UpgradeCluster>),
    /// Look for what is wrong or will be, and say what to do. Changes nothing
    Doctor(Box<doctor::Doctor>),
    /// Show what broke in the last 30 days and belongs to no organization, what broke last first
    Errors(Errors),
    /// The master key and the shards: see them, replace the key, move the shards
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Show or set the plan of an organization, also while it is served
    Plan(Box<plan::Plan>),
    /// List the organizations with their plans and what they use
    Organizations(Box<plan::Organizations>),
    /// Show Entrepot with simulated shops, on this machine only
    Demo(demo::Options),
    /// Serve the simulated shops alone, on loopback, for tests of your own
    Sandbox(sandbox_command::Options),
    /// Print the OpenAPI document
    Openapi,
    /// Print the reference of all settings
    #[command(hide = true)]
    Configuration,
    /// Print what is kept, and for how long
    #[command(hide = true)]
    Retention,
    /// Make a master key file (mode 0600)
    MasterKey {
        /// Where to; it must not be there yet
        path: PathBuf,
    },
}

#[derive(Args)]
struct Migrate {
    /// postgres://… of the login that owns the schema
    #[arg(long, env = "DATABASE_OWNER_URL", hide_env_values = true)]
    database_owner_url: String,
}

#[derive(Args)]
struct Verify {
    /// Only the logs of this organization
    #[arg(long)]
    organization: Option<OrganizationId>,
    /// Where the embedded PostgreSQL lives
    #[arg(long, env = "ENTREPOT_DATA_DIR", default_value = "data")]
    data_dir: PathBuf,
    #[command(flatten)]
    database: Database,
}

#[derive(Args)]
struct Errors {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// How many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    /// Where the embedded PostgreSQL lives
    #[arg(long, env = "ENTREPOT_DATA_DIR", default_value = "data")]
    data_dir: PathBuf,
    #[command(flatten)]
    database: Database,
}

/// The names of all commands, for the test that asks what each tells organizations.
pub fn commands() -> Vec<String> {
    Cli::command().get_subcommands().map(|command| command.get_name().to_owned()).collect()
}

impl Cli {
    pub fn run(self) -> ExitCode {
        let result = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .context("the runtime could not be started")
            .and_then(|runtime| runtime.block_on(self.command.run()));
        match result {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                say_error(&format!("entrepot: {error:#}"));
                ExitCode::FAILURE
            }
        }
    }
}

impl Command {
    async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Serve(options) => serve::run(*options).await,
            Self::Migrate(options) => {
                log_to_stderr("info,sqlx=warn");
                let owner = options
                    .database_owner_url
                    .parse()
                    .map_err(|_| anyhow::anyhow!("DATABASE_OWNER_URL is not a postgres:// URL"))?;
                Db::migrate(&owner).await?;
                say("The database is up to date.");
                Ok(())
            }
            Self::Verify(options) => {
                verify::run(options.database.logins()?, &options.data_dir, options.organization).await
            }
            Self::Backup(options) => Box::pin(backup::run(*options)).await,
            Self::Restore(options) => Box::pin(backup::restore(*options)).await,
            Self::UpgradeCluster(options) => Box::pin(upgrade_cluster::run(*options)).await,
            Self::Doctor(options) => Box::pin(doctor::run(*options)).await,
            Self::Errors(Errors { json, limit, data_dir, database }) => {
                error_reporting::show(database.logins()?, &data_dir, limit, json).await
            }
            Self::Keys(command) => Box::pin(keys::run(command)).await,
            Self::Plan(options) => Box::pin(plan::run(*options)).await,
            Self::Organizations(options) => Box::pin(plan::list(*options)).await,
            Self::Demo(options) => Box::pin(demo::run(options)).await,
            Self::Sandbox(options) => sandbox_command::run(options).await,
            Self::Openapi => {
                say(&assembly::openapi().to_pretty_json()?);
                Ok(())
            }
            Self::Configuration => {
                say(reference().trim_end());
                Ok(())
            }
            Self::Retention => {
                say(kit::retention::reference().trim_end());
                Ok(())
            }
            Self::MasterKey { path } => {
                let key = MasterKey::generate_file(&path)?;
                say(&format!(
                    "Master key {} is in {}. Back it up apart from the database.",
                    key.fingerprint(),
                    path.display()
                ));
                Ok(())
            }
        }
    }
}

/// Ctrl-C, or the signal that service managers send.
pub(crate) async fn stop_signal() -> anyhow::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => Ok(result?),
        _ = terminate.recv() => Ok(()),
    }
}

/// Lines for people on a terminal, JSON for machines elsewhere. `RUST_LOG` chooses what.
pub fn log_to_stderr(usually: &str) {
    log_and_trace(usually, None);
}

/// The same, with somebody who hears of the spans of traces.
fn log_and_trace(usually: &str, traces: Option<SpanLayer>) {
    use std::io::IsTerminal;
    use tracing_subscriber::{EnvFilter, Layer, fmt, layer::SubscriberExt, util::SubscriberInitExt};
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(usually));
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = if std::io::stderr().is_terminal() { lines.with_target(false).boxed() } else { lines.json().boxed() };
    let lines = lines.with_filter(but_traces(filter));
    let subscriber = tracing_subscriber::registry().with(lines).with(traces.map(SpanLayer::filtered));
    if subscriber.try_init().is_err() {
        tracing::debug!("logging was set up before");
    }
}

/// To standard output, which is the program's answer and not its log.
pub(crate) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    // A reader that has gone away (`| head`) is no error.
    let _closed = writeln!(out, "{text}").and_then(|()| out.flush());
}

fn say_error(text: &str) {
    let _closed = writeln!(std::io::stderr().lock(), "{text}");
}
