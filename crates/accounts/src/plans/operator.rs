//! What the operator does about plans, on the command line.

use db::{Db, SystemTask};
use kernel::{Actor, Clock, Limit, OrganizationId, Plan, Subscription, SubscriptionStatus, Time};
use kit::{Code, Problem, trail::Event};
use serde_json::json;

use super::{Decided, model, parse, store, write};
use crate::notifications::{Kind, Notice};

pub use store::ListedOrganization;

/// Who it was, in the trail.
const OPERATOR: Actor = Actor::System { task: "operator" };
/// Organizations that are read at a time.
const PAGE: i64 = 500;

/// What to make of a plan; what is left out stays.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Another plan drops what was agreed for the one before.
    pub plan: Option<Plan>,
    /// Without it, another plan is active.
    pub status: Option<SubscriptionStatus>,
    /// Numbers in place of the plan's; None takes one back.
    pub limits: Vec<(Limit, Option<u64>)>,
    /// When it ends; Some(None): it goes on.
    pub ends_at: Option<Option<Time>>,
}

impl Wanted {
    fn of(self, before: &Subscription) -> Subscription {
        let mut next = before.clone();
        if let Some(plan) = self.plan {
            (next.plan, next.status, next.ends_at) = (plan, SubscriptionStatus::Active, None);
            next.contract.0.clear();
        }
        if let Some(status) = self.status {
            // The end of a trial is not the end of what comes after it.
            if (status == SubscriptionStatus::Trial) != (next.status == SubscriptionStatus::Trial) {
                next.ends_at = None;
            }
            next.status = status;
        }
        for (limit, number) in self.limits {
            match number {
                Some(number) => next.contract.0.insert(limit, number),
                None => next.contract.0.remove(&limit),
            };
        }
        next.ends_at = self.ends_at.unwrap_or(next.ends_at);
        next
    }
}

/// The organization that an id or a slug names.
///
/// # Errors
/// [`Code::NotFound`]; when the database is gone.
pub async fn find(db: &Db, name: &str) -> Result<OrganizationId, Problem> {
    if let Ok(id) = name.parse() {
        return Ok(id);
    }
    let mut tx = db.system(SystemTask::Plans).await?;
    let id = store::organization_by_slug(&mut tx, name).await?;
    tx.rollback().await?;
    id.map(OrganizationId::from).ok_or_else(Problem::not_found)
}

/// The plan of an organization at this moment.
///
/// # Errors
/// [`Code::NotFound`]; when the database is gone.
pub async fn show(db: &Db, clock: &Clock, organization: OrganizationId) -> Result<Subscription, Problem> {
    let mut tx = db.system(SystemTask::Plans).await?;
    let row = store::subscription(tx.conn(), organization).await?.ok_or_else(Problem::not_found)?;
    tx.rollback().await?;
    Ok(parse(row)?.at(clock.now()))
}

/// Sets the plan of an organization: on every node within a second. Setting what is set changes nothing.
///
/// # Errors
/// [`Code::NotFound`]; [`Code::InvalidRequest`] for a trial without an end, or an end that is over.
pub async fn set(
    db: &Db,
    clock: &Clock,
    organization: OrganizationId,
    wanted: Wanted,
) -> Result<Subscription, Problem> {
    let now = clock.now();
    let mut tx = db.system(SystemTask::Plans).await?;
    let row = store::lock_subscription(tx.conn(), organization).await?.ok_or_else(Problem::not_found)?;
    let stored = parse(row)?;
    let before = stored.clone().at(now);
    let mut next = wanted.of(&before);
    if next.status == SubscriptionStatus::Trial && next.ends_at.is_none() {
        return Err(Problem::new(Code::InvalidRequest, "A trial ends: say when, with --until."));
    }
    if next.ends_at.is_some_and(|end| end <= now) {
        return Err(Problem::new(Code::InvalidRequest, "The end of the plan is over already."));
    }
    if next == stored {
        return Ok(next);
    }
    if next.status != before.status {
        next.status_since = now;
    }
    let (plan, status) = (next.plan, next.status);
    let decided = Decided {
        action: "plan.set",
        event: Event::info("plan.changed", format!("The operator has set the plan: {plan}, {status}."))
            .with(model::describe(&next)),
        notice: Notice::of(Kind::PlanChanged).with(json!({ "plan": plan, "status": status })),
        next,
    };
    write(&mut tx, clock, organization, OPERATOR, &stored, decided).await?;
    let row = store::subscription(tx.conn(), organization).await?.ok_or_else(Problem::not_found)?;
    tx.commit().await?;
    parse(row)
}

/// All organizations with their plans as they are now, handed over one by one.
///
/// # Errors
/// When the database is gone.
pub async fn list(
    db: &Db,
    clock: &Clock,
    mut tell: impl FnMut(&ListedOrganization, &Subscription),
) -> Result<(), Problem> {
    let now = clock.now();
    let mut after = None;
    loop {
        let mut tx = db.system(SystemTask::Plans).await?;
        let page = store::organizations(&mut tx, after, now.date_naive(), PAGE).await?;
        tx.rollback().await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.id.uuid());
        for row in &page {
            let subscription = model::of_columns(
                &row.plan,
                &row.status,
                row.limits.clone(),
                row.trial_ends_at,
                row.plan_ends_at,
                row.status_since,
            )?;
            tell(row, &subscription.at(now));
        }
    }
}
