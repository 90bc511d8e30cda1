//! Plans: what an organization has subscribed to, and what that allows. `docs/plans.md` shows the same table; a test compares them.

use std::{collections::BTreeMap, fmt, str::FromStr};

use chrono::Duration;
use serde::{Deserialize, Serialize};

use crate::{
    Time,
    permission::{Unknown, words},
};

words! {
    /// What an organization has subscribed to.
    Plan {
        Free = "free",
        Starter = "starter",
        Professional = "professional",
        Enterprise = "enterprise",
    }
}

words! {
    /// Whether a subscription runs.
    SubscriptionStatus {
        /// The first days after sign-up.
        Trial = "trial",
        Active = "active",
        /// Read-only, until it is active again.
        Inactive = "inactive",
        /// Read-only, and meant to stay so.
        Cancelled = "cancelled",
    }
}

words! {
    /// What a plan limits.
    Limit {
        /// Active seats, and those that are offered.
        Members = "members",
        /// Connections of one provider that are not disconnected.
        ConnectionsPerProvider = "connections_per_provider",
        /// Keys of one person that work, but for those that were rotated.
        ApiKeysPerUser = "api_keys_per_user",
        /// Reads that a shop was or could be asked for, in a day of UTC.
        LiveReadsPerDay = "live_reads_per_day",
        /// Webhooks that were taken in, in a day of UTC. Those beyond it wait.
        ReceiptsPerDay = "receipts_per_day",
        /// Products in the catalog.
        ProductsKept = "products_kept",
        /// The shortest time between two syncs: less is more.
        SyncIntervalMinutes = "sync_interval_minutes",
        Workflows = "workflows",
        Bots = "bots",
    }
}

impl SubscriptionStatus {
    /// How somebody stands in such an organization whose seat is paused, or not.
    pub const fn standing(self, is_seat_paused: bool) -> Standing {
        match self {
            Self::Inactive | Self::Cancelled => Standing::ReadOnly(ReadOnly::Organization(self)),
            Self::Trial | Self::Active if is_seat_paused => Standing::ReadOnly(ReadOnly::Seat),
            Self::Trial | Self::Active => Standing::Writable,
        }
    }
}

impl Limit {
    /// For people, as a plural.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Members => "members",
            Self::ConnectionsPerProvider => "connections per provider",
            Self::ApiKeysPerUser => "API keys per user",
            Self::LiveReadsPerDay => "live reads per day",
            Self::ReceiptsPerDay => "receipts per day",
            Self::ProductsKept => "products kept",
            Self::SyncIntervalMinutes => "shortest sync interval, minutes",
            Self::Workflows => "workflows",
            Self::Bots => "bots",
        }
    }

    /// Whether it begins anew with each day of UTC.
    pub const fn is_daily(self) -> bool {
        matches!(self, Self::LiveReadsPerDay | Self::ReceiptsPerDay)
    }
}

impl Plan {
    /// The table. None: by contract.
    pub const fn limit(self, limit: Limit) -> Option<u64> {
        let row: [Option<u64>; 4] = match limit {
            Limit::Members => [Some(3), Some(10), Some(50), None],
            Limit::ConnectionsPerProvider => [Some(1), Some(3), Some(20), None],
            Limit::ApiKeysPerUser => [Some(10), Some(10), Some(10), Some(10)],
            Limit::LiveReadsPerDay => [Some(5_000), Some(50_000), Some(1_000_000), None],
            Limit::ReceiptsPerDay => [Some(5_000), Some(100_000), Some(5_000_000), None],
            Limit::ProductsKept => [Some(10_000), Some(100_000), Some(2_000_000), None],
            Limit::SyncIntervalMinutes => [Some(60), Some(15), Some(5), Some(1)],
            Limit::Workflows => [Some(3), Some(20), Some(200), None],
            Limit::Bots => [Some(1), Some(3), Some(20), None],
        };
        row[self as usize]
    }

    /// The smallest plan that allows more of it.
    pub fn with_more(self, limit: Limit) -> Option<Self> {
        let mut larger = Self::ALL.iter().copied().filter(|plan| *plan > self);
        let allows_more = |plan: &Self| match (self.limit(limit), plan.limit(limit)) {
            (Some(now), Some(then)) => then > now,
            (now, then) => now.is_some() && then.is_none(),
        };
        larger.find(allows_more)
    }
}

/// The numbers that were agreed with one organization, which count in place of its plan's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Contract(pub BTreeMap<Limit, u64>);

/// What an organization has subscribed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    pub plan: Plan,
    pub status: SubscriptionStatus,
    pub contract: Contract,
    /// When the trial or the plan ends: it is free and active from then on. None: it goes on.
    pub ends_at: Option<Time>,
    /// When the status became what it is.
    pub status_since: Time,
}

/// Why nothing can be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadOnly {
    /// The organization's subscription is inactive or cancelled.
    Organization(SubscriptionStatus),
    /// The caller's seat is beyond what the plan allows.
    Seat,
}

/// Whether whoever is calling can change anything, besides what they may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Writable,
    ReadOnly(ReadOnly),
}

/// How long webhooks are taken in for an organization that is read-only.
const WEBHOOKS_TAKEN: Duration = Duration::days(30);

impl Subscription {
    /// As it is at a moment: a trial that is over is over, whether or not a job has written it down since.
    #[must_use]
    pub fn at(self, now: Time) -> Self {
        let runs = matches!(self.status, SubscriptionStatus::Trial | SubscriptionStatus::Active);
        match self.ends_at {
            Some(end) if end <= now && runs => Self {
                plan: Plan::Free,
                status: SubscriptionStatus::Active,
                contract: Contract::default(),
                ends_at: None,
                status_since: end,
            },
            _ => self,
        }
    }

    /// What is allowed. Where a contract names no number, the largest plan that has one.
    pub fn limit(&self, limit: Limit) -> u64 {
        let agreed = self.contract.0.get(&limit).copied();
        agreed.or(self.plan.limit(limit)).or(Plan::Professional.limit(limit)).unwrap_or(0)
    }

    pub fn is_writable(&self) -> bool {
        self.status.standing(false) == Standing::Writable
    }

    /// Whether webhooks of its connections are taken in: also for a while after it has become read-only, so that nothing is
    /// lost to whoever comes back.
    pub fn takes_webhooks(&self, now: Time) -> bool {
        self.is_writable() || now < self.status_since + WEBHOOKS_TAKEN
    }
}
