//! What is limited by the day of UTC, counted by all nodes together.
//!
//! The count stands in one row for each organization, limit and day. A node leases a hundredth of the limit at a time, a thousand at
//! most, and spends it in memory, so that counting asks no database. All nodes together never give out more than the
//! limit. What a node has not spent it gives back when it stops or the plan changes; one that is killed leaves a chunk
//! counted that was not used, which is how inexact a count is at most, for each node.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use chrono::NaiveDate;
use db::{
    Db, DbError,
    listener::{Change, Freshness, Listener},
};
use kernel::{Action, Clock, Limit, OrganizationId, Resource, Subscription, TenantScope, Time, scope::InternalTask};
use kit::{Code, Problem};
use tokio::sync::Mutex;

use super::{jobs::TellOfLimit, model::limit_reached, store};

/// A lease is this part of the limit.
const LEASES_PER_DAY: u64 = 100;
/// What a node that is killed can leave counted at most.
const CHUNK_MAX: u64 = 1_000;
/// Counters remembered; the least recently used are forgotten first, with at most one chunk each.
const COUNTERS: u64 = 100_000;

enum CountUsage {}
impl InternalTask for CountUsage {
    const NAME: &'static str = "count_usage";
    const PERMISSIONS: &'static [(Resource, Action)] = &[];
}

/// The counters of one node. Cheap to clone.
#[derive(Clone)]
pub struct DailyUsage(Arc<State>);

struct State {
    db: Db,
    clock: Clock,
    freshness: Freshness,
    counters: moka::sync::Cache<(OrganizationId, Limit), Arc<Counter>>,
    /// Grows when any plan may have changed.
    changes: AtomicU64,
}

#[derive(Default)]
struct Counter {
    /// The plan has changed since the lease was taken.
    is_stale: AtomicBool,
    lease: Mutex<Lease>,
}

#[derive(Default)]
struct Lease {
    day: Option<NaiveDate>,
    left: u64,
    /// Used while the database was away, and not counted there yet.
    owed: u64,
    /// By all nodes, when this one last asked.
    used: u64,
    is_exhausted: bool,
    changes: u64,
    subscription: Option<Subscription>,
}

impl Lease {
    /// What the row has to be told: above zero what was used beside a lease, below zero what is left of one.
    fn balance(&self) -> i64 {
        signed(self.owed).saturating_sub(signed(self.left))
    }
}

impl DailyUsage {
    pub fn new(db: Db, clock: Clock, listener: &Listener) -> Self {
        let usage = Self(Arc::new(State {
            db,
            clock,
            freshness: listener.freshness(),
            counters: moka::sync::Cache::new(COUNTERS),
            changes: AtomicU64::new(0),
        }));
        let state = usage.0.clone();
        listener.subscribe(Box::new(move |change| state.hear(change)));
        usage
    }

    /// Counts one use of what is limited by the day. While the database is away it is counted later, and refused to nobody.
    ///
    /// # Errors
    /// [`Code::PlanLimitReached`] when the day's are used up; [`Code::NotFound`] when the organization was deleted.
    pub async fn count(&self, organization: OrganizationId, limit: Limit) -> Result<(), Problem> {
        let state = &self.0;
        let now = state.clock.now();
        let counter = state.counters.get_with((organization, limit), Arc::default);
        let mut lease = counter.lease.lock().await;
        let changes = state.changes.load(Ordering::SeqCst);
        // Who hears nothing of plans asks again before it refuses.
        let is_stale = counter.is_stale.swap(false, Ordering::SeqCst)
            || lease.changes != changes
            || (lease.is_exhausted && !state.freshness.holds());
        let is_spent = lease.left == 0 && !lease.is_exhausted;
        if is_stale || is_spent || lease.day != Some(now.date_naive()) {
            match state.renew(organization, limit, &mut lease, changes, now).await {
                Ok(()) => {}
                Err(problem) if problem.code() == Code::DatabaseUnavailable => {
                    counter.is_stale.store(true, Ordering::SeqCst);
                    match lease.left.checked_sub(1) {
                        Some(left) => lease.left = left,
                        None => lease.owed += 1,
                    }
                    return Ok(());
                }
                Err(problem) => {
                    counter.is_stale.store(true, Ordering::SeqCst);
                    return Err(problem);
                }
            }
        }
        match (lease.left.checked_sub(1), &lease.subscription) {
            (Some(left), _) => {
                lease.left = left;
                metrics::counter!("entrepot_usage_total", "limit" => limit.as_str()).increment(1);
                Ok(())
            }
            (None, Some(subscription)) => Err(limit_reached(subscription, limit, None, lease.used, now)),
            (None, None) => Err(Problem::internal(&"a lease of nothing")),
        }
    }

    /// What this node has leased of today and not used.
    pub(super) async fn unspent(&self, organization: OrganizationId, limit: Limit, day: NaiveDate) -> i64 {
        let Some(counter) = self.0.counters.get(&(organization, limit)) else { return 0 };
        let lease = counter.lease.lock().await;
        if lease.day == Some(day) { lease.balance().saturating_neg() } else { 0 }
    }

    /// Gives back what was leased and not used, when the node stops.
    ///
    /// # Errors
    /// When the database is gone: what is left then stays counted.
    pub async fn give_back(&self) -> Result<(), DbError> {
        let state = &self.0;
        for (key, counter) in &state.counters {
            let (organization, limit) = *key;
            let mut lease = counter.lease.lock().await;
            let (Some(day), true) = (lease.day, lease.balance() != 0) else { continue };
            let mut tx = state.db.tenant(&TenantScope::internal::<CountUsage>(organization)).await?;
            store::lease(&mut tx, limit.as_str(), day, lease.balance(), 0, 0).await?;
            tx.commit().await?;
            *lease = Lease::default();
        }
        Ok(())
    }
}

impl State {
    fn hear(&self, change: &Change) {
        let Change::Row(row) = change else {
            self.changes.fetch_add(1, Ordering::SeqCst);
            return;
        };
        if row.table != "organizations" {
            return;
        }
        let Some(organization) = row.id else {
            self.changes.fetch_add(1, Ordering::SeqCst);
            return;
        };
        for limit in Limit::ALL.iter().filter(|limit| limit.is_daily()) {
            if let Some(counter) = self.counters.get(&(organization.into(), *limit)) {
                counter.is_stale.store(true, Ordering::SeqCst);
            }
        }
    }

    /// Settles what the last lease left and takes another, by the plan as it is now.
    async fn renew(
        &self,
        organization: OrganizationId,
        limit: Limit,
        lease: &mut Lease,
        changes: u64,
        now: Time,
    ) -> Result<(), Problem> {
        let today = now.date_naive();
        let mut tx = self.db.tenant(&TenantScope::internal::<CountUsage>(organization)).await?;
        let subscription = super::subscription(&mut tx, now).await?;
        let mut balance = lease.balance();
        if let Some(day) = lease.day.filter(|day| *day != today) {
            if balance != 0 {
                store::lease(&mut tx, limit.as_str(), day, balance, 0, 0).await?;
            }
            balance = 0;
        }
        let allowed = subscription.limit(limit);
        let chunk = (allowed / LEASES_PER_DAY).clamp(1, CHUNK_MAX);
        let taken = store::lease(&mut tx, limit.as_str(), today, balance, signed(chunk), signed(allowed)).await?;
        let (used, leased) = (unsigned(taken.used), unsigned(taken.leased));
        let near = allowed - allowed / 5;
        let is_exhausted = leased == 0;
        if is_exhausted || (used - leased < near && used >= near) {
            let told = TellOfLimit { limit, is_reached: is_exhausted, day: today, used, allowed };
            ::jobs::enqueue(&mut tx, &self.clock, &told).await?;
        }
        tx.commit().await?;
        metrics::counter!("entrepot_usage_leases_total", "limit" => limit.as_str()).increment(1);
        *lease = Lease {
            day: Some(today),
            left: leased,
            owed: 0,
            used,
            is_exhausted,
            changes,
            subscription: Some(subscription),
        };
        Ok(())
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}
