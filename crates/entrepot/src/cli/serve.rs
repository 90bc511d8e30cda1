//! `entrepot serve`.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::Context;
use clap::Args;
use connector::{AppCredentials, http::Hosts};
use db::PoolSizes;
use kernel::{Clock, Secret};
use kit::{ApiKeyPrefix, Config, mail::SmtpSettings, network::TrustedProxies, retention::Retention, vault::MasterKey};
use tokio::net::TcpListener;
use url::Url;

use super::{database::Database, log_to_stderr, stop_signal};
use crate::{
    simulated::{self, Simulated},
    startup::{Program, Served, Settings},
};

#[derive(Args)]
pub(super) struct Serve {
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
    /// Days that what is kept otherwise than usual: events=365,access_log=365. docs/retention.md has what can be chosen; the same on
    /// all nodes
    #[arg(long, env = "ENTREPOT_RETENTION")]
    retention: Option<Retention>,
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
pub(super) struct Mail {
    /// smtps://user:password@host:465, or smtp://user:password@host:587?tls=required
    #[arg(long, env = "ENTREPOT_SMTP_URL", hide_env_values = true)]
    smtp_url: Option<String>,
    /// Whom mails are from: Entrepot <no-reply@example.com>
    #[arg(long, env = "ENTREPOT_MAIL_FROM")]
    mail_from: Option<String>,
}

impl Mail {
    pub(super) fn settings(self) -> anyhow::Result<Option<SmtpSettings>> {
        // Compose files leave variables empty where they mean none.
        let set = |text: Option<String>| text.filter(|text| !text.is_empty());
        match (set(self.smtp_url), set(self.mail_from)) {
            (None, None) => Ok(None),
            (Some(url), Some(from)) => Ok(Some(SmtpSettings { url: Secret::new(url), from })),
            _ => anyhow::bail!("mail needs both: ENTREPOT_SMTP_URL and ENTREPOT_MAIL_FROM"),
        }
    }
}

pub(super) async fn run(options: Serve) -> anyhow::Result<()> {
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
            retention: options.retention.unwrap_or_default(),
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
