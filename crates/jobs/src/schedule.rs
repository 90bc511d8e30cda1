use std::time::Duration;

use db::{Db, DbError, SystemTask};
use kernel::{Clock, JobId};

use crate::{Job, queue::NewJob, store};

/// What a schedule without a dedupe key of its job's own is deduplicated by.
const DEDUPE_KEY: &str = "schedule";
/// Organizations for which jobs are made with one statement.
const PAGE: i64 = 1_000;

/// A job of the house: every so often one is enqueued for each organization, by whichever node sees first that it is
/// time. An organization in which the last one still waits gets no second.
#[derive(Clone, Copy)]
pub struct Schedule {
    pub(crate) name: &'static str,
    every: Duration,
    job: fn() -> Result<NewJob, DbError>,
}

impl Schedule {
    /// Enqueues `J::default()`, for the first time as soon as a runner with this schedule starts. Nodes remember in the
    /// database when that was, so that a restart does not repeat it.
    pub const fn every<J: Job + Default>(every: Duration) -> Self {
        Self { name: J::NAME, every, job: new_job::<J> }
    }

    pub const fn daily<J: Job + Default>() -> Self {
        Self::every::<J>(Duration::from_hours(24))
    }

    pub const fn hourly<J: Job + Default>() -> Self {
        Self::every::<J>(Duration::from_hours(1))
    }

    /// Enqueues the jobs if it is time and no other node did; says for how many organizations.
    pub(crate) async fn run(&self, db: &Db, clock: &Clock) -> Result<Option<u64>, DbError> {
        let now = clock.now();
        let job = (self.job)()?;
        let mut tx = db.system(SystemTask::EnqueueSchedules).await?;
        if !store::elect(&mut tx, self.name, now, now - self.every).await? {
            tx.rollback().await?;
            return Ok(None);
        }
        let mut enqueued = 0;
        let mut page = store::organizations(&mut tx, None, PAGE).await?;
        while let Some(last) = page.last().copied() {
            let ids: Vec<_> = page.into_iter().map(|organization| (organization, JobId::new(clock))).collect();
            enqueued += store::enqueue_for(&mut tx, &ids, &job, now).await?;
            page = store::organizations(&mut tx, Some(last), PAGE).await?;
        }
        store::notify(&mut tx).await?;
        tx.commit().await?;
        tracing::info!(schedule = self.name, enqueued, "enqueued the jobs of a schedule");
        Ok(Some(enqueued))
    }
}

fn new_job<J: Job + Default>() -> Result<NewJob, DbError> {
    let mut job = NewJob::new(&J::default())?;
    job.dedupe_key.get_or_insert_with(|| DEDUPE_KEY.to_owned());
    Ok(job)
}
