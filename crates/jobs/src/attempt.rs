//! One attempt at a claimed job, from its payload to what becomes of it.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration, time::Instant};

use db::DbError;
use futures::{FutureExt, future::BoxFuture};
use kernel::{OrganizationId, TenantScope};
use serde_json::Value;
use tracing::Instrument;

use crate::{
    Done, Failure, Job, Retry, Run, State, job,
    leases::Lease,
    metrics,
    runner::Core,
    store,
    store::{Claimed, Settled},
};

/// How long an attempt may go on after the database fell silent.
const AFTER_SILENCE: Duration = Duration::from_secs(10);
/// Between two tries to note how an attempt ended.
const SETTLE_AGAIN: Duration = Duration::from_millis(500);

/// A registered job, with its type erased.
pub(crate) struct Kind<C> {
    retry: Retry,
    timeout: Duration,
    scope: fn(OrganizationId) -> TenantScope,
    run: fn(Value, C, Run) -> BoxFuture<'static, Result<Done, Failure>>,
}

impl<C: Clone + Send + Sync + 'static> Kind<C> {
    pub(crate) fn of<J: Job<Context = C>>() -> Self {
        Self { retry: J::RETRY, timeout: J::TIMEOUT, scope: job::scope::<J>, run: run::<J> }
    }
}

fn run<J: Job>(payload: Value, cx: J::Context, run: Run) -> BoxFuture<'static, Result<Done, Failure>> {
    Box::pin(async move {
        // serde's message quotes the value. Another version of the program may know the form, hence not permanent.
        let job: J = serde_json::from_value(payload).map_err(|_| {
            Failure::Transient("the payload is not of a form that this version of the job knows".into())
        })?;
        job.run(cx, run).await
    })
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Completed,
    Retrying,
    Throttled,
    Dead,
    /// Removed, since a successor with the same dedupe key waits.
    Superseded,
    /// Nothing of it counts.
    LeaseLost,
    /// What became of it could not be written down: its lease will run out.
    Unknown,
}

impl Outcome {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Retrying => "retrying",
            Self::Throttled => "throttled",
            Self::Dead => "dead",
            Self::Superseded => "superseded",
            Self::LeaseLost => "lease_lost",
            Self::Unknown => "unknown",
        }
    }
}

impl<C: Clone + Send + Sync + 'static> Core<C> {
    /// Runs a claimed job and notes what becomes of it. Panics of the job end here.
    pub(crate) async fn attempt(&self, claimed: Claimed, lease: Arc<Lease>) -> Outcome {
        let Claimed { name, id, attempt, .. } = &claimed;
        let (id, attempt) = (*id, *attempt);
        let Some((name, kind)) = self.kinds.get_key_value(name.as_str()) else {
            // The claim asks for known names only.
            tracing::error!(job = %name, %id, "claimed a job of unknown name");
            return Outcome::Unknown;
        };
        let scope = (kind.scope)(claimed.organization);
        let began = Instant::now();
        let span = tracing::info_span!(
            target: "otel",
            "job",
            otel.kind = "consumer",
            otel.name = *name,
            otel.status = tracing::field::Empty,
            entrepot.job.name = *name,
            entrepot.job.attempt = attempt,
            entrepot.job.outcome = tracing::field::Empty,
        );
        let ended = if attempt > kind.retry.attempts() {
            // The last attempt was begun, and its runner was not there to see the end of it.
            Err(Failure::Permanent("the lease of the last attempt ran out".into()))
        } else {
            let last_attempt = attempt == kind.retry.attempts();
            let run = Run { id, scope: scope.clone(), attempt, last_attempt, lease: Arc::clone(&lease) };
            let run = (kind.run)(claimed.payload, self.context.clone(), run).instrument(span.clone());
            tokio::select! {
                ended = tokio::time::timeout(kind.timeout, AssertUnwindSafe(run).catch_unwind()) => match ended {
                    Ok(Ok(ended)) => ended,
                    // The panic hook has told where; its message may hold a value.
                    Ok(Err(_panic)) => Err(Failure::Transient("the job panicked".into())),
                    Err(_elapsed) => Err(Failure::Transient("the attempt took too long".into())),
                },
                () = lease.lost.notified() => Err(Failure::LeaseLost),
                () = self.stays_without_database() => Err(Failure::Transient("the database stopped answering".into())),
            }
        };
        let outcome = match ended {
            Ok(Done { .. }) => Outcome::Completed,
            Err(failure) => self.fail(name, kind, &scope, &lease, attempt, failure).await,
        };
        span.record("entrepot.job.outcome", outcome.as_str());
        if !matches!(outcome, Outcome::Completed | Outcome::Throttled | Outcome::Superseded) {
            span.record("otel.status", "error");
        }
        metrics::attempted(name, outcome, began.elapsed());
        outcome
    }

    async fn fail(
        &self,
        name: &'static str,
        kind: &Kind<C>,
        scope: &TenantScope,
        lease: &Lease,
        attempt: u32,
        failure: Failure,
    ) -> Outcome {
        let id = lease.id;
        let organization = lease.organization;
        let now = self.clock.now();
        let (outcome, state, due_at, attempts) = match &failure {
            Failure::LeaseLost => {
                tracing::warn!(job = name, %id, %organization, attempt, "the lease of a job was lost");
                return Outcome::LeaseLost;
            }
            Failure::Throttled { until, .. } => {
                let until = (*until).max(now + Duration::from_secs(1));
                (Outcome::Throttled, State::Throttled, until, attempt.saturating_sub(1))
            }
            Failure::Transient(_) => match kind.retry.delay_after(attempt) {
                Some(delay) => (Outcome::Retrying, State::Retrying, now + delay, attempt),
                None => (Outcome::Dead, State::Dead, now, attempt),
            },
            Failure::Permanent(_) => (Outcome::Dead, State::Dead, now, attempt),
        };
        match outcome {
            Outcome::Dead => {
                tracing::error!(job = name, %id, %organization, attempt, error = %failure, "a job is dead");
                (self.on_dead)(name, organization, &failure);
            }
            _ => {
                tracing::info!(job = name, %id, %organization, attempt, error = %failure, %due_at, "a job will be tried again")
            }
        }
        let settled = Settled { state, due_at, attempts, error: &failure.to_string() };
        match self.settle(scope, lease, &settled).await {
            Ok(true) => outcome,
            Ok(false) => {
                tracing::warn!(job = name, %id, %organization, attempt, "a job failed after its lease was lost");
                Outcome::LeaseLost
            }
            Err(DbError::Constraint { constraint }) if constraint == store::DEDUPE => {
                self.supersede(name, scope, lease).await
            }
            Err(error) => {
                tracing::warn!(job = name, %id, %organization, %error, "the failure of a job could not be noted");
                Outcome::Unknown
            }
        }
    }

    /// Ends a while after the database fell silent: an attempt that waits for its answer then would do so for as long as TCP
    /// tries, and one that does something else meanwhile may still be done with it.
    async fn stays_without_database(&self) {
        self.db.falls_silent().await;
        tokio::time::sleep(AFTER_SILENCE).await;
    }

    /// A database that is away is waited for, for as long as a lease lasts: otherwise the job would lie until its lease ends.
    async fn settle(&self, scope: &TenantScope, lease: &Lease, settled: &Settled<'_>) -> Result<bool, DbError> {
        let until = Instant::now() + self.limits.lease;
        loop {
            let noted = self.db.unless_away(async {
                let mut tx = self.db.tenant(scope).await?;
                let held = store::settle(&mut tx, lease.id, lease.token, settled).await?;
                tx.commit().await?;
                Ok(held)
            });
            match noted.await {
                Err(DbError::Unavailable) if Instant::now() < until => tokio::time::sleep(SETTLE_AGAIN).await,
                noted => return noted,
            }
        }
    }

    /// The job cannot wait for its next attempt, because one with the same dedupe key was enqueued while it ran. That one
    /// is the next attempt.
    async fn supersede(&self, name: &'static str, scope: &TenantScope, lease: &Lease) -> Outcome {
        let removed = async {
            let mut tx = self.db.tenant(scope).await?;
            let held = store::complete(&mut tx, lease.id, lease.token).await?;
            tx.commit().await?;
            Ok::<_, DbError>(held)
        };
        match self.db.unless_away(removed).await {
            Ok(true) => Outcome::Superseded,
            Ok(false) => Outcome::LeaseLost,
            Err(error) => {
                tracing::warn!(job = name, id = %lease.id, %error, "a failed job could not make way for its successor");
                Outcome::Unknown
            }
        }
    }
}
