//! `entrepot serve`.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use accounts::oidc::IssuerSettings;
use anyhow::Context;
use clap::Args;
use connector::{AppCredentials, http::Hosts};
use db::PoolSizes;
use kernel::{Clock, Secret};
use kit::{ApiKeyPrefix, Config, mail::SmtpSettings, network::TrustedProxies, retention::Retention, vault::MasterKeys};
use tokio::net::TcpListener;
use url::Url;

use super::{
    database::{Database, KeyStoreDatabase},
    log_and_trace, stop_signal,
};
use crate::{
    server::tls::{Files, Tls},
    simulated::{self, Simulated},
    startup::{Program, Served, Settings},
    telemetry::{
        sentry::Dsn,
        traces::{self, Exporter},
    },
};

/// What is logged unless `RUST_LOG` says otherwise.
const LOG: &str = "info,sqlx=warn";

#[derive(Args)]
pub(super) struct Serve {
    /// Where to listen
    #[arg(long, env = "ENTREPOT_LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where people and providers reach us: https, unless it is loopback
    #[arg(long, env = "ENTREPOT_PUBLIC_URL")]
    public_url: Option<Url>,
    #[command(flatten)]
    tls: TlsFiles,
    /// Where the embedded PostgreSQL and the key store live
    #[arg(long, env = "ENTREPOT_DATA_DIR", default_value = "data")]
    data_dir: PathBuf,
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    key_database: KeyStoreDatabase,
    /// Seconds that a request waits for a connection to the database before it is answered with 503
    #[arg(long, env = "ENTREPOT_DATABASE_WAIT_SECONDS", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=60))]
    database_wait_seconds: u64,
    /// Requests a minute that an API key may make, and a session to the live API
    #[arg(long, env = "ENTREPOT_LIVE_REQUESTS_PER_MINUTE", default_value_t = 100)]
    live_requests_per_minute: u32,
    /// Proxies in front of us whose X-Forwarded-For is believed: addresses and networks with commas between, or none
    #[arg(long, env = "ENTREPOT_TRUSTED_PROXIES", default_value = "127.0.0.0/8,::1/128")]
    trusted_proxies: TrustedProxies,
    /// Callers whose traceparent is continued: addresses and networks with commas between, or none
    #[arg(long, env = "ENTREPOT_TRACED_CALLERS", default_value = "none")]
    traced_callers: TrustedProxies,
    /// A Sentry that is told of errors too: https://KEY@HOST/PROJECT. What it gets is what `entrepot errors` and GET /api/errors show
    #[arg(long, env = "ENTREPOT_SENTRY_DSN", hide_env_values = true)]
    sentry_dsn: Option<String>,
    /// How API keys begin: 3 to 24 of a-z, 0-9 and _, with _ at the end. Keys that begin otherwise stop working
    #[arg(long, env = "ENTREPOT_API_KEY_PREFIX", default_value = "api_shopcall_")]
    api_key_prefix: ApiKeyPrefix,
    /// Days that what is kept otherwise than usual: events=365,access_log=365. docs/retention.md has what can be chosen; the same on
    /// all nodes
    #[arg(long, env = "ENTREPOT_RETENTION")]
    retention: Option<Retention>,
    #[command(flatten)]
    mail: Mail,
    /// A file of JSON with the OpenID Connect issuers whose tokens are taken, as docs/oidc.md shows
    #[arg(long, env = "ENTREPOT_OIDC_FILE", value_name = "FILE")]
    oidc_file: Option<String>,
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

/// The certificate of the listener; without one it speaks plain http, to a proxy on this machine.
#[derive(Args)]
pub(super) struct TlsFiles {
    /// A certificate in PEM, with those that lead to a known authority: the listener then speaks https. Read again when it changes
    #[arg(long, env = "ENTREPOT_TLS_CERTIFICATE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// Its private key in PEM, of mode 0600 or 0640
    #[arg(long, env = "ENTREPOT_TLS_KEY", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
}

impl TlsFiles {
    pub(super) fn files(self) -> Option<Files> {
        self.tls_certificate.zip(self.tls_key).map(|(certificate, key)| Files { certificate, key })
    }
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
    let metrics = metrics_exporter_prometheus::PrometheusBuilder::new().install_recorder()?;
    let exporter = match traces::Settings::from_env()? {
        None => {
            log_and_trace(LOG, None);
            None
        }
        Some(settings) => {
            let (layer, exporter) = Exporter::start(settings, Clock::system())?;
            log_and_trace(LOG, Some(layer));
            Some(exporter)
        }
    };
    let master_keys = MasterKeys::from_env()?;
    let tls = options.tls.files();
    let public_url = match options.public_url {
        Some(url) => url,
        None => Url::parse(&format!("{}://{}", if tls.is_some() { "https" } else { "http" }, options.listen))?,
    };
    refuse_plain_http(&public_url)?;
    if tls.is_some() && public_url.scheme() != "https" {
        anyhow::bail!(
            "ENTREPOT_PUBLIC_URL is {public_url}, but the listener has a certificate and speaks https: make them agree"
        );
    }
    let tls = tls.map(|files| Tls::open(files, &public_url)).transpose()?;
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
    let logins = options.database.logins()?;
    let dsn = options.sentry_dsn.filter(|dsn| !dsn.is_empty());
    for host in logins.iter().flat_map(|logins| options.database.unverified_hosts(logins)) {
        tracing::warn!(
            host,
            "nobody verifies the database's server: whoever is in between can read and change everything. Add \
             ?sslmode=verify-full&sslrootcert=FILE to its URLs"
        );
    }
    let settings = Settings {
        data_dir: options.data_dir,
        master_keys,
        logins,
        key_database: options.key_database.target()?,
        pools: PoolSizes {
            acquire_timeout: Duration::from_secs(options.database_wait_seconds),
            ..PoolSizes::default()
        },
        config: Config {
            public_url,
            apps,
            live_requests_per_minute: options.live_requests_per_minute,
            trusted_proxies: options.trusted_proxies,
            traced_callers: options.traced_callers,
            api_key_prefix: options.api_key_prefix,
            mail: options.mail.settings()?,
            retention: options.retention.unwrap_or_default(),
        },
        issuers: issuers(options.oidc_file.as_deref())?,
        hosts,
        sentry: dsn.map(|dsn| Dsn::parse(&Secret::new(dsn))).transpose()?,
        clock: Clock::system(),
    };
    let program = Program::start(settings).await?;
    let listener = TcpListener::bind(options.listen).await.with_context(|| {
        format!("cannot listen on {}: is another program there? Choose another with --listen", options.listen)
    })?;
    let served = Served::start(program, listener, tls, Some(metrics))?;
    tracing::info!(address = %served.address, "serving");
    stop_signal().await?;
    tracing::info!("stopping: open requests may end");
    let stopped = served.stop().await;
    if let Some(exporter) = exporter {
        exporter.stop().await;
    }
    stopped
}

/// The issuers of a file; none without one.
pub(super) fn issuers(file: Option<&str>) -> anyhow::Result<Vec<IssuerSettings>> {
    // Compose files leave variables empty where they mean none.
    let Some(file) = file.filter(|file| !file.is_empty()) else { return Ok(vec![]) };
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?;
    IssuerSettings::read(&text).with_context(|| format!("{file} cannot be used"))
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
