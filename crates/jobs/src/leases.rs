//! The leases that this runner holds, and how they stay alive.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use db::{Db, DbError, SystemTask};
use kernel::{Clock, JobId, OrganizationId};
use tokio::{sync::Notify, time::MissedTickBehavior};

use crate::store::{self, Claimed, Held};

/// The right to one attempt, until it is not renewed or somebody else has it.
pub(crate) struct Lease {
    pub(crate) organization: OrganizationId,
    pub(crate) id: JobId,
    pub(crate) token: i64,
    /// The attempt has come to its commit.
    pub(crate) completing: AtomicBool,
    /// Somebody else has it: the attempt is to end where it is.
    pub(crate) lost: Notify,
}

impl Lease {
    pub(crate) fn new(claimed: &Claimed) -> Arc<Self> {
        Arc::new(Self {
            organization: claimed.organization,
            id: claimed.id,
            token: claimed.token,
            completing: AtomicBool::new(false),
            lost: Notify::new(),
        })
    }

    pub(crate) fn held(&self) -> Held {
        Held { organization: self.organization, id: self.id, token: self.token }
    }
}

/// All of them, shared by the tasks of a runner.
#[derive(Clone, Default)]
pub(crate) struct Leases(Arc<Mutex<HashMap<JobId, Arc<Lease>>>>);

/// Gives a lease's place free when the attempt has ended, however it did.
pub(crate) struct Place {
    leases: Leases,
    pub(crate) lease: Arc<Lease>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.leases.lock();
        // The same job may be back here under a newer lease.
        if held.get(&self.lease.id).is_some_and(|lease| Arc::ptr_eq(lease, &self.lease)) {
            held.remove(&self.lease.id);
        }
    }
}

impl Leases {
    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, Arc<Lease>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn hold(&self, lease: Arc<Lease>) -> Place {
        self.lock().insert(lease.id, Arc::clone(&lease));
        Place { leases: self.clone(), lease }
    }

    pub(crate) fn all(&self) -> Vec<Arc<Lease>> {
        self.lock().values().cloned().collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// How many are held of each organization.
    pub(crate) fn by_organization(&self) -> Vec<(OrganizationId, i32)> {
        let mut counts = HashMap::<OrganizationId, i32>::new();
        for lease in self.lock().values() {
            *counts.entry(lease.organization).or_default() += 1;
        }
        counts.into_iter().collect()
    }

    /// Renews what is held and ends the attempts whose lease was lost.
    async fn renew(&self, db: &Db, clock: &Clock, lease: Duration) -> Result<(), DbError> {
        let held: Vec<_> = self.all().into_iter().filter(|lease| !lease.completing.load(Ordering::Acquire)).collect();
        if held.is_empty() {
            return Ok(());
        }
        let mut tx = db.system(SystemTask::ClaimJobs).await?;
        let columns: Vec<_> = held.iter().map(|lease| lease.held()).collect();
        let renewed = store::renew(&mut tx, &columns, clock.now() + lease).await?;
        tx.commit().await?;
        for lease in held {
            // One that has come to its commit meanwhile is gone because it is done.
            if !renewed.contains(&lease.id) && !lease.completing.load(Ordering::Acquire) {
                lease.lost.notify_one();
            }
        }
        Ok(())
    }

    /// Renews three times in the length of a lease, for ever.
    pub(crate) async fn keep(self, db: Db, clock: Clock, lease: Duration) {
        let mut tick = tokio::time::interval(lease / 3);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            // One that waited longer would come too late for the leases, and hold up the next.
            if let Err(error) = db.unless_away_within(lease / 3, self.renew(&db, &clock, lease)).await {
                tracing::warn!(%error, "leases of jobs could not be renewed");
            }
        }
    }
}
