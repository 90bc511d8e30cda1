//! Claims jobs and runs them, until it is told to stop.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use db::{Db, DbError, SystemTask, listener::Listener};
use kernel::{Clock, OrganizationId};
use tokio::{
    sync::{Notify, watch},
    task::{JoinHandle, JoinSet},
    time::{Instant, MissedTickBehavior, sleep, timeout, timeout_at},
};
use uuid::Uuid;

use crate::{
    Failure, Job, Schedule,
    attempt::Kind,
    leases::{Lease, Leases},
    metrics, queue, store,
    store::{Claimed, Wanted},
};

/// How much a runner takes on.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Jobs that run at the same time.
    pub in_flight: usize,
    /// Of one organization, so that one whose jobs are slow leaves places for others.
    pub in_flight_per_organization: usize,
    /// How long a job stays with a runner that is not heard of any more. Renewed three times in that time. Longer than the
    /// clocks of two nodes can be apart; where they are further apart a job may run twice at a time, and completes once.
    pub lease: Duration,
    /// How often to look without having been woken: at schedules, at jobs whose time has come, at leases that have ended.
    pub poll: Duration,
    /// How often the backlog is counted for the metrics.
    pub gauges: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            in_flight: 32,
            in_flight_per_organization: 8,
            lease: Duration::from_secs(60),
            poll: Duration::from_secs(1),
            gauges: Duration::from_secs(30),
        }
    }
}

/// How often a claim that met another one is repeated at once.
const CLAIM_TRIES: u32 = 5;
/// How long a claim that is under way is waited for when the runner stops: what it has claimed would lie until its lease ends.
const CLAIMED_WITHIN: Duration = Duration::from_secs(2);
/// How long giving up the leases of unfinished jobs may take. What is not given up runs out.
const RELEASED_WITHIN: Duration = Duration::from_secs(2);
/// How long the schedules of all organizations may take.
const SCHEDULED_WITHIN: Duration = Duration::from_mins(10);
/// How many jobs are made ready with one statement.
const WAKE_BATCH: u64 = 1_000;

/// Knows the jobs of the program and what they run with; [`start`](Self::start) makes it work.
pub struct Runner<C> {
    core: Core<C>,
    wake: Arc<Notify>,
}

/// What the tasks of a runner share.
pub(crate) struct Core<C> {
    pub(crate) db: Db,
    pub(crate) clock: Clock,
    pub(crate) context: C,
    pub(crate) kinds: BTreeMap<&'static str, Kind<C>>,
    names: Vec<String>,
    schedules: Vec<Schedule>,
    pub(crate) limits: Limits,
    pub(crate) on_dead: OnDead,
}

/// Is told of a job that is not tried again: its name, its organization, and why. It must be quick and must not block.
type OnDead = Box<dyn Fn(&'static str, OrganizationId, &Failure) + Send + Sync>;

impl<C: Clone + Send + Sync + 'static> Runner<C> {
    pub fn new(db: Db, clock: Clock, context: C) -> Self {
        let (kinds, names, schedules, limits) = (BTreeMap::new(), vec![], vec![], Limits::default());
        let on_dead: OnDead = Box::new(|_, _, _| ());
        Self { core: Core { db, clock, context, kinds, names, schedules, limits, on_dead }, wake: Arc::default() }
    }

    /// Teaches the runner a job.
    ///
    /// # Panics
    /// When another job has the name.
    #[must_use]
    pub fn register<J: Job<Context = C>>(mut self) -> Self {
        let known = self.core.kinds.insert(J::NAME, Kind::of::<J>());
        assert!(known.is_none(), "two jobs are named {}", J::NAME);
        self.core.names.push(J::NAME.to_owned());
        self
    }

    /// Adds a schedule, of a job that was registered before.
    ///
    /// # Panics
    /// When it was not, or when the job has a schedule already.
    #[must_use]
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        let name = schedule.name;
        assert!(self.core.kinds.contains_key(name), "the scheduled job {name} is not registered");
        assert!(self.core.schedules.iter().all(|other| other.name != name), "the job {name} has two schedules");
        self.core.schedules.push(schedule);
        self
    }

    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.core.limits = limits;
        self
    }

    /// Tells of jobs that are not tried again.
    #[must_use]
    pub fn on_dead(mut self, told: impl Fn(&'static str, OrganizationId, &Failure) + Send + Sync + 'static) -> Self {
        self.core.on_dead = Box::new(told);
        self
    }

    /// Wakes the runner when a job is enqueued on any node; without, it finds out when it polls.
    #[must_use]
    pub fn listen(self, listener: &Listener) -> Self {
        listener.subscribe_jobs(Arc::clone(&self.wake));
        self
    }

    /// Runs, one after the other, the schedules and jobs that are due, and those that they enqueue, until nothing is due.
    /// Says how many attempts that took. For tests.
    ///
    /// # Errors
    /// When the database is gone. The failures of jobs are noted in their rows.
    pub async fn drain(&self) -> Result<u64, DbError> {
        let mut attempts = 0;
        let mut cursor = Uuid::nil().into();
        loop {
            self.core.run_schedules().await?;
            self.core.wake_due().await?;
            let claimed = self.core.claim(cursor, &[], 1).await?;
            let Some(claimed) = claimed.into_iter().next() else { return Ok(attempts) };
            cursor = claimed.organization;
            let lease = Lease::new(&claimed);
            self.core.attempt(claimed, lease).await;
            attempts += 1;
        }
    }

    /// Starts to work, in tasks of its own.
    pub fn start(self) -> RunnerHandle {
        let core = Arc::new(self.core);
        let leases = Leases::default();
        let (stop, stopped) = watch::channel(None);
        RunnerHandle {
            stop,
            keeper: tokio::spawn(leases.clone().keep(core.db.clone(), core.clock.clone(), core.limits.lease)),
            timer: tokio::spawn(Arc::clone(&core).keep_time(Arc::clone(&self.wake))),
            gauges: tokio::spawn(Arc::clone(&core).keep_counting()),
            work: tokio::spawn(work(core, leases, self.wake, stopped)),
        }
    }
}

/// A working runner. Dropping it ends the attempts where they are; their leases run out and others take them over.
pub struct RunnerHandle {
    stop: watch::Sender<Option<Instant>>,
    work: JoinHandle<()>,
    keeper: JoinHandle<()>,
    timer: JoinHandle<()>,
    gauges: JoinHandle<()>,
}

impl RunnerHandle {
    /// Begins nothing new and lets what runs finish. What has not finished after `grace` is ended where it is, is rolled
    /// back, and can be claimed by others at once, with its attempt given back. A database that does not answer holds this up for
    /// two seconds more; what could not be given back to others then is theirs when its lease ends.
    pub async fn stop(mut self, grace: Duration) {
        self.timer.abort();
        self.stop.send_replace(Some(Instant::now() + grace));
        if let Err(error) = (&mut self.work).await {
            tracing::error!(%error, "the job runner ended badly");
        }
    }
}

impl Drop for RunnerHandle {
    fn drop(&mut self) {
        for task in [&self.work, &self.keeper, &self.timer, &self.gauges] {
            task.abort();
        }
    }
}

/// The loop that claims. It ends when `stopped` says so.
async fn work<C: Clone + Send + Sync + 'static>(
    core: Arc<Core<C>>,
    leases: Leases,
    wake: Arc<Notify>,
    mut stopped: watch::Receiver<Option<Instant>>,
) {
    let mut attempts = JoinSet::new();
    let mut cursor = Uuid::from_bytes(kernel::random::bytes()).into();
    let deadline = loop {
        while let Some(ended) = attempts.try_join_next() {
            report(ended);
        }
        if let Some(deadline) = *stopped.borrow_and_update() {
            break deadline;
        }
        let free = core.limits.in_flight.saturating_sub(leases.len());
        let claimed = if free == 0 { Ok(vec![]) } else { claim_until(&core, &leases, cursor, free, &stopped).await };
        let claimed = claimed.unwrap_or_else(|error| {
            tracing::warn!(%error, "no jobs could be claimed");
            vec![]
        });
        if let Some(last) = claimed.last() {
            cursor = last.organization;
        }
        for claimed in claimed {
            let place = leases.hold(Lease::new(&claimed));
            let core = Arc::clone(&core);
            attempts.spawn(async move { core.attempt(claimed, Arc::clone(&place.lease)).await });
        }
        tokio::select! {
            _ = stopped.changed() => {}
            Some(ended) = attempts.join_next(), if !attempts.is_empty() => report(ended),
            () = wake.notified() => {}
            () = sleep(core.limits.poll) => {}
        }
    };
    let finish = async { while attempts.join_next().await.is_some() {} };
    if timeout_at(deadline, finish).await.is_err() {
        // In this order: once the attempts are gone none of them can commit any more.
        let unfinished = leases.all();
        attempts.shutdown().await;
        if let Err(error) = core.db.unless_away_within(RELEASED_WITHIN, core.release(&unfinished)).await {
            tracing::warn!(%error, "the leases of unfinished jobs could not be given up; they run out");
        }
    }
}

/// A claim that does not hold up a runner that is told to stop.
async fn claim_until<C: Clone + Send + Sync + 'static>(
    core: &Core<C>,
    leases: &Leases,
    cursor: OrganizationId,
    free: usize,
    stopped: &watch::Receiver<Option<Instant>>,
) -> Result<Vec<Claimed>, DbError> {
    let (held, mut stopped) = (leases.by_organization(), stopped.clone());
    let mut claim = Box::pin(core.db.unless_away(core.claim(cursor, &held, free)));
    tokio::select! {
        biased;
        claimed = &mut claim => claimed,
        _ = stopped.changed() => timeout(CLAIMED_WITHIN, claim).await.unwrap_or(Err(DbError::Unavailable)),
    }
}

fn report<T>(ended: Result<T, tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "the attempt at a job ended badly");
    }
}

impl<C: Clone + Send + Sync + 'static> Core<C> {
    async fn claim(
        &self,
        cursor: OrganizationId,
        in_flight: &[(OrganizationId, i32)],
        limit: usize,
    ) -> Result<Vec<Claimed>, DbError> {
        let wanted = Wanted {
            cursor,
            names: &self.names,
            in_flight,
            per_organization: i32::try_from(self.limits.in_flight_per_organization).unwrap_or(i32::MAX),
            limit: i64::try_from(limit).unwrap_or(i64::MAX),
            lease_until: self.clock.now() + self.limits.lease,
        };
        for _ in 0..CLAIM_TRIES {
            let mut tx = self.db.system(SystemTask::ClaimJobs).await?;
            match store::claim(&mut tx, &wanted).await {
                Ok(claimed) => {
                    tx.commit().await?;
                    return Ok(claimed);
                }
                // Another node claimed a job of the same ordering key in the same moment: its claim can be seen now.
                Err(DbError::Constraint { constraint }) if constraint == store::ORDERING_RUNNING => {
                    tx.rollback().await?
                }
                Err(error) => return Err(error),
            }
        }
        tracing::info!("other nodes claim the same ordering keys; looking again later");
        Ok(vec![])
    }

    async fn release(&self, leases: &[Arc<Lease>]) -> Result<(), DbError> {
        let held: Vec<_> = leases.iter().map(|lease| lease.held()).collect();
        let mut tx = self.db.system(SystemTask::ClaimJobs).await?;
        store::release(&mut tx, &held, self.clock.now()).await?;
        tx.commit().await
    }

    /// Makes ready what is due, and says how many.
    async fn wake_due(&self) -> Result<u64, DbError> {
        let mut all = 0;
        loop {
            let mut tx = self.db.system(SystemTask::ClaimJobs).await?;
            let woken = store::wake(&mut tx, self.clock.now(), i64::try_from(WAKE_BATCH).unwrap_or(i64::MAX)).await?;
            tx.commit().await?;
            all += woken;
            if woken < WAKE_BATCH {
                return Ok(all);
            }
        }
    }

    async fn run_schedules(&self) -> Result<(), DbError> {
        for schedule in &self.schedules {
            schedule.run(&self.db, &self.clock).await?;
        }
        Ok(())
    }

    /// Sees to what is due, for ever.
    async fn keep_time(self: Arc<Self>, wake: Arc<Notify>) {
        let mut tick = tokio::time::interval(self.limits.poll);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            match self.db.unless_away(self.wake_due()).await {
                Ok(0) => {}
                Ok(_) => wake.notify_one(),
                Err(error) => tracing::warn!(%error, "jobs whose time has come could not be woken"),
            }
            if let Err(error) = self.db.unless_away_within(SCHEDULED_WITHIN, self.run_schedules()).await {
                tracing::warn!(%error, "a schedule could not enqueue its jobs");
            }
        }
    }

    /// Counts the backlog, for ever.
    async fn keep_counting(self: Arc<Self>) {
        let mut tick = tokio::time::interval(self.limits.gauges);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            match self.db.unless_away(queue::backlog(&self.db, &self.clock)).await {
                Ok(backlog) => metrics::backlog(&backlog),
                Err(error) => tracing::warn!(%error, "the backlog of jobs could not be counted"),
            }
        }
    }
}
