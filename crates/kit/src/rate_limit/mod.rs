//! A caller's minute, shared by all nodes.
//!
//! The count stands in one row per caller. Each node leases a chunk of the minute at a time and spends it in memory, so
//! that a warm request asks no database. All nodes together never give out more than the limit; at most one leased chunk
//! per node can be left unspent.

mod store;

use std::{sync::Arc, time::Duration};

use db::{Db, DbError, SystemTx};
use kernel::{Action, Clock, OrganizationId, Resource, TenantScope, Time, scope::InternalTask};
use tokio::sync::Mutex;
use uuid::Uuid;

/// A lease is a tenth of the minute: small enough to be fair between nodes, large enough to be rare.
const LEASES_PER_MINUTE: u32 = 10;
/// Callers remembered; the least recently seen are forgotten first, with at most one chunk each.
const CALLERS: u64 = 100_000;

enum LeaseMinute {}
impl InternalTask for LeaseMinute {
    const NAME: &'static str = "rate_limit";
    const PERMISSIONS: &'static [(Resource, Action)] = &[];
}

/// The limiter of one node.
#[derive(Clone)]
pub struct RateLimit {
    db: Db,
    clock: Clock,
    per_minute: u32,
    leases: moka::sync::Cache<(OrganizationId, Uuid), Arc<Mutex<Lease>>>,
}

#[derive(Default)]
struct Lease {
    minute: i64,
    left: u32,
    /// The minute is used up, by all nodes together.
    exhausted: bool,
    /// What the minute still held when this node last asked.
    remaining: u32,
}

/// Whether a request may go on, with the figures for the `RateLimit` header
/// (draft-ietf-httpapi-ratelimit-headers).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub allowed: bool,
    pub limit: u32,
    /// As far as this node knows: exact when it is alone, otherwise at least as many as it has leased.
    pub remaining: u32,
    /// Until the next minute begins.
    pub resets_in: Duration,
}

impl RateLimit {
    pub fn new(db: Db, clock: Clock, per_minute: u32) -> Self {
        Self { db, clock, per_minute, leases: moka::sync::Cache::new(CALLERS) }
    }

    /// Takes one request from the caller's minute.
    ///
    /// # Errors
    /// When a chunk must be leased and the database is gone.
    pub async fn take(&self, organization: OrganizationId, subject: Uuid) -> Result<Verdict, DbError> {
        let now = self.clock.now();
        let minute = now.timestamp().div_euclid(60);
        let resets_in = Duration::from_secs(60 - u64::try_from(now.timestamp().rem_euclid(60)).unwrap_or(0));
        let lease = self.leases.get_with((organization, subject), Arc::default);
        let mut lease = lease.lock().await;
        if lease.minute != minute {
            *lease = Lease { minute, remaining: self.per_minute, ..Lease::default() };
        }
        if lease.left == 0 && !lease.exhausted {
            let scope = TenantScope::internal::<LeaseMinute>(organization);
            let mut tx = self.db.tenant(&scope).await?;
            let limit = i32::try_from(self.per_minute).unwrap_or(i32::MAX);
            let chunk = i32::try_from(self.per_minute.div_ceil(LEASES_PER_MINUTE)).unwrap_or(i32::MAX).max(1);
            let leased = store::lease_minute(&mut tx, subject, minute, chunk, limit).await?;
            tx.commit().await?;
            match leased {
                Some(leased) => {
                    lease.left = leased.granted;
                    lease.remaining = self.per_minute.saturating_sub(leased.used_before);
                }
                None => lease.exhausted = true,
            }
        }
        let allowed = lease.left > 0;
        if allowed {
            lease.left -= 1;
            lease.remaining = lease.remaining.saturating_sub(1);
        } else {
            lease.remaining = 0;
        }
        Ok(Verdict { allowed, limit: self.per_minute, remaining: lease.remaining, resets_in })
    }
}

/// Removes minutes that are long over; nodes whose clocks differ do not meet there. How many there were.
///
/// # Errors
/// When the database refuses or is gone.
pub async fn purge(tx: &mut SystemTx, now: Time) -> Result<u64, DbError> {
    store::purge(tx, now.timestamp().div_euclid(60) - 60).await
}
