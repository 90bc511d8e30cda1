//! The demo: simulated shops, an organization that has connected two of them, three lines to paste, and keys of a shop to
//! connect by hand.
//!
//! Everything runs in this process on loopback: the simulators, an embedded PostgreSQL, the server. What it seeds, it seeds
//! through the same API that anybody uses.

mod check;
mod seed;
mod visitor;

use std::{
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::Context;
use connector::AppCredentials;
use db::PoolSizes;
use kernel::{Clock, Secret};
use kit::{ApiKeyPrefix, Config, mail::SmtpSettings, network::TrustedProxies, retention::Retention, vault::MasterKey};
use sandbox::{Sandbox, shopify, world::Size};
use tokio::net::TcpListener;
use url::Url;

use crate::{
    cli::{log_to_stderr, say, stop_signal},
    simulated::Simulated,
    startup::{Program, Served, Settings},
};
use seed::{Seeded, Unconnected};
use visitor::Visitor;

/// What `entrepot demo` takes.
#[derive(clap::Args)]
pub struct Options {
    /// Run everything in a scratch folder on free ports, run the printed lines, check the answers, and stop
    #[arg(long)]
    check: bool,
    /// Forget what an earlier demo kept
    #[arg(long)]
    fresh: bool,
    /// Take any free ports rather than the usual ones. Where it listens is in running.json, in the data directory
    #[arg(long)]
    free_ports: bool,
    /// Where the demo keeps its data
    #[arg(long, env = "ENTREPOT_DEMO_DIR", default_value = ".demo")]
    data_dir: PathBuf,
    /// Requests a minute that an API key may make, and a session to the live API
    #[arg(long, env = "ENTREPOT_LIVE_REQUESTS_PER_MINUTE", default_value_t = 100)]
    live_requests_per_minute: u32,
}

/// The ports that the demo likes to have: the server's, and the simulators' plain and TLS ones.
const PORTS: [u16; 3] = [8080, 8480, 8443];
/// Orders of each simulated shop come from this seed, the same on every machine.
const SEED: u64 = 42;
const CLIENT_ID: &str = "entrepot-demo";
/// What the demo prints, for programs; there while it runs, mode 0600.
const RUNNING: &str = "running.json";

/// Runs the demo until Ctrl-C, or checks it.
///
/// # Errors
/// With what failed and what to do about it.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let started = Instant::now();
    // The demo speaks on standard output; its log is for those who ask (`RUST_LOG`), and for trouble.
    log_to_stderr("warn");
    if options.check {
        let scratch = tempfile::Builder::new()
            .prefix("entrepot-demo-")
            // PostgreSQL runs as another user under root, and must get through.
            .permissions(std::fs::Permissions::from_mode(0o711))
            .tempdir()?;
        let demo = Demo::start(scratch.path(), false, options.live_requests_per_minute).await?;
        let result = check::run(&demo, started).await;
        demo.stop().await?;
        return result;
    }
    if options.fresh && options.data_dir.exists() {
        refuse_foreign_folder(&options.data_dir)?;
        std::fs::remove_dir_all(&options.data_dir)?;
    }
    let demo = Demo::start(&options.data_dir, !options.free_ports, options.live_requests_per_minute).await?;
    say(&demo.greeting(started));
    let deaths = tokio::select! {
        signal = stop_signal() => signal.map(|()| None)?,
        cause = demo.database_died() => Some(cause),
    };
    if let Some(cause) = deaths {
        tracing::error!(cause, "PostgreSQL ended by itself and was started again");
        stop_signal().await?;
    }
    say("\nStopping; the data is kept. `script/demo --fresh` forgets it.");
    demo.stop().await
}

/// Only a folder that a demo made is deleted.
fn refuse_foreign_folder(folder: &Path) -> anyhow::Result<()> {
    if folder.join(seed::FILE).exists() || folder.join("master.key").exists() {
        return Ok(());
    }
    anyhow::bail!("{} was not made by the demo; it is not deleted. Choose another with --data-dir.", folder.display())
}

/// A running demo.
struct Demo {
    sandbox: Sandbox,
    served: Served,
    public_url: Url,
    seeded: Seeded,
    unconnected: Unconnected,
    visitor: Visitor,
    moved: Vec<String>,
    running: PathBuf,
}

impl Demo {
    async fn start(data_dir: &Path, usual_ports: bool, live_requests_per_minute: u32) -> anyhow::Result<Self> {
        std::fs::create_dir_all(data_dir)
            .with_context(|| format!("cannot make {}: choose another place with --data-dir", data_dir.display()))?;
        let data_dir = &data_dir.canonicalize()?;
        let mut moved = vec![];
        let mut port = |usual: u16, what: &str| {
            if !usual_ports {
                return Ok(0);
            }
            let free = free_port(usual)?;
            if free != usual {
                moved.push(format!("port {usual} is busy: {what} is on {free}"));
            }
            anyhow::Ok(free)
        };
        let [server_port, http_port, tls_port] = [
            port(PORTS[0], "the server")?,
            port(PORTS[1], "the simulators' http")?,
            port(PORTS[2], "the simulators' https")?,
        ];
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, server_port))).await?;
        let public_url = Url::parse(&format!("http://localhost:{}", listener.local_addr()?.port()))?;

        let master_key = master_key(&data_dir.join("master.key"))?;
        let secret = seed::app_secret(data_dir)?;
        let path = |path: &str| public_url.join(path).map(String::from);
        let app = shopify::App::new(
            CLIENT_ID,
            secret.expose(),
            &path("/api/oauth/shopify/install")?,
            &path("/api/oauth/shopify/callback")?,
            "read_customers,read_orders,read_products,read_all_orders",
        );
        let sandbox = Sandbox::start(sandbox::Options {
            seed: SEED,
            tls_port: (tls_port != 0).then_some(tls_port),
            http_port: (http_port != 0).then_some(http_port),
            data_dir: Some(data_dir.join("sandbox")),
            size: Size::large(),
            shopify: shopify::ShopifyOptions { apps: vec![app], ..shopify::ShopifyOptions::default() },
            ..sandbox::Options::default()
        })
        .await?;
        let identity = AppCredentials { client_id: CLIENT_ID.to_owned(), client_secret: secret, previous_secret: None };
        let settings = Settings {
            data_dir: data_dir.to_owned(),
            master_keys: master_key.into(),
            logins: None,
            key_database: None,
            pools: PoolSizes::default(),
            config: Config {
                public_url: public_url.clone(),
                apps: vec![("shopify".to_owned(), identity)],
                live_requests_per_minute,
                trusted_proxies: TrustedProxies::default(),
                traced_callers: TrustedProxies::nobody(),
                api_key_prefix: ApiKeyPrefix::default(),
                mail: Some(SmtpSettings {
                    url: Secret::new(format!("smtp://{}", sandbox.smtp_addr())),
                    from: "Entrepot <no-reply@entrepot.example>".to_owned(),
                }),
                retention: Retention::default(),
            },
            issuers: vec![],
            hosts: Simulated::of(&sandbox).hosts()?,
            sentry: None,
            clock: Clock::system(),
        };
        let metrics = metrics_exporter_prometheus::PrometheusBuilder::new().install_recorder()?;
        let served = Served::start(Program::start(settings).await?, listener, None, Some(metrics))?;
        let visitor = Visitor::new(&public_url, served.address, sandbox.http_addr())?;
        let (seeded, unconnected) = seed::ensure(data_dir, &visitor, &sandbox, &served.program.app)
            .await
            .context("the demo could not be seeded")?;
        let running = data_dir.join(RUNNING);
        let facts = serde_json::json!({ "url": public_url.as_str(), "demo": seeded, "unconnected": unconnected });
        write_private(&running, &serde_json::to_string_pretty(&facts)?)?;
        Ok(Self { sandbox, served, public_url, seeded, unconnected, visitor, moved, running })
    }

    async fn database_died(&self) -> String {
        match self.served.program.cluster() {
            Some(cluster) => cluster.died(0).await,
            None => std::future::pending().await,
        }
    }

    async fn stop(self) -> anyhow::Result<()> {
        self.served.stop().await?;
        self.sandbox.shutdown().await;
        // Last: whoever took the folder away meanwhile has stopped the demo none the less.
        Ok(std::fs::remove_file(&self.running)?)
    }

    /// The three lines, which work as pasted.
    fn lines(&self) -> [String; 3] {
        let (url, key) = (self.public_url.as_str(), &self.seeded.api_key);
        let line = |resource: &str, store: &str, rest: &str| {
            format!(
                "curl -s '{url}webshop-data-api/{resource}?store_id={store}{rest}' \\\n  -H 'Authorization: Bearer {key}'"
            )
        };
        [
            line("orders", &self.seeded.woocommerce_store, "&limit=2&status=completed"),
            line("customers", &self.seeded.shopify_store, "&limit=2"),
            line("products", &self.seeded.shopify_store, "&limit=2&fields=title,variants,currency"),
        ]
    }

    /// What it takes to connect another shop on the front page.
    fn another(&self) -> String {
        let mut lines = String::new();
        if let Some(keys) = &self.unconnected.woocommerce {
            lines += &format!(
                "\n  WooCommerce      {}\n  Consumer key     {}\n  Consumer secret  {}\n",
                keys.shop_url, keys.consumer_key, keys.consumer_secret
            );
        }
        if let Some(name) = &self.unconnected.shopify {
            lines += &format!("\n  Shopify          choose {name} on the simulated platform's page\n");
        }
        if lines.is_empty() {
            lines
        } else {
            format!("\nTo connect another shop, sign in at the URL and use:\n{lines}")
        }
    }

    fn greeting(&self, started: Instant) -> String {
        let [first, second, third] = self.lines();
        let mut moved = self.moved.join("\n");
        if !moved.is_empty() {
            moved = format!("\n{moved}\n");
        }
        let another = self.another();
        let port = self.sandbox.http_addr().port();
        let shops = self.sandbox.woocommerce().shops().len() + self.sandbox.shopify().shops().len();
        format!(
            "\nEntrepot is up ({:.1} s), with {shops} simulated shops; two of them are connected.\n{moved}\n  \
             URL        {}\n  Sign in    {}\n  Password   {}\n  API key    {}\n  \
             Mail       http://localhost:{port}/sandbox/mail\n  Faults     http://localhost:{port}/sandbox/faults\n\n\
             Three lines to paste:\n\n{first}\n\n{second}\n\n{third}\n{another}\nCtrl-C stops everything and keeps the data.",
            started.elapsed().as_secs_f64(),
            self.public_url,
            self.seeded.email,
            self.seeded.password,
            self.seeded.api_key,
        )
    }
}

/// The usual port, or the next that is free.
fn free_port(usual: u16) -> anyhow::Result<u16> {
    (usual..usual.saturating_add(100))
        .find(|port| std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .with_context(|| format!("no port from {usual} to {} is free", usual.saturating_add(99)))
}

fn master_key(path: &Path) -> anyhow::Result<MasterKey> {
    if !path.exists() {
        return Ok(MasterKey::generate_file(path)?);
    }
    let path = path.to_owned();
    Ok(MasterKey::from_lookup(|name| (name == "ENTREPOT_MASTER_KEY_FILE").then(|| path.clone().into_os_string()))?)
}

/// A text of which the demo prints nothing but to the person who runs it.
type Shown = String;

/// For files that only their owner may read.
pub(crate) fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    use std::{fs::OpenOptions, io::Write, os::unix::fs::OpenOptionsExt};
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    Ok(file.write_all(text.as_bytes())?)
}

fn secret_text() -> Secret {
    Secret::new(kernel::random::base62(32))
}
