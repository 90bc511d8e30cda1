//! From settings to a running program: the keys, the database, the outside, the app.

use std::{net::SocketAddr, os::unix::fs::DirBuilderExt, path::PathBuf, sync::Arc, time::Duration};

use accounts::{
    oidc::{IssuerSettings, Issuers},
    plans::DailyUsage,
};
use anyhow::{Context, bail};
use connector::http::{Hosts, Http, HttpOptions, SetupError};
use db::{
    Db, Logins, PoolSizes,
    cluster::{Cluster, ClusterOptions, Target},
    listener::Listener,
};
use integrations::connections::Stores;
use kernel::Clock;
use kit::{
    App, Config,
    data_keys::rotation::{self, Standing},
    mail::Mailer,
    retention::Retention,
    vault::{Keyring, MasterKeys},
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use crate::{
    assembly::{self, Ingredients},
    error_reporting::Keeper,
    housekeeping,
    keys::{keep, place},
    restore,
    server::{self, tls::Tls},
    telemetry::sentry::{Dsn, Sentry},
};

/// How long running jobs may go on when the program stops; others take over what is left.
const GRACE: Duration = Duration::from_secs(10);

/// How long tokens that are being renewed are waited for: as long as a provider may take, and a moment to save them.
const RENEWALS: Duration = Duration::from_secs(35);
/// How long giving back what was leased and not used may take.
const GIVEN_BACK: Duration = Duration::from_secs(2);

/// What the program needs to start.
pub struct Settings {
    /// The embedded cluster and the key store live here.
    pub data_dir: PathBuf,
    pub master_keys: MasterKeys,
    /// None runs PostgreSQL itself.
    pub logins: Option<Logins>,
    /// Where the shards are; None: in a directory beside the data.
    pub key_database: Option<Target>,
    pub pools: PoolSizes,
    pub config: Config,
    /// Whose tokens are taken besides our own sessions and keys.
    pub issuers: Vec<IssuerSettings>,
    pub hosts: Hosts,
    /// Who is told of errors besides.
    pub sentry: Option<Dsn>,
    pub clock: Clock,
}

/// The program without its HTTP server. Stop it with [`Program::stop`].
pub struct Program {
    pub app: App,
    pub keys: accounts::api_keys::ApiKeys,
    listener: Listener,
    cluster: Option<Cluster>,
    housekeeping: JoinHandle<()>,
    errors: Keeper,
    key_keeping: JoinHandle<()>,
    jobs: jobs::RunnerHandle,
}

impl Program {
    /// Starts everything but the HTTP server.
    ///
    /// # Errors
    /// With what is wrong and what to do about it.
    pub async fn start(settings: Settings) -> anyhow::Result<Self> {
        let Settings { data_dir, master_keys, logins, key_database, pools, config, issuers, hosts, sentry, clock } =
            settings;
        restore::refuse_unfinished(&data_dir)?;
        let mailer = Mailer::new(config.mail.as_ref())?;
        if !mailer.is_configured() {
            tracing::warn!(
                "no mail server: invitations, verifications and new passwords wait in the outbox until ENTREPOT_SMTP_URL and \
                 ENTREPOT_MAIL_FROM are set"
            );
        }
        std::fs::DirBuilder::new()
            .recursive(true)
            // PostgreSQL runs as another user under root and must get through; what lies in it has modes of its own.
            .mode(0o711)
            .create(&data_dir)
            .with_context(|| format!("cannot make the data directory {}", data_dir.display()))?;
        // What needs no database is made ready while PostgreSQL starts.
        let is_inside = issuers.iter().any(|issuer| issuer.private_network);
        let http = tokio::task::spawn_blocking(move || clients(hosts, is_inside));
        let shards = place::of(&data_dir, key_database.as_ref());
        let store = tokio::spawn({
            let shards = shards.clone();
            async move { place::open(&shards).await }
        });
        let (logins, cluster) = match logins {
            Some(logins) => (logins, None),
            None => {
                let cluster = Cluster::start(ClusterOptions::new(data_dir.join("postgres"))).await?;
                (Logins::of_cluster(&cluster, cluster.database()), Some(cluster))
            }
        };
        Db::migrate(&logins.owner).await.context("the database could not be brought up to date")?;
        let db = Db::connect(&logins, &pools).await?;
        make_partitions(&db, &clock, &config.retention).await?;
        let store = store.await??;
        Box::pin(place::refuse_one_server(&shards, &logins)).await?;
        let keyring = Arc::new(Box::pin(establish_keys(&db, Keyring::new(master_keys, store, clock.clone()))).await?);
        let (http, inside) = http.await??;
        let issuers = Issuers::new(issuers, &http, inside.as_ref(), clock.clone());
        let listener = db.listen();
        let ingredients = Ingredients { db, clock, keyring, http, config, mailer, issuers };
        let (app, keys) = assembly::app(ingredients, &listener);
        let sentry = sentry.map(|dsn| Sentry::start(dsn, env!("CARGO_PKG_VERSION"))).transpose()?;
        let errors = Keeper::start(app.clone(), sentry);
        let housekeeping = tokio::spawn(housekeeping::keep(app.clone()));
        let key_keeping = tokio::spawn(keep::keep(app.clone()));
        let jobs = assembly::runner(&app, &listener).start();
        Ok(Self { app, keys, listener, cluster, housekeeping, errors, key_keeping, jobs })
    }

    pub fn listener(&self) -> &Listener {
        &self.listener
    }

    pub fn cluster(&self) -> Option<&Cluster> {
        self.cluster.as_ref()
    }

    /// Ends in the order that loses nothing: jobs and renewals of tokens, uses of keys and of plans, pools, database.
    ///
    /// # Errors
    /// When the embedded database cannot be stopped.
    pub async fn stop(self) -> anyhow::Result<()> {
        let Self { app, keys, listener, cluster, housekeeping, errors, key_keeping, jobs } = self;
        housekeeping.abort();
        key_keeping.abort();
        let stores = app.slice::<Stores>();
        let ((), are_settled) = tokio::join!(jobs.stop(GRACE), stores.settled(RENEWALS));
        if !are_settled {
            tracing::warn!(
                "a token was being renewed, or waited for the database, and took too long: it is lost, and is renewed again with the \
                 one that is stored"
            );
        }
        if let Err(error) = keys.flush_uses().await {
            tracing::warn!(%error, "the last uses of API keys were not written");
        }
        if let Err(error) = app.db.unless_away_within(GIVEN_BACK, app.slice::<DailyUsage>().give_back()).await {
            tracing::warn!(%error, "what was leased of the day's limits and not used stays counted");
        }
        errors.stop().await;
        drop(listener);
        app.db.close().await;
        if let Some(cluster) = cluster {
            cluster.stop().await?;
        }
        Ok(())
    }
}

/// The client for the world, and the one for issuers in a private network, where there are such.
fn clients(hosts: Hosts, is_inside: bool) -> Result<(Http, Option<Http>), SetupError> {
    let options = HttpOptions { reaches_inside: true, ..HttpOptions::default() };
    let inside = is_inside.then(|| Http::new(hosts.clone(), options)).transpose()?;
    Ok((Http::new(hosts, HttpOptions::default())?, inside))
}

/// The master key and the key store must be those that the database was filled with: anything else would fail later, one
/// credential at a time.
async fn establish_keys(db: &Db, keyring: Keyring) -> anyhow::Result<Keyring> {
    let mut tx = db.system(db::SystemTask::Installation).await?;
    let established = rotation::establish(&mut tx, keyring.masters()).await?;
    let present = keyring.fingerprints().store.to_string();
    let stored = tx.installation_fact("key_store", &present).await?;
    if stored != present {
        bail!(
            "this database was filled with key store {stored}, but the program runs with key store {present}. Give it the one that \
             belongs to it (ENTREPOT_DATA_DIR, or KEY_DATABASE_URL); with another nothing sealed could be opened."
        );
    }
    tx.commit().await?;
    match established.standing {
        Standing::Prepared => tracing::warn!(
            active = %established.active,
            new = %keyring.masters().current(),
            "another master key is here: run `entrepot keys rotate` once every node has both"
        ),
        Standing::Rotating => tracing::info!("data keys are left under the previous master key; they are wrapped anew"),
        Standing::Settled | Standing::PreviousUnused => {}
    }
    Ok(keyring.with_installation_key(established.installation_key))
}

/// The first partitions, without which nothing can be written. A backup that holds a lock is waited for a little.
async fn make_partitions(db: &Db, clock: &Clock, retention: &Retention) -> anyhow::Result<()> {
    let (mut tries, kept) = (0, retention.partitions());
    loop {
        match db.unless_away(db.maintain_partitions(clock.now(), &kept)).await {
            Err(db::DbError::Unavailable) if tries < 5 => {
                tries += 1;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            done => return done.context("the partitions of the logs could not be made"),
        }
    }
}

/// Histograms grow until somebody looks at them, or this does.
async fn keep_metrics(metrics: metrics_exporter_prometheus::PrometheusHandle) {
    let mut tick = tokio::time::interval(Duration::from_secs(5));
    loop {
        tick.tick().await;
        metrics.run_upkeep();
    }
}

/// A served program.
pub struct Served {
    pub program: Program,
    pub address: SocketAddr,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
    /// What goes on beside it for as long as it serves.
    beside: Vec<JoinHandle<()>>,
}

impl Served {
    /// Serves a program on a listener, with `tls` by https.
    ///
    /// # Errors
    /// When the listener has no address.
    pub fn start(
        program: Program,
        listener: TcpListener,
        tls: Option<Tls>,
        metrics: Option<metrics_exporter_prometheus::PrometheusHandle>,
    ) -> anyhow::Result<Self> {
        let address = listener.local_addr()?;
        let upkeep = metrics.clone().map(|metrics| tokio::spawn(keep_metrics(metrics)));
        let files = tls.clone().map(|tls| tokio::spawn(tls.follow_files(program.app.clock.clone())));
        let (stop, stopped) = watch::channel(false);
        let server = tokio::spawn(server::serve(listener, tls, server::service(&program.app, metrics), stopped));
        Ok(Self { program, address, stop, server, beside: upkeep.into_iter().chain(files).collect() })
    }

    /// Lets open requests end, then stops the program.
    ///
    /// # Errors
    /// When the embedded database cannot be stopped.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.stop.send_replace(true);
        self.beside.iter().for_each(JoinHandle::abort);
        self.server.await.context("the server ended badly")?;
        self.program.stop().await
    }
}
