//! What other nodes changed, as it commits: the ear of every cache that decides, the bell of the job runner, and of those who
//! follow the activity log.
//!
//! Notifications are lost while a listener reconnects, so hearing nothing proves nothing. The listener therefore sends
//! itself a heartbeat through the database; notifications arrive in commit order, so a heartbeat that came back proves
//! that everything committed before it was sent has been heard. Caches hold only while the last heartbeat that came back
//! is younger than [`FRESH_FOR`]; otherwise the database is asked.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
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
/// Where nodes say that the activity log of an organization has grown. The payload is the organization's id.
const EVENTS_CHANNEL: &str = "entrepot_events";
/// How often a node says so at most, of all organizations together.
const RING_EVERY: Duration = Duration::from_millis(50);
/// Organizations that may wait to be rung for. Those beyond are not: followers look by themselves, too.
const RINGS_WAITING: usize = 10_000;
/// How long saying something may take.
const SAID_WITHIN: Duration = Duration::from_secs(2);
const HEARTBEAT_EVERY: Duration = Duration::from_millis(125);
/// Heartbeats that may be on their way back, two seconds of them. With more the connection that listens is one that the network
/// has forgotten: what is sent goes through, and nothing is heard.
const UNHEARD: u32 = 16;
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

/// What is done when the activity log of an organization has grown, or, without one, when that may have been missed. Runs in
/// the listener itself; it must be quick and must not block.
pub type Grown = Box<dyn Fn(Option<Uuid>) + Send + Sync>;

/// The running ear of a node.
pub struct Listener {
    freshness: Freshness,
    subscribers: Arc<Subscribers>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Subscribers {
    caches: RwLock<Vec<Forget>>,
    runners: RwLock<Vec<Arc<Notify>>>,
    logs: RwLock<Vec<Grown>>,
}

impl Subscribers {
    fn tell(&self, change: &Change) {
        for forget in self.caches.read().unwrap_or_else(PoisonError::into_inner).iter() {
            forget(change);
        }
    }

    fn ring(&self) {
        for wake in self.runners.read().unwrap_or_else(PoisonError::into_inner).iter() {
            wake.notify_one();
        }
    }

    fn grown(&self, organization: Option<Uuid>) {
        for grown in self.logs.read().unwrap_or_else(PoisonError::into_inner).iter() {
            grown(organization);
        }
    }

    /// What was notified before now was not heard.
    fn missed_something(&self) {
        self.tell(&Change::Everything);
        self.ring();
        self.grown(None);
    }
}

impl Listener {
    pub fn freshness(&self) -> Freshness {
        self.freshness.clone()
    }

    /// Tells `forget` of every change from now on.
    pub fn subscribe(&self, forget: Forget) {
        self.subscribers.caches.write().unwrap_or_else(PoisonError::into_inner).push(forget);
    }

    /// Rings `wake` whenever jobs were enqueued, and whenever that may have been missed.
    pub fn subscribe_jobs(&self, wake: Arc<Notify>) {
        self.subscribers.runners.write().unwrap_or_else(PoisonError::into_inner).push(wake);
    }

    /// Calls `grown` whenever lines were committed to the activity log of an organization.
    pub fn subscribe_events(&self, grown: Grown) {
        self.subscribers.logs.write().unwrap_or_else(PoisonError::into_inner).push(grown);
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The organizations whose activity log has grown by what was committed here, until the listener has told all nodes.
///
/// It is told after the commit, and by another transaction: `NOTIFY` makes all commits of the server that contain one wait for
/// each other, with their writing to disk (`docs/adr/0028-the-tail-asks-the-database.md`).
#[derive(Default)]
pub(crate) struct Grew {
    organizations: Mutex<HashSet<Uuid>>,
    bell: Notify,
}

impl Grew {
    pub(crate) fn note(&self, organization: Uuid) {
        let mut organizations = self.organizations.lock().unwrap_or_else(PoisonError::into_inner);
        if organizations.len() < RINGS_WAITING {
            organizations.insert(organization);
        }
        drop(organizations);
        self.bell.notify_one();
    }

    fn take(&self) -> Vec<Uuid> {
        self.organizations.lock().unwrap_or_else(PoisonError::into_inner).drain().collect()
    }
}

impl Db {
    /// Starts listening, and keeps at it through restarts of the database.
    pub fn listen(&self) -> Listener {
        let freshness = Freshness { heard: Arc::new(AtomicU64::new(0)), epoch: Instant::now() };
        let subscribers = Arc::new(Subscribers::default());
        let task = tokio::spawn(keep_listening(
            self.listener.clone(),
            freshness.clone(),
            subscribers.clone(),
            self.grew.clone(),
            self.reach.clone(),
        ));
        Listener { freshness, subscribers, task }
    }
}

async fn keep_listening(
    options: Arc<PgConnectOptions>,
    freshness: Freshness,
    subscribers: Arc<Subscribers>,
    grew: Arc<Grew>,
    reach: Reach,
) {
    loop {
        if let Err(error) = listen_once(&options, &freshness, &subscribers, &grew, &reach).await {
            tracing::warn!(%error, "not hearing changes of other nodes; caches ask the database until it is back");
            reach.lost(&options).await;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

async fn listen_once(
    options: &PgConnectOptions,
    freshness: &Freshness,
    subscribers: &Subscribers,
    grew: &Grew,
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
        listener.listen_all([CHANNEL, JOBS_CHANNEL, EVENTS_CHANNEL, &heartbeat]).await?;
        Ok::<_, DbError>(listener)
    };
    let mut listener = tokio::time::timeout(2 * CONNECT, listening).await.map_err(|_| DbError::Unavailable)??;
    reach.found();
    subscribers.missed_something();
    let mut beat = tokio::time::interval(HEARTBEAT_EVERY);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // What grew while nobody listened is rung for now.
    let (mut must_ring, mut may_ring_at) = (true, tokio::time::Instant::now());
    let mut unheard = 0;
    loop {
        tokio::select! {
            () = grew.bell.notified(), if !must_ring => must_ring = true,
            () = tokio::time::sleep_until(may_ring_at), if must_ring => {
                let organizations = grew.take();
                // A ring need not outlive the server, and must not make others wait for the disk.
                let ring = sqlx::query!(
                    "select pg_notify($1, organization::text), set_config('synchronous_commit', 'off', true) from unnest($2::uuid[]) organization",
                    EVENTS_CHANNEL,
                    &organizations
                );
                let ring = ring.fetch_all(&pool);
                tokio::time::timeout(SAID_WITHIN, ring).await.map_err(|_| DbError::Unavailable)??;
                (must_ring, may_ring_at) = (false, tokio::time::Instant::now() + RING_EVERY);
            }
            _ = beat.tick() => {
                let sent = u64::try_from(freshness.epoch.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
                let beat = sqlx::query!("select pg_notify($1, $2)", heartbeat, sent.to_string()).execute(&pool);
                // A connection that went silent would otherwise keep this node deaf until TCP gives up.
                tokio::time::timeout(SAID_WITHIN, beat).await.map_err(|_| DbError::Unavailable)??;
                // Beats are counted, not time: a node that had no time to listen is not deaf.
                unheard += 1;
                if unheard > UNHEARD {
                    return Err(DbError::Unavailable);
                }
            }
            notification = listener.try_recv() => {
                let Some(notification) = notification? else { return Err(DbError::Unavailable) };
                let payload = notification.payload();
                match notification.channel() {
                    CHANNEL => {
                        subscribers.tell(&Invalidation::parse(payload).map_or(Change::Everything, Change::Row));
                    }
                    JOBS_CHANNEL => subscribers.ring(),
                    EVENTS_CHANNEL => subscribers.grown(payload.parse().ok()),
                    _ => {
                        if let Ok(sent) = payload.parse() {
                            freshness.heard.store(sent, Ordering::Release);
                            unheard = 0;
                        }
                    }
                }
            }
        }
    }
}
