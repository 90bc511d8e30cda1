//! A caller's minute, shared by all nodes.
//!
//! The count stands in one row per caller. Each node leases a chunk of the minute at a time and spends it in memory, so
//! that a warm request asks no database. All nodes together never give out more than the limit; at most one leased chunk
//! per node can be left unspent.
//!
//! API keys are counted wherever they may call (`kit::caller`), people at the live API only, which counts for itself. A
//! person has one minute, however many sessions they have.

mod store;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, request::Parts},
    response::Response,
};
use db::{Db, DbError, SystemTx};
use kernel::{Action, Actor, ApiKeyId, Clock, OrganizationId, Resource, TenantScope, Time, scope::InternalTask};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::{App, Code, Problem, retention::BATCH};

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
    refused: bool,
    /// What the minute still held when this node last asked.
    remaining: u32,
}

/// Whether a request may go on, with the figures for the `RateLimit` header
/// (draft-ietf-httpapi-ratelimit-headers).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub allowed: bool,
    /// Refused before in this minute on this node: writing that down again would cost more than the request.
    pub refused_before: bool,
    pub limit: u32,
    /// As far as this node knows: exact when it is alone, otherwise at least as many as it has leased.
    pub remaining: u32,
    /// Until the next minute begins.
    pub resets_in: Duration,
}

impl Verdict {
    /// What a caller is told whose minute is used up.
    pub fn refusal(&self) -> Problem {
        Problem::new(
            Code::RateLimited,
            format!("{} requests a minute are allowed. Come back after the time in Retry-After.", self.limit),
        )
        .with_retry_after(self.resets_in)
    }

    /// `RateLimit-Policy` and `RateLimit`.
    pub fn write_headers(&self, headers: &mut HeaderMap) {
        let policy = format!("\"minute\";q={};w=60", self.limit);
        let state = format!("\"minute\";r={};t={}", self.remaining, self.resets_in.as_secs());
        for (name, value) in [("ratelimit-policy", policy), ("ratelimit", state)] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
    }
}

/// Where the count of a request is left on its way in, to be told on its way out.
#[derive(Clone, Default)]
pub struct Counted(Arc<OnceLock<Verdict>>);

impl Counted {
    /// The place for the count of this request.
    pub fn expected_of(request: &mut Request) -> Self {
        let counted = Self::default();
        request.extensions_mut().insert(counted.clone());
        counted
    }

    /// Tells a caller who was counted how their minute stands, whatever they are answered.
    pub fn tell(&self, response: &mut Response) {
        if let Some(verdict) = self.0.get() {
            verdict.write_headers(response.headers_mut());
        }
    }
}

/// Takes a request from the minute of a key.
///
/// # Errors
/// [`Code::RateLimited`] when it is used up.
pub(crate) async fn count(
    app: &App,
    parts: &Parts,
    organization: OrganizationId,
    key: ApiKeyId,
) -> Result<(), Problem> {
    let verdict = app.slice::<RateLimit>().take(organization, key.uuid()).await?;
    if let Some(counted) = parts.extensions.get::<Counted>() {
        counted.0.get_or_init(|| verdict);
    }
    if verdict.allowed { Ok(()) } else { Err(verdict.refusal()) }
}

impl RateLimit {
    pub fn new(db: Db, clock: Clock, per_minute: u32) -> Self {
        Self { db, clock, per_minute, leases: moka::sync::Cache::new(CALLERS) }
    }

    /// Takes one request from the minute of whoever acts: of a key, or of a person in all their sessions.
    ///
    /// # Errors
    /// When a chunk must be leased and the database is gone.
    pub async fn take_for(&self, organization: OrganizationId, actor: Actor) -> Result<Verdict, DbError> {
        let subject = match actor {
            Actor::Key { key, .. } => key.uuid(),
            Actor::Person { user, .. } => user.uuid(),
            Actor::System { .. } => organization.uuid(),
        };
        self.take(organization, subject).await
    }

    /// Takes one request from a minute.
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
        let refused_before = std::mem::replace(&mut lease.refused, !allowed);
        if allowed {
            lease.left -= 1;
            lease.remaining = lease.remaining.saturating_sub(1);
        } else {
            lease.remaining = 0;
        }
        Ok(Verdict { allowed, refused_before, limit: self.per_minute, remaining: lease.remaining, resets_in })
    }
}

/// Removes minutes before then, a batch of them; nodes whose clocks differ do not meet there. How many there were.
///
/// # Errors
/// When the database refuses or is gone.
pub async fn purge(tx: &mut SystemTx, before: Time) -> Result<u64, DbError> {
    store::purge(tx, before.timestamp().div_euclid(60), BATCH).await
}
