//! The command line. Every option but `--sandbox` is also an environment variable.

use std::{io::Write, net::SocketAddr, path::PathBuf, process::ExitCode, str::FromStr, time::Duration};

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use connector::{AppCredentials, http::Hosts};
use db::{Db, Logins, PoolSizes};
use kernel::{Clock, OrganizationId, Secret};
use kit::{ApiKeyPrefix, Config, mail::SmtpSettings, network::TrustedProxies, vault::MasterKey};
use tokio::net::TcpListener;
use url::Url;

use crate::{
    assembly, demo, sandbox_command,
    simulated::{self, Simulated},
    startup::{Program, Served, Settings},
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
    Serve(Box<Serve>),
    /// Bring an external database up to date, as its owner
    Migrate(Migrate),
    /// Compare the logs with their seals, and name the first line that was altered, removed or put in between
    Verify(Verify),
    /// Show Entrepot with simulated shops, on this machine only
    Demo(demo::Options),
    /// Serve the simulated shops alone, on loopback, for tests of your own
    Sandbox(sandbox_command::Options),
    /// Print the OpenAPI document
    Openapi,
    /// Make a master key file (mode 0600)
    MasterKey {
        /// Where to; it must not be there yet
        path: PathBuf,
    },
}

#[derive(Args)]
struct Serve {
    /// Where to listen
    #[arg(long, env = "ENTREPOT_LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where people and providers reach us: https, unless it is loopback
    #[arg(long, env = "ENTREPOT_PUBLIC_URL")]
    public_url: Option<Url>,
    /// Where the embedded PostgreSQL and the key store live
    #[arg(long, env = "ENTREPOT_DATA_DIR", default_value = "data")]
    data_dir: PathBuf,
    #[command(flatten)]
    database: Database,
    /// Seconds that a request waits for a connection to the database before it is answered with 503
    #[arg(long, env = "ENTREPOT_DATABASE_WAIT_SECONDS", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=60))]
    database_wait_seconds: u64,
    /// Requests a minute that an API key may make, and a session to the live API
    #[arg(long, env = "ENTREPOT_LIVE_REQUESTS_PER_MINUTE", default_value_t = 100)]
    live_requests_per_minute: u32,
    /// Proxies in front of us whose X-Forwarded-For is believed: addresses and networks with commas between, or none
    #[arg(long, env = "ENTREPOT_TRUSTED_PROXIES", default_value = "127.0.0.0/8,::1/128")]
    trusted_proxies: TrustedProxies,
    /// How API keys begin: 3 to 24 of a-z, 0-9 and _, with _ at the end. Keys that begin otherwise stop working
    #[arg(long, env = "ENTREPOT_API_KEY_PREFIX", default_value = "api_shopcall_")]
    api_key_prefix: ApiKeyPrefix,
    #[command(flatten)]
    mail: Mail,
    /// The client id of our app at Shopify
    #[arg(long, env = "ENTREPOT_SHOPIFY_CLIENT_ID", requires = "shopify_client_secret")]
    shopify_client_id: Option<String>,
    /// Its client secret
    #[arg(long, env = "ENTREPOT_SHOPIFY_CLIENT_SECRET", hide_env_values = true)]
    shopify_client_secret: Option<String>,
    /// The secret before it, accepted while secrets are being rotated
    #[arg(long, env = "ENTREPOT_SHOPIFY_PREVIOUS_SECRET", hide_env_values = true)]
    shopify_previous_secret: Option<String>,
    /// Simulated platforms instead of the real ones, for tests on this machine. No variable: it is never set by an environment
    #[arg(long, value_name = "FILE", hide = true)]
    sandbox: Option<PathBuf>,
}

/// The mail server; without one mails wait in the outbox.
#[derive(Args)]
struct Mail {
    /// smtps://user:password@host:465, or smtp://user:password@host:587?tls=required
    #[arg(long, env = "ENTREPOT_SMTP_URL", hide_env_values = true)]
    smtp_url: Option<String>,
    /// Whom mails are from: Entrepot <no-reply@example.com>
    #[arg(long, env = "ENTREPOT_MAIL_FROM")]
    mail_from: Option<String>,
}

impl Mail {
    fn settings(self) -> anyhow::Result<Option<SmtpSettings>> {
        // Compose files leave variables empty where they mean none.
        let set = |text: Option<String>| text.filter(|text| !text.is_empty());
        match (set(self.smtp_url), set(self.mail_from)) {
            (None, None) => Ok(None),
            (Some(url), Some(from)) => Ok(Some(SmtpSettings { url: Secret::new(url), from })),
            _ => anyhow::bail!("mail needs both: ENTREPOT_SMTP_URL and ENTREPOT_MAIL_FROM"),
        }
    }
}

/// The four logins of an external PostgreSQL; without them Entrepot runs its own.
#[derive(Args)]
struct Database {
    /// postgres://… of the login that serves inside one tenant
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// … of the login that owns the schema
    #[arg(long, env = "DATABASE_OWNER_URL", hide_env_values = true)]
    database_owner_url: Option<String>,
    /// … of the login for what no single tenant asks for
    #[arg(long, env = "DATABASE_SYSTEM_URL", hide_env_values = true)]
    database_system_url: Option<String>,
    /// … of the login that writes what comes in
    #[arg(long, env = "DATABASE_INGEST_URL", hide_env_values = true)]
    database_ingest_url: Option<String>,
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
    /// Where the embedded PostgreSQL lives; no program may be serving from it
    #[arg(long, env = "ENTREPOT_DATA_DIR", default_value = "data")]
    data_dir: PathBuf,
    #[command(flatten)]
    database: Database,
}

impl Database {
    fn logins(&self) -> anyhow::Result<Option<Logins>> {
        // Compose files leave variables empty where they mean none.
        let all = [&self.database_owner_url, &self.database_url, &self.database_system_url, &self.database_ingest_url]
            .map(|url| url.as_deref().filter(|url| !url.is_empty()));
        if all.iter().all(|url| url.is_none()) {
            return Ok(None);
        }
        let [Some(owner), Some(app), Some(system), Some(ingest)] = all else {
            anyhow::bail!(
                "an external database needs four logins: DATABASE_OWNER_URL, DATABASE_URL, DATABASE_SYSTEM_URL and \
                 DATABASE_INGEST_URL (docs/TENANCY.md). With none of them Entrepot runs its own PostgreSQL."
            );
        };
        let parse = |name: &str, url: &str| {
            // The parser's own message could quote the password.
            FromStr::from_str(url).map_err(|_| anyhow::anyhow!("{name} is not a postgres:// URL"))
        };
        Ok(Some(Logins {
            owner: parse("DATABASE_OWNER_URL", owner)?,
            app: parse("DATABASE_URL", app)?,
            system: parse("DATABASE_SYSTEM_URL", system)?,
            ingest: parse("DATABASE_INGEST_URL", ingest)?,
        }))
    }
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
            Self::Serve(options) => serve(*options).await,
            Self::Migrate(options) => {
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
            Self::Demo(options) => demo::run(options).await,
            Self::Sandbox(options) => sandbox_command::run(options).await,
            Self::Openapi => {
                say(&assembly::openapi().to_pretty_json()?);
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

async fn serve(options: Serve) -> anyhow::Result<()> {
    log_to_stderr("info,sqlx=warn");
    let metrics = metrics_exporter_prometheus::PrometheusBuilder::new().install_recorder()?;
    let master_key = MasterKey::from_env()?;
    let public_url = match options.public_url {
        Some(url) => url,
        None => Url::parse(&format!("http://{}", options.listen))?,
    };
    refuse_plain_http(&public_url)?;
    let hosts = match options.sandbox {
        None => Hosts::production(),
        Some(file) => {
            simulated::refuse_beyond_this_machine(options.listen, &public_url)?;
            tracing::warn!(sandbox = %file.display(), "platforms are simulated");
            Simulated::read(&file)?.hosts()?
        }
    };
    let mut apps = vec![];
    if let (Some(client_id), Some(secret)) = (options.shopify_client_id, options.shopify_client_secret) {
        let identity = AppCredentials {
            client_id,
            client_secret: Secret::new(secret),
            previous_secret: options.shopify_previous_secret.map(Secret::new),
        };
        apps.push(("shopify".to_owned(), identity));
    }
    let settings = Settings {
        data_dir: options.data_dir,
        master_key,
        logins: options.database.logins()?,
        pools: PoolSizes {
            acquire_timeout: Duration::from_secs(options.database_wait_seconds),
            ..PoolSizes::default()
        },
        config: Config {
            public_url,
            apps,
            live_requests_per_minute: options.live_requests_per_minute,
            trusted_proxies: options.trusted_proxies,
            api_key_prefix: options.api_key_prefix,
            mail: options.mail.settings()?,
        },
        hosts,
        clock: Clock::system(),
    };
    let program = Program::start(settings).await?;
    let listener = TcpListener::bind(options.listen).await.with_context(|| {
        format!("cannot listen on {}: is another program there? Choose another with --listen", options.listen)
    })?;
    let served = Served::start(program, listener, Some(metrics))?;
    tracing::info!(address = %served.address, "serving");
    stop_signal().await?;
    tracing::info!("stopping: open requests may end");
    served.stop().await
}

/// Sessions and keys over plain http are for everyone on the way to read.
fn refuse_plain_http(url: &Url) -> anyhow::Result<()> {
    let is_loopback = match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    };
    if url.scheme() == "https" || (url.scheme() == "http" && is_loopback) {
        return Ok(());
    }
    anyhow::bail!("ENTREPOT_PUBLIC_URL is {url}: it must be https, unless it is on loopback")
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
    use std::io::IsTerminal;
    use tracing_subscriber::{EnvFilter, fmt};
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(usually));
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let installed =
        if std::io::stderr().is_terminal() { builder.with_target(false).try_init() } else { builder.json().try_init() };
    if installed.is_err() {
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
