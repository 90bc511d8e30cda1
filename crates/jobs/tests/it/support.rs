//! A queue, a job that does as it is told, and what it did.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use db::{Db, TenantTx};
use jobs::{Done, Failure, Job, Limits, Run, Runner, enqueue, enqueue_at};
use kernel::{Action, Clock, JobId, OrganizationId, Resource, TenantScope, Time, scope::InternalTask};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, postgres::PgConnectOptions};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::server;

/// Who enqueues in the tests.
pub(crate) enum Caller {}

impl InternalTask for Caller {
    const NAME: &'static str = "test_caller";
    const PERMISSIONS: &'static [(Resource, Action)] = &[];
}

/// A database with a queue, on a clock that stands still.
pub(crate) struct Queue {
    pub(crate) db: Db,
    pub(crate) clock: Clock,
    pub(crate) world: Arc<World>,
    superuser: PgConnectOptions,
}

/// What the jobs of a test see of it, and it of them.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) events: Mutex<Vec<Event>>,
    gates: Mutex<HashMap<String, Arc<Semaphore>>>,
    /// How many attempts of a label are under way, and the most there ever were.
    under_way: Mutex<HashMap<String, (u32, u32)>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) label: String,
    pub(crate) attempt: u32,
    pub(crate) what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Began,
    Completed,
    Failed(Failure),
    /// Ended where it was.
    Dropped,
}

impl World {
    fn gate(&self, label: &str, attempt: u32) -> Arc<Semaphore> {
        let mut gates = self.gates.lock().expect("gates");
        Arc::clone(gates.entry(format!("{label}#{attempt}")).or_insert_with(|| Arc::new(Semaphore::new(0))))
    }

    /// Lets an attempt of a [`Behavior::Wait`] job go on.
    pub(crate) fn open(&self, label: &str, attempt: u32) {
        self.gate(label, attempt).add_permits(1);
    }

    fn note(&self, label: &str, attempt: u32, what: What) {
        self.events.lock().expect("events").push(Event { label: label.to_owned(), attempt, what });
    }

    fn enter(&self, label: &str) {
        let mut under_way = self.under_way.lock().expect("under way");
        let (now, most) = under_way.entry(label.to_owned()).or_default();
        *now += 1;
        *most = (*most).max(*now);
    }

    fn leave(&self, label: &str) {
        self.under_way.lock().expect("under way").entry(label.to_owned()).or_default().0 -= 1;
    }

    /// How many attempts of the label there were at the same time, at most.
    pub(crate) fn most_under_way(&self, label: &str) -> u32 {
        self.under_way.lock().expect("under way").get(label).copied().unwrap_or_default().1
    }

    /// What happened to the jobs of a label, in order.
    pub(crate) fn of(&self, label: &str) -> Vec<(u32, What)> {
        let events = self.events.lock().expect("events");
        events.iter().filter(|event| event.label == label).map(|event| (event.attempt, event.what.clone())).collect()
    }

    /// The labels in the order in which attempts began.
    pub(crate) fn began(&self) -> Vec<String> {
        let events = self.events.lock().expect("events");
        events.iter().filter(|event| event.what == What::Began).map(|event| event.label.clone()).collect()
    }
}

#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) db: Db,
    pub(crate) world: Arc<World>,
}

/// A job that does as it is told, and whose effect is counted in a tenant's row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Probe {
    pub(crate) label: String,
    pub(crate) subject: Uuid,
    pub(crate) behavior: Behavior,
    pub(crate) ordering_key: Option<String>,
    pub(crate) dedupe_key: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Behavior {
    Succeed,
    /// Waits until its gate is opened before it succeeds.
    Wait,
    /// Takes so many milliseconds before it succeeds.
    Take(u64),
    FailTransiently,
    FailPermanently,
    /// Commits its effect without completing.
    FailAfterEffect,
    Throttled(Time),
    Panic,
    /// Writes its effect, then completes in the transaction of another organization.
    CompleteIn(OrganizationId),
    /// Enqueues another with the same keys before it fails.
    FailWithSuccessor,
}

impl Probe {
    pub(crate) fn new(label: impl Into<String>, behavior: Behavior) -> Self {
        let subject = Uuid::from_bytes(kernel::random::bytes());
        Self { label: label.into(), subject, behavior, ordering_key: None, dedupe_key: None }
    }

    pub(crate) fn succeeding(label: impl Into<String>) -> Self {
        Self::new(label, Behavior::Succeed)
    }

    pub(crate) fn ordered(self, key: impl Into<String>) -> Self {
        Self { ordering_key: Some(key.into()), ..self }
    }

    pub(crate) fn deduped(self, key: impl Into<String>) -> Self {
        Self { dedupe_key: Some(key.into()), ..self }
    }

    async fn attempt(&self, cx: &Context, run: Run) -> Result<Done, Failure> {
        let other = match &self.behavior {
            Behavior::Succeed => None,
            Behavior::Wait => {
                cx.world.gate(&self.label, run.attempt).acquire().await.expect("the gate is open").forget();
                None
            }
            Behavior::Take(milliseconds) => {
                cx.world.enter(&self.label);
                tokio::time::sleep(Duration::from_millis(*milliseconds)).await;
                // Before the commit, after which the next may begin sooner than this one hears of it.
                cx.world.leave(&self.label);
                None
            }
            Behavior::FailTransiently => return Err(Failure::Transient("told to fail".into())),
            Behavior::FailPermanently => return Err(Failure::Permanent("told to fail for good".into())),
            Behavior::FailAfterEffect => {
                let mut tx = cx.db.tenant(&run.scope).await?;
                effect(&mut tx, self.subject).await?;
                tx.commit().await?;
                return Err(Failure::Transient("told to fail".into()));
            }
            Behavior::Throttled(until) => {
                return Err(Failure::Throttled { until: *until, cause: "told to wait".into() });
            }
            Behavior::Panic => panic!("told to panic"),
            Behavior::CompleteIn(organization) => Some(*organization),
            Behavior::FailWithSuccessor => {
                let mut tx = cx.db.tenant(&run.scope).await?;
                let successor = Self { behavior: Behavior::Succeed, ..self.clone() };
                enqueue(&mut tx, &Clock::system(), &successor).await?;
                tx.commit().await?;
                return Err(Failure::Transient("told to fail after its successor".into()));
            }
        };
        let mut tx = cx.db.tenant(&run.scope).await?;
        effect(&mut tx, self.subject).await?;
        match other {
            None => run.complete(tx).await,
            Some(organization) => {
                tx.commit().await?;
                let tx = cx.db.tenant(&TenantScope::internal::<Caller>(organization)).await?;
                run.complete(tx).await
            }
        }
    }
}

impl Job for Probe {
    const NAME: &'static str = "probe";
    const PERMISSIONS: &'static [(Resource, Action)] = &[];
    type Context = Context;

    fn dedupe_key(&self) -> Option<String> {
        self.dedupe_key.clone()
    }

    fn ordering_key(&self) -> Option<String> {
        self.ordering_key.clone()
    }

    async fn run(self, cx: Context, run: Run) -> Result<Done, Failure> {
        let mut guard =
            Guard { world: Arc::clone(&cx.world), label: self.label.clone(), attempt: run.attempt, ended: false };
        cx.world.note(&self.label, run.attempt, What::Began);
        let attempt = run.attempt;
        let result = self.attempt(&cx, run).await;
        guard.ended = true;
        let what = result.as_ref().map_or_else(|failure| What::Failed(failure.clone()), |_| What::Completed);
        cx.world.note(&self.label, attempt, what);
        result
    }
}

/// Notes an attempt that was ended where it was.
struct Guard {
    world: Arc<World>,
    label: String,
    attempt: u32,
    ended: bool,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.ended {
            self.world.note(&self.label, self.attempt, What::Dropped);
        }
    }
}

/// Counts up in a row of the tenant.
pub(crate) async fn effect(tx: &mut TenantTx, subject: Uuid) -> Result<(), db::DbError> {
    let organization = tx.organization();
    sqlx::query(
        "insert into effects (organization_id, subject, used) values ($1, $2, 1)
         on conflict (organization_id, subject) do update set used = effects.used + 1",
    )
    .bind(organization.uuid())
    .bind(subject)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// A row of `jobs`.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Row {
    pub(crate) id: Uuid,
    pub(crate) state: String,
    pub(crate) attempts: i32,
    pub(crate) due_at: Time,
    pub(crate) lease_token: i64,
    pub(crate) last_error: Option<String>,
}

impl Queue {
    pub(crate) async fn new() -> Self {
        let (db, superuser) = server::database().await;
        let clock = Clock::manual(Time::from_timestamp(1_795_000_000, 0).expect("a time"));
        Self { db, clock, world: Arc::default(), superuser }
    }

    /// The same queue on a clock that runs.
    pub(crate) async fn on_a_running_clock() -> Self {
        Self { clock: Clock::shifted(), ..Self::new().await }
    }

    pub(crate) fn context(&self) -> Context {
        Context { db: self.db.clone(), world: Arc::clone(&self.world) }
    }

    /// A runner that knows [`Probe`].
    pub(crate) fn runner(&self) -> Runner<Context> {
        Runner::new(self.db.clone(), self.clock.clone(), self.context()).register::<Probe>()
    }

    /// One that looks often enough for a test.
    pub(crate) fn quick_runner(&self) -> Runner<Context> {
        self.runner().limits(quick())
    }

    pub(crate) async fn tenant(&self, organization: OrganizationId) -> TenantTx {
        self.db.tenant(&TenantScope::internal::<Caller>(organization)).await.expect("a transaction begins")
    }

    pub(crate) async fn enqueue<J: Job>(&self, organization: OrganizationId, job: &J) -> Option<JobId> {
        let mut tx = self.tenant(organization).await;
        let id = enqueue(&mut tx, &self.clock, job).await.expect("the job is enqueued");
        tx.commit().await.expect("it commits");
        id
    }

    pub(crate) async fn enqueue_all<J: Job>(&self, organization: OrganizationId, jobs: &[J]) {
        let mut tx = self.tenant(organization).await;
        for job in jobs {
            enqueue(&mut tx, &self.clock, job).await.expect("the job is enqueued");
        }
        tx.commit().await.expect("it commits");
    }

    pub(crate) async fn enqueue_in(&self, organization: OrganizationId, job: &Probe, delay: Duration) -> Option<JobId> {
        let mut tx = self.tenant(organization).await;
        let id = enqueue_at(&mut tx, &self.clock, job, self.clock.now() + delay).await.expect("the job is enqueued");
        tx.commit().await.expect("it commits");
        id
    }

    /// How many attempts it took until nothing was due.
    pub(crate) async fn drain(&self) -> u64 {
        self.runner().drain().await.expect("the queue drains")
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(chrono::Duration::from_std(by).expect("a short time"));
    }

    /// A connection for which no row is hidden.
    pub(crate) async fn superuser(&self) -> PgConnection {
        server::connect(&self.superuser).await
    }

    /// Lets everybody into the database again, or nobody, and ends the connections that there are.
    pub(crate) async fn admit(&self, everybody: bool) {
        let limit = if everybody { -1 } else { 0 };
        let sql = format!(
            "do $$ begin execute format('alter database %I connection limit {limit}', current_database()); end $$;
             select pg_terminate_backend(pid) from pg_stat_activity
             where datname = current_database() and usename like 'entrepot_%'"
        );
        let mut superuser = self.superuser().await;
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut superuser).await.expect("a limit");
    }

    pub(crate) async fn rows(&self) -> Vec<Row> {
        sqlx::query_as("select id, state, attempts, due_at, lease_token, last_error from jobs order by sequence")
            .fetch_all(&mut self.superuser().await)
            .await
            .expect("the jobs are listed")
    }

    /// The only job there is.
    pub(crate) async fn row(&self) -> Row {
        let mut rows = self.rows().await;
        assert_eq!(rows.len(), 1, "one job: {rows:?}");
        rows.remove(0)
    }

    /// How often each effect happened.
    pub(crate) async fn effects(&self) -> HashMap<Uuid, i32> {
        let rows: Vec<(Uuid, i32)> = sqlx::query_as("select subject, used from effects")
            .fetch_all(&mut self.superuser().await)
            .await
            .expect("the effects are listed");
        rows.into_iter().collect()
    }

    /// Waits until something is so, which the jobs of a running runner bring about.
    pub(crate) async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        let wait = async {
            while !is_so().await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), wait)
            .await
            .unwrap_or_else(|_| panic!("not within a minute: {what}"));
    }

    pub(crate) async fn until_empty(&self) {
        let mut superuser = self.superuser().await;
        let wait = async {
            loop {
                let left: i64 = sqlx::query_scalar("select count(*) from jobs")
                    .fetch_one(&mut superuser)
                    .await
                    .expect("jobs are counted");
                if left == 0 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(120), wait).await.expect("the queue is empty within two minutes");
    }
}

pub(crate) fn quick() -> Limits {
    Limits { poll: Duration::from_millis(20), ..Limits::default() }
}

/// An organization that needs no row of its own.
pub(crate) fn organization() -> OrganizationId {
    Uuid::from_bytes(kernel::random::bytes()).into()
}

pub(crate) fn labels(prefix: &str, count: usize) -> Vec<Probe> {
    (0..count).map(|number| Probe::succeeding(format!("{prefix}{number}"))).collect()
}
