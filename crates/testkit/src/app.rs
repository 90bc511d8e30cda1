//! A node of the program, with everything that it stands on.

use std::{sync::Arc, time::Duration};

use accounts::oidc::IssuerSettings;
use axum::{body::Body, extract::ConnectInfo, http::Request, response::Response};
use chrono::TimeDelta;
use connector::AppCredentials;
use db::PoolSizes;
use entrepot::{
    server::{self, Endpoint},
    simulated::Simulated,
    startup::{Program, Settings},
    telemetry::sentry::Dsn,
};
use kernel::{Clock, Secret};
use kit::{
    ApiKeyPrefix, App, Config,
    mail::SmtpSettings,
    network::TrustedProxies,
    retention::Retention,
    vault::{MASTER_KEY, MasterKeys},
};
use metrics_exporter_prometheus::PrometheusHandle;
use sandbox::{Sandbox, mailbox::Mail, shopify, woocommerce, world};
use sqlx::PgConnection;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tower::ServiceExt;
use url::Url;

use crate::{
    client::{Answer, Client, PEER},
    cluster::Database,
};

/// Where the program under test believes to be reached.
pub const PUBLIC_URL: &str = "https://entrepot.example";
pub const MAIL_FROM: &str = "Entrepot <no-reply@entrepot.example>";
/// How long requests wait for the database: debug builds on a small machine are slow, and that is not what is tested.
pub(crate) const DATABASE_WAIT: Duration = Duration::from_secs(20);
pub const SHOPIFY_CLIENT_ID: &str = "testkit-client-id";

/// What may differ from test to test.
#[derive(Clone, Debug)]
pub struct Options {
    pub live_requests_per_minute: u32,
    pub api_key_prefix: ApiKeyPrefix,
    /// How long what is kept.
    pub retention: Retention,
    /// How much data each simulated shop has.
    pub size: world::Size,
    /// Whether mails are sent, to the sandbox's mailbox.
    pub has_mail_server: bool,
    /// The time is the machine's, which processes of their own have too ([`crate::Process`]); it is not to be moved.
    pub in_real_time: bool,
    /// The file of issuers whose tokens are taken; empty for none.
    pub issuers: String,
    /// The simulated Shopify shops.
    pub shopify_shops: Vec<shopify::ShopSpec>,
    /// Whose `traceparent` is continued.
    pub traced_callers: TrustedProxies,
    /// The operator's Sentry.
    pub sentry_dsn: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            live_requests_per_minute: 100,
            api_key_prefix: ApiKeyPrefix::default(),
            retention: Retention::default(),
            size: world::Size { people: 20, products: 12, orders: 60 },
            has_mail_server: true,
            in_real_time: false,
            issuers: String::new(),
            shopify_shops: shopify::ShopSpec::standard(),
            traced_callers: TrustedProxies::nobody(),
            sentry_dsn: None,
        }
    }
}

/// What the nodes of one installation share.
pub struct Installation {
    pub database: Database,
    pub sandbox: Arc<Sandbox>,
    pub clock: Clock,
    /// In hexadecimal.
    pub master_key: String,
    pub shopify_secret: String,
    /// Key store of all nodes.
    pub data_dir: TempDir,
    pub(crate) options: Options,
}

/// A running node.
pub struct TestApp {
    pub installation: Arc<Installation>,
    program: Option<Program>,
    endpoint: Endpoint,
}

impl TestApp {
    /// The program with the usual settings.
    pub async fn start() -> Self {
        Self::with(Options::default()).await
    }

    pub async fn with(options: Options) -> Self {
        Self::with_metrics(options, None).await
    }

    pub async fn with_metrics(options: Options, metrics: Option<PrometheusHandle>) -> Self {
        let clock = Clock::shifted();
        let sandbox_clock = sandbox::Clock::default();
        if !options.in_real_time {
            // Just behind the youngest order of the simulated shops, whatever the date is today.
            let start = world::epoch_end() + TimeDelta::hours(1);
            clock.advance(start - clock.now());
            sandbox_clock.set_now(start);
        }
        let sandbox = Sandbox::start(sandbox::Options {
            clock: sandbox_clock,
            size: options.size,
            woocommerce: woocommerce::ShopSpec::standard(),
            shopify: shopify::ShopifyOptions { shops: options.shopify_shops.clone(), apps: vec![] },
            ..sandbox::Options::default()
        })
        .await
        .expect("the simulators start");
        let shopify_secret = kernel::random::token();
        let callback = |path: &str| format!("{PUBLIC_URL}/api/oauth/shopify/{path}");
        sandbox.shopify().register(sandbox::shopify::App::new(
            SHOPIFY_CLIENT_ID,
            &shopify_secret,
            &callback("install"),
            &callback("callback"),
            "read_customers,read_orders,read_products",
        ));
        let installation = Installation {
            database: Database::create().await,
            sandbox: Arc::new(sandbox),
            clock,
            master_key: hex::encode(kernel::random::bytes::<32>()),
            shopify_secret,
            data_dir: tempfile::tempdir().expect("a folder for keys"),
            options,
        };
        Self::node(Arc::new(installation), metrics).await
    }

    /// Another node of the same installation.
    pub async fn second_node(&self) -> Self {
        Self::node(self.installation.clone(), None).await
    }

    /// A node of an installation that was restored elsewhere, with the same keys, shops and time.
    pub async fn restored(&self, database: Database, data_dir: TempDir) -> Self {
        let Installation { sandbox, clock, master_key, shopify_secret, options, .. } = &*self.installation;
        let installation = Installation {
            database,
            sandbox: sandbox.clone(),
            clock: clock.clone(),
            master_key: master_key.clone(),
            shopify_secret: shopify_secret.clone(),
            data_dir,
            options: options.clone(),
        };
        Self::node(Arc::new(installation), None).await
    }

    async fn node(installation: Arc<Installation>, metrics: Option<PrometheusHandle>) -> Self {
        let program = Program::start(settings(&installation)).await.expect("the program starts");
        let node = Self { endpoint: server::service(&program.app, metrics), installation, program: Some(program) };
        node.carry_keys();
        // Caches are believed once the node hears its own heartbeat.
        node.eventually("hears changes", || async { node.app().freshness.holds() }).await;
        node
    }

    /// What simulated shops hand over comes to this node.
    fn carry_keys(&self) {
        self.sandbox().woocommerce().carried_by(self.carrier());
    }

    /// Carries what simulated shops hand over to this node.
    pub fn carrier(&self) -> woocommerce::Carrier {
        let endpoint = self.endpoint.clone();
        Arc::new(move |delivery: woocommerce::Delivery| {
            let endpoint = endpoint.clone();
            Box::pin(async move {
                let path = delivery.url.strip_prefix(PUBLIC_URL)?;
                let request = Request::post(path).header("content-type", "application/json;charset=UTF-8");
                let request = request.body(Body::from(delivery.body)).ok()?;
                match endpoint.oneshot(request).await {
                    Ok(response) => Some(response.status()),
                    Err(never) => match never {},
                }
            })
        })
    }

    pub fn app(&self) -> &App {
        &self.program().app
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    fn program(&self) -> &Program {
        self.program.as_ref().expect("the program runs until it is finished")
    }

    pub fn sandbox(&self) -> &Sandbox {
        &self.installation.sandbox
    }

    pub fn clock(&self) -> &Clock {
        &self.installation.clock
    }

    /// A connection for which no row is hidden.
    pub async fn superuser(&self) -> PgConnection {
        self.installation.database.superuser().await
    }

    /// Moves the time, here and at the shops. Partitions follow, as they would in the course of time.
    pub async fn advance(&self, by: TimeDelta) {
        self.clock().advance(by);
        self.sandbox().clock().set_now(self.clock().now());
        let kept = self.app().config.retention.partitions();
        self.app().db.maintain_partitions(self.clock().now(), &kept).await.expect("partitions");
    }

    /// Serves a request without a socket.
    pub async fn serve(&self, request: Request<Body>) -> Response {
        match self.endpoint.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    /// Somebody without credentials.
    pub fn nobody(&self) -> Client {
        Client::new(self, None)
    }

    /// The mail to this address that arrives as the so-manieth, counted from 1.
    ///
    /// # Panics
    /// When it does not arrive.
    pub async fn mail(&self, to: &str, number: usize) -> Mail {
        let mailbox = self.sandbox().mailbox();
        self.eventually("a mail arrives", || async { mailbox.to(to).len() >= number }).await;
        mailbox.to(to).swap_remove(number - 1)
    }

    /// Waits until something is so; a second is what the program promises, so that is how long.
    ///
    /// # Panics
    /// When it is not so by then.
    pub async fn within_a_second<F>(&self, what: &str, is_so: impl Fn() -> F) -> Duration
    where
        F: Future<Output = bool>,
    {
        wait(what, Duration::from_secs(1), is_so).await
    }

    /// The same with all the time that a slow machine may need.
    ///
    /// # Panics
    /// After 30 seconds.
    pub async fn eventually<F>(&self, what: &str, is_so: impl Fn() -> F) -> Duration
    where
        F: Future<Output = bool>,
    {
        wait(what, Duration::from_secs(30), is_so).await
    }

    /// Ends the connections on which all nodes of the installation hear of changes, as soon as they come back, until the task is
    /// aborted. Returns when `nodes` are deaf.
    pub async fn deafen(&self, nodes: &[&Self]) -> JoinHandle<()> {
        let mut superuser = self.superuser().await;
        let task = tokio::spawn(async move {
            loop {
                sqlx::query(
                    "select pg_terminate_backend(pid) from pg_stat_activity
                     where application_name = 'entrepot_listener' and datname = current_database()",
                )
                .execute(&mut superuser)
                .await
                .expect("backends end");
                // The pace of the fault, not a wait: much less than a heartbeat, so that none gets through.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        for node in nodes {
            node.eventually("a node is deaf", || async { !node.app().freshness.holds() }).await;
        }
        task
    }

    /// A Prometheus text, as a scraper on this machine sees it.
    pub async fn metrics(&self) -> Answer {
        let mut request = Request::get("/metrics").body(Body::empty()).expect("a request");
        request.extensions_mut().insert(ConnectInfo(PEER));
        Answer::read(self.serve(request).await).await
    }

    /// Ends the node, and asserts that it leaves no work behind.
    ///
    /// # Panics
    /// When jobs are still running, or dead.
    pub async fn finish(mut self) {
        let Some(program) = self.program.take() else { return };
        program.stop().await.expect("the program stops");
        let mut superuser = self.superuser().await;
        let began = std::time::Instant::now();
        loop {
            let left: Vec<(String, String)> = sqlx::query_as(
                "select name, state from jobs where state in ('running', 'dead', 'retrying') order by name",
            )
            .fetch_all(&mut superuser)
            .await
            .expect("jobs are listed");
            // What runs may be another node's, which is still there.
            let may_end = left.iter().all(|(_, state)| state == "running") && began.elapsed() < Duration::from_secs(5);
            if left.is_empty() || !may_end {
                assert!(left.is_empty(), "jobs are left behind: {left:?}");
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn wait<F: Future<Output = bool>>(what: &str, at_most: Duration, is_so: impl Fn() -> F) -> Duration {
    let began = std::time::Instant::now();
    loop {
        // The question is asked before the time is looked at: a slow machine gets its answer.
        let so = is_so().await;
        let took = began.elapsed();
        if so {
            return took;
        }
        assert!(took < at_most, "not within {at_most:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn settings(installation: &Installation) -> Settings {
    let Installation { sandbox, clock, master_key, shopify_secret, data_dir, database, options } = installation;
    let credentials = AppCredentials {
        client_id: SHOPIFY_CLIENT_ID.to_owned(),
        client_secret: Secret::new(shopify_secret.clone()),
        previous_secret: None,
    };
    Settings {
        data_dir: data_dir.path().to_owned(),
        master_keys: MasterKeys::from_lookup(|name| (name == MASTER_KEY).then(|| master_key.into()))
            .expect("a master key"),
        logins: Some(database.logins()),
        key_database: None,
        pools: PoolSizes { app: 12, system: 6, ingest: 2, acquire_timeout: DATABASE_WAIT },
        config: Config {
            public_url: Url::parse(PUBLIC_URL).expect("a URL"),
            apps: vec![("shopify".to_owned(), credentials)],
            live_requests_per_minute: options.live_requests_per_minute,
            trusted_proxies: TrustedProxies::default(),
            traced_callers: options.traced_callers.clone(),
            api_key_prefix: options.api_key_prefix.clone(),
            mail: options.has_mail_server.then(|| SmtpSettings {
                url: Secret::new(format!("smtp://{}", sandbox.smtp_addr())),
                from: MAIL_FROM.to_owned(),
            }),
            retention: options.retention.clone(),
        },
        issuers: match options.issuers.as_str() {
            "" => vec![],
            text => IssuerSettings::read(text).expect("issuers"),
        },
        hosts: Simulated::of(sandbox).hosts().expect("the sandbox's hosts"),
        sentry: options.sentry_dsn.as_ref().map(|dsn| Dsn::parse(&Secret::new(dsn.clone())).expect("a DSN")),
        clock: clock.clone(),
    }
}
