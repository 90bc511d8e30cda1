//! What other nodes changed, as it commits: the ear of every cache that decides, and the bell of the job runner.
//!
//! Notifications are lost while a listener reconnects, so hearing nothing proves nothing. The listener therefore sends
//! itself a heartbeat through the database; notifications arrive in commit order, so a heartbeat that came back proves
//! that everything committed before it was sent has been heard. Caches hold only while the last heartbeat that came back
//! is younger than [`FRESH_FOR`]; otherwise the database is asked.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::{sync::Notify, time::MissedTickBehavior};
use uuid::Uuid;

use crate::{Db, DbError, reach::Reach};

const CHANNEL: &str = "entrepot_invalidate";
/// Where `jobs` says that something was enqueued. The payload is empty.
pub const JOBS_CHANNEL: &str = "entrepot_jobs";
const HEARTBEAT_EVERY: Duration = Duration::from_millis(125);
/// How long a connection of the listener may take.
const CONNECT: Duration = Duration::from_secs(2);
/// How long a heard heartbeat vouches for the caches.
pub const FRESH_FOR: Duration = Duration::from_millis(500);

/// A row that decides something has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalidation {
    /// The table, as in SQL.
    pub table: String,
    pub organization_id: Option<Uuid>,
    pub id: Option<Uuid>,
}

impl Invalidation {
    /// `table:organization:id`, as `app.invalidate()` writes it.
    fn parse(payload: &str) -> Option<Self> {
        let mut parts = payload.split(':');
        let table = parts.next()?.to_owned();
        let organization_id = parts.next()?.parse().ok();
        let id = parts.next()?.parse().ok();
        Some(Self { table, organization_id, id })
    }
}

/// Whether this node hears what others change. Cheap to clone, and to ask.
#[derive(Clone)]
pub struct Freshness {
    /// Milliseconds after `epoch` at which the last heartbeat that came back was sent; 0 when none has.
    heard: Arc<AtomicU64>,
    epoch: Instant,
}

impl Freshness {
    /// True while caches may be believed.
    pub fn holds(&self) -> bool {
        let heard = self.heard.load(Ordering::Acquire);
        heard != 0 && self.epoch.elapsed() < Duration::from_millis(heard) + FRESH_FOR
    }
}

/// What a cache does when something changed. Runs in the listener itself, so that a heartbeat never overtakes the
/// forgetting that came before it; it must be quick and must not block.
pub type Forget = Box<dyn Fn(&Change) + Send + Sync>;

/// What a cache is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Row(Invalidation),
    /// Something may have been missed: forget everything.
    Everything,
}

/// The running ear of a node.
pub struct Listener {
    freshness: Freshness,
    caches: Caches,
    runners: Runners,
    task: tokio::task::JoinHandle<()>,
}

type Caches = Arc<RwLock<Vec<Forget>>>;
type Runners = Arc<RwLock<Vec<Arc<Notify>>>>;

impl Listener {
    pub fn freshness(&self) -> Freshness {
        self.freshness.clone()
    }

    /// Tells `forget` of every change from now on.
    pub fn subscribe(&self, forget: Forget) {
        self.caches.write().unwrap_or_else(PoisonError::into_inner).push(forget);
    }

    /// Rings `wake` whenever jobs were enqueued, and whenever that may have been missed.
    pub fn subscribe_jobs(&self, wake: Arc<Notify>) {
        self.runners.write().unwrap_or_else(PoisonError::into_inner).push(wake);
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Db {
    /// Starts listening, and keeps at it through restarts of the database.
    pub fn listen(&self) -> Listener {
        let freshness = Freshness { heard: Arc::new(AtomicU64::new(0)), epoch: Instant::now() };
        let caches = Caches::default();
        let runners = Runners::default();
        let task = tokio::spawn(keep_listening(
            self.listener.clone(),
            freshness.clone(),
            caches.clone(),
            runners.clone(),
            self.reach.clone(),
        ));
        Listener { freshness, caches, runners, task }
    }
}

async fn keep_listening(
    options: Arc<PgConnectOptions>,
    freshness: Freshness,
    caches: Caches,
    runners: Runners,
    reach: Reach,
) {
    loop {
        if let Err(error) = listen_once(&options, &freshness, &caches, &runners, &reach).await {
            tracing::warn!(%error, "not hearing changes of other nodes; caches ask the database until it is back");
            reach.lost(&options).await;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

async fn listen_once(
    options: &PgConnectOptions,
    freshness: &Freshness,
    caches: &Caches,
    runners: &Runners,
    reach: &Reach,
) -> Result<(), DbError> {
    // A wait that is short: a database that comes back is to be noticed soon, and waits grow with this.
    let pool = PgPoolOptions::new().max_connections(2).acquire_timeout(CONNECT);
    #[expect(clippy::disallowed_methods, reason = "a listener holds connections of its own, outside the pools")]
    let pool = pool.connect_lazy_with(options.clone());
    let heartbeat = format!("entrepot_heartbeat_{}", Uuid::new_v4());
    let listening = async {
        let mut listener = PgListener::connect_with(&pool).await?;
        // Reconnecting is ours: what was notified meanwhile is lost, and the caches must know.
        listener.eager_reconnect(false);
        listener.listen_all([CHANNEL, JOBS_CHANNEL, &heartbeat]).await?;
        Ok::<_, DbError>(listener)
    };
    let mut listener = tokio::time::timeout(2 * CONNECT, listening).await.map_err(|_| DbError::Unavailable)??;
    reach.found();
    tell(caches, &Change::Everything);
    ring(runners);
    let mut beat = tokio::time::interval(HEARTBEAT_EVERY);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = beat.tick() => {
                let sent = u64::try_from(freshness.epoch.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
                let beat = sqlx::query!("select pg_notify($1, $2)", heartbeat, sent.to_string()).execute(&pool);
                // A connection that went silent would otherwise keep this node deaf until TCP gives up.
                tokio::time::timeout(Duration::from_secs(2), beat).await.map_err(|_| DbError::Unavailable)??;
            }
            notification = listener.try_recv() => {
                let Some(notification) = notification? else { return Err(DbError::Unavailable) };
                if notification.channel() == CHANNEL {
                    tell(caches, &Invalidation::parse(notification.payload()).map_or(Change::Everything, Change::Row));
                } else if notification.channel() == JOBS_CHANNEL {
                    ring(runners);
                } else if let Ok(sent) = notification.payload().parse() {
                    freshness.heard.store(sent, Ordering::Release);
                }
            }
        }
    }
}

fn tell(caches: &Caches, change: &Change) {
    for forget in caches.read().unwrap_or_else(PoisonError::into_inner).iter() {
        forget(change);
    }
}

fn ring(runners: &Runners) {
    for wake in runners.read().unwrap_or_else(PoisonError::into_inner).iter() {
        wake.notify_one();
    }
}
