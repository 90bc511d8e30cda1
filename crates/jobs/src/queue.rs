use std::{fmt, str::FromStr, time::Duration};

use db::{Db, DbError, SystemTask, SystemTx, TenantTx};
use kernel::{Clock, JobId, OrganizationId, Time};
use serde_json::Value;

use crate::{Job, store};

/// Enqueues a job, which exists once the caller's transaction commits and never did when it is rolled back.
///
/// None when one with the same [`Job::dedupe_key`] waits already. That one then cannot begin before the caller's
/// transaction has ended, so it sees what the caller changed.
///
/// # Errors
/// When the database refuses, such as a payload or a key that is too long, or is gone.
pub async fn enqueue<J: Job>(tx: &mut TenantTx, clock: &Clock, job: &J) -> Result<Option<JobId>, DbError> {
    enqueue_at(tx, clock, job, clock.now()).await
}

/// Enqueues a job that is not to begin before `run_at`. One with the same dedupe key that waits for a later time, and was
/// not yet tried, is brought forward instead.
///
/// # Errors
/// As [`enqueue`].
pub async fn enqueue_at<J: Job>(
    tx: &mut TenantTx,
    clock: &Clock,
    job: &J,
    run_at: Time,
) -> Result<Option<JobId>, DbError> {
    let new = NewJob::new(job)?;
    store::enqueue(tx, JobId::new(clock), &new, run_at, clock.now()).await
}

/// Enqueues a job in an organization from a transaction of the machine itself, such as sign-up. One with the same dedupe key
/// that waits already stays as it is.
///
/// # Errors
/// As [`enqueue`].
pub async fn enqueue_as_system<J: Job>(
    tx: &mut SystemTx,
    clock: &Clock,
    organization: OrganizationId,
    job: &J,
) -> Result<(), DbError> {
    let new = NewJob::new(job)?;
    store::enqueue_for(tx, &[(organization, JobId::new(clock))], &new, clock.now()).await?;
    store::notify(tx).await
}

/// Removes jobs of the organization that failed for good before then, `limit` at most. How many there were.
///
/// # Errors
/// When the database refuses or is gone.
pub async fn purge_dead(tx: &mut TenantTx, before: Time, all: bool, limit: i64) -> Result<u64, DbError> {
    store::purge_dead(tx, before, all, limit).await
}

/// A job as it is stored.
pub(crate) struct NewJob {
    pub(crate) name: &'static str,
    pub(crate) payload: Value,
    pub(crate) ordering_key: Option<String>,
    pub(crate) dedupe_key: Option<String>,
}

impl NewJob {
    pub(crate) fn new<J: Job>(job: &J) -> Result<Self, DbError> {
        // Only a map whose keys are no strings, or a `Serialize` that refuses, gets here.
        let payload =
            serde_json::to_value(job).map_err(|_| DbError::Other { code: format!("payload of {}", J::NAME) })?;
        Ok(Self { name: J::NAME, payload, ordering_key: job.ordering_key(), dedupe_key: job.dedupe_key() })
    }
}

/// Where a job is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Asked for at a later time.
    Scheduled,
    /// Waits for its next attempt.
    Retrying,
    /// Waits for a limit or a person.
    Throttled,
    /// Waits for a free place.
    Ready,
    Running,
    /// Failed for good; kept for people to look at.
    Dead,
}

impl State {
    pub const ALL: [Self; 6] =
        [Self::Scheduled, Self::Retrying, Self::Throttled, Self::Ready, Self::Running, Self::Dead];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Retrying => "retrying",
            Self::Throttled => "throttled",
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Dead => "dead",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for State {
    type Err = DbError;
    fn from_str(text: &str) -> Result<Self, DbError> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| DbError::Other { code: "job state of unknown form".to_owned() })
    }
}

/// How many jobs of all organizations are in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    pub state: State,
    pub jobs: u64,
    /// Since the time at which the oldest was asked to run; zero while none is late. It counts retried and throttled work
    /// from its beginning: what waits for a limit is late as well.
    pub oldest: Duration,
}

/// The backlog in each of the states, also those without jobs.
///
/// # Errors
/// When the database is gone.
pub async fn backlog(db: &Db, clock: &Clock) -> Result<[Backlog; State::ALL.len()], DbError> {
    let mut tx = db.system(SystemTask::ClaimJobs).await?;
    let found = store::backlog(&mut tx).await?;
    tx.commit().await?;
    let now = clock.now();
    let mut all = State::ALL.map(|state| Backlog { state, jobs: 0, oldest: Duration::ZERO });
    for row in found {
        let state: State = row.state.parse()?;
        for entry in all.iter_mut().filter(|entry| entry.state == state) {
            entry.jobs = u64::try_from(row.jobs).unwrap_or(0);
            entry.oldest = (now - row.oldest).to_std().unwrap_or_default();
        }
    }
    Ok(all)
}
