//! Plans: what an organization may use, what it uses, and what becomes of what exceeds it (`docs/plans.md`).
//!
//! The table is [`kernel::plan`]. Whoever makes something that is limited holds the organization's places first ([`hold`]), counts, and
//! asks [`take_place`], all in the transaction that makes it. What is limited by the day is counted by [`DailyUsage`].
//! A plan is changed by the clock and by the operator, as the system login: no scope of an organization can.

pub mod api;
mod daily;
pub mod jobs;
mod model;
pub mod operator;
pub(crate) mod store;

use async_trait::async_trait;
use chrono::Duration;
use db::{DbError, SystemTask, SystemTx, TenantTx};
use kernel::{Actor, Limit, OrganizationId, Standing, Subscription, SubscriptionStatus, Time, plan::ReadOnly};
use kit::{
    App, Problem, mail,
    retention::BATCH,
    trail::{self, Change, Event},
};
use serde_json::json;

use crate::{
    letters,
    notifications::{self, Kind, Notice},
};

pub use daily::DailyUsage;
pub use model::{StoredSubscription, describe};
pub(crate) use model::{of_columns, parse};

/// How long before the end of a trial its owners are told.
const REMINDED: Duration = Duration::days(3);

/// What of an organization a crate above pauses when the plan allows less, and lets go on when it allows more. Newest first is
/// paused; the oldest goes on.
#[async_trait]
pub trait PauseBeyondPlan: Send + Sync {
    /// In the transaction of the job that does it, with the organization's places held.
    ///
    /// # Errors
    /// When the database refuses or is gone.
    async fn apply(&self, app: &App, tx: &mut TenantTx, subscription: &Subscription) -> Result<(), Problem>;
}

/// Everything that is paused beyond a plan, as the program is assembled.
#[derive(Clone, Copy)]
pub struct Paused(pub &'static [&'static dyn PauseBeyondPlan]);

/// Seats beyond the plan: nobody loses theirs, and the newest can read and not change. Owners come first.
pub struct Seats;

#[async_trait]
impl PauseBeyondPlan for Seats {
    async fn apply(&self, app: &App, tx: &mut TenantTx, subscription: &Subscription) -> Result<(), Problem> {
        let allowed = i64::try_from(subscription.limit(Limit::Members)).unwrap_or(i64::MAX);
        for seat in store::pause_seats(tx, allowed, app.clock.now()).await? {
            let event = match seat.is_paused {
                true => Event::warning(
                    "member.paused_by_plan",
                    "A seat is beyond what the plan allows: its member can read, and change nothing.",
                ),
                false => Event::info("member.resumed_by_plan", "The plan allows a seat again that was paused."),
            };
            trail::event(tx, &app.clock, event.with(json!({ "member_id": seat.id }))).await?;
        }
        Ok(())
    }
}

/// What the organization of the transaction has subscribed to at this moment.
///
/// # Errors
/// [`kit::Code::NotFound`] when it was deleted; when the database refuses or is gone.
pub async fn subscription(tx: &mut TenantTx, now: Time) -> Result<Subscription, Problem> {
    let organization = tx.organization();
    let row = store::subscription(tx.conn(), organization).await?.ok_or_else(Problem::not_found)?;
    Ok(parse(row)?.at(now))
}

/// Holds the places of the organization until the transaction ends, so that of two who take the last one at once, on whichever
/// nodes, the second counts what the first has taken.
///
/// # Errors
/// As [`subscription`].
pub async fn hold(tx: &mut TenantTx, now: Time) -> Result<Subscription, Problem> {
    let organization = tx.organization();
    store::hold_places(tx.conn(), organization).await?;
    subscription(tx, now).await
}

/// The same for somebody who is in no organization yet.
pub(crate) async fn hold_as_system(
    tx: &mut SystemTx,
    organization: OrganizationId,
    now: Time,
) -> Result<Subscription, Problem> {
    store::hold_places(tx.conn(), organization).await?;
    let row = store::subscription(tx.conn(), organization).await?.ok_or_else(Problem::not_found)?;
    Ok(parse(row)?.at(now))
}

/// Refuses what would be one more than the plan allows. `used` is counted under [`hold`]; `of` is what is counted apart, such as a
/// provider.
///
/// # Errors
/// [`kit::Code::PlanLimitReached`], with what lifts it.
pub fn take_place(
    subscription: &Subscription,
    limit: Limit,
    of: Option<&str>,
    used: u64,
    now: Time,
) -> Result<(), Problem> {
    if used < subscription.limit(limit) {
        return Ok(());
    }
    Err(model::limit_reached(subscription, limit, of, used, now))
}

/// Refuses a seat that the plan has no place for, and any in an organization that is read-only.
pub(crate) async fn take_seat(
    conn: &mut db::PgConnection,
    organization: OrganizationId,
    subscription: &Subscription,
    now: Time,
) -> Result<(), Problem> {
    if let Standing::ReadOnly(why @ ReadOnly::Organization(_)) = subscription.status.standing(false) {
        return Err(kernel::scope::Refused::ReadOnly(why).into());
    }
    let seats = store::count_seats(conn, organization, now).await?;
    take_place(subscription, Limit::Members, None, seats, now)
}

/// What is decided of the next plan of an organization.
pub struct Decided {
    pub next: Subscription,
    /// The word in the audit trail: `plan.set`, `plan.end`.
    action: &'static str,
    event: Event,
    notice: Notice,
}

/// Writes a plan, tells of it, and has what exceeds it paused, and what no longer does go on: in one transaction, and on
/// every node within a second.
async fn write(
    tx: &mut SystemTx,
    clock: &kernel::Clock,
    organization: OrganizationId,
    actor: Actor,
    before: &Subscription,
    decided: Decided,
) -> Result<(), Problem> {
    let now = clock.now();
    store::set_subscription(tx.conn(), organization, &decided.next, before.status != decided.next.status, now).await?;
    let change = Change {
        action: decided.action,
        resource: "organization",
        resource_id: Some(organization.uuid()),
        before: Some(describe(before)),
        after: Some(describe(&decided.next)),
    };
    trail::joined(tx, clock, organization, actor, change, decided.event).await?;
    let owners = notifications::owners(tx.conn(), organization).await?;
    notifications::tell_as_system(tx, clock, organization, &notifications::ids(&owners), &decided.notice).await?;
    Ok(::jobs::enqueue_as_system(tx, clock, organization, &jobs::ApplyPlan {}).await?)
}

/// Does what the clock asks for: a trial or a plan that is over becomes free, and the owners are told, as they are three days
/// before the end of a trial. Doing it again changes nothing.
///
/// # Errors
/// When the database refuses or is gone.
pub(crate) async fn keep_time(app: &App, organization: OrganizationId, actor: Actor) -> Result<(), Problem> {
    let now = app.clock.now();
    let mut tx = app.db.system(SystemTask::Plans).await?;
    let Some(row) = store::lock_subscription(tx.conn(), organization).await? else { return Ok(()) };
    let (name, is_reminded) = (row.name.clone(), row.is_reminded);
    let stored = parse(row)?;
    let current = stored.clone().at(now);
    if current != stored {
        let was_trial = stored.status == SubscriptionStatus::Trial;
        let decided = Decided {
            next: current,
            action: "plan.end",
            event: Event::warning(
                if was_trial { "plan.trial_ended" } else { "plan.ended" },
                "The plan is free from now on. What exceeds it stays readable and is paused, the newest first.",
            ),
            notice: Notice::of(if was_trial { Kind::TrialEnded } else { Kind::PlanEnded }),
        };
        write(&mut tx, &app.clock, organization, actor, &stored, decided).await?;
        let letter = |person: &str| letters::plan_ended(app, person, &name, was_trial);
        mail_owners(&mut tx, app, organization, letter).await?;
        return Ok(tx.commit().await?);
    }
    let ends_soon = stored.ends_at.filter(|end| stored.status == SubscriptionStatus::Trial && now >= *end - REMINDED);
    if let Some(end) = ends_soon.filter(|_| !is_reminded) {
        store::note_reminder(tx.conn(), organization, now).await?;
        let notice = Notice::of(Kind::TrialEnding).with(json!({ "ends_at": end }));
        let owners = notifications::owners(tx.conn(), organization).await?;
        let told = notifications::ids(&owners);
        notifications::tell_as_system(&mut tx, &app.clock, organization, &told, &notice).await?;
        let letter = |person: &str| letters::trial_ending(app, person, &name, end);
        mail_owners(&mut tx, app, organization, letter).await?;
        tx.commit().await?;
    }
    Ok(())
}

async fn mail_owners(
    tx: &mut SystemTx,
    app: &App,
    organization: OrganizationId,
    letter: impl Fn(&str) -> mail::Letter,
) -> Result<(), Problem> {
    for owner in notifications::owners(tx.conn(), organization).await?.iter().filter(|owner| owner.is_verified) {
        mail::write_as_system(tx, app, organization, &owner.email, &letter(&owner.name), mail::NOTICE_LIVES).await?;
    }
    Ok(())
}

/// Removes what was used of days before then, a batch of it. How many counters there were.
///
/// # Errors
/// When the database refuses or is gone.
pub async fn purge(tx: &mut SystemTx, before: Time) -> Result<u64, DbError> {
    store::purge(tx, before.date_naive(), BATCH).await
}
