use std::sync::{Arc, atomic::Ordering};

use db::TenantTx;
use kernel::{JobId, TenantScope};

use crate::{Failure, leases::Lease, store};

/// One attempt at a job.
pub struct Run {
    pub id: JobId,
    /// With exactly the permissions of the job.
    pub scope: TenantScope,
    /// Counted from 1.
    pub attempt: u32,
    /// No other attempt follows: the moment to tell people, and to complete instead of failing.
    pub last_attempt: bool,
    pub(crate) lease: Arc<Lease>,
}

/// The proof that a job was completed.
#[derive(Debug)]
#[must_use]
pub struct Done(());

impl Run {
    /// Commits what the transaction wrote together with the end of the job.
    ///
    /// # Errors
    /// [`Failure::LeaseLost`] when the lease ran out: everything is rolled back. [`Failure::Permanent`] when the transaction
    /// is of another organization. [`Failure::Transient`] when the database is gone.
    pub async fn complete(self, mut tx: TenantTx) -> Result<Done, Failure> {
        if tx.organization() != self.scope.organization() {
            tx.rollback().await?;
            return Err(Failure::Permanent("the job was completed in a transaction of another organization".into()));
        }
        // From here on the row is locked until the commit, so nobody can claim it, and renewing would only wait for it.
        self.lease.completing.store(true, Ordering::Release);
        if store::complete(&mut tx, self.id, self.lease.token).await? {
            tx.commit().await?;
            Ok(Done(()))
        } else {
            tx.rollback().await?;
            Err(Failure::LeaseLost)
        }
    }
}
