//! What the clock and a changed plan ask for, and what owners are told of a limit.

use ::jobs::{Done, Failure, Job, Run};
use chrono::NaiveDate;
use kernel::{Action, Limit, Resource};
use kit::{
    App, Problem, mail,
    trail::{self, Event},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Paused;
use crate::{
    letters,
    notifications::{self, Kind, Notice},
};

/// Ends a trial or a plan that is over, reminds of one that will be, and pauses what exceeds the plan; what no longer does
/// goes on. Daily, and with each change of a plan. Doing it again changes nothing.
#[derive(Default, Serialize, Deserialize)]
pub struct ApplyPlan {}

impl Job for ApplyPlan {
    const NAME: &'static str = "apply_plan";
    const PERMISSIONS: &'static [(Resource, Action)] =
        &[(Resource::Members, Action::Update), (Resource::Connections, Action::Update)];
    type Context = App;

    fn dedupe_key(&self) -> Option<String> {
        Some("plan".to_owned())
    }

    async fn run(self, app: App, run: Run) -> Result<Done, Failure> {
        super::keep_time(&app, run.scope.organization(), run.scope.actor()).await.map_err(failure)?;
        let mut tx = app.db.tenant(&run.scope).await?;
        let subscription = super::hold(&mut tx, app.clock.now()).await;
        let subscription = match subscription {
            Ok(subscription) => subscription,
            // Deleted meanwhile: there is nothing to pause.
            Err(problem) if problem.code() == kit::Code::NotFound => return run.complete(tx).await,
            Err(problem) => return Err(failure(problem)),
        };
        for paused in app.slice::<Paused>().0 {
            paused.apply(&app, &mut tx, &subscription).await.map_err(failure)?;
        }
        run.complete(tx).await
    }
}

fn failure(problem: Problem) -> Failure {
    Failure::Transient(problem.code().as_str().into())
}

/// Tells the owners once a day that a daily limit is nearly used up, and once that it is.
#[derive(Serialize, Deserialize)]
pub struct TellOfLimit {
    pub limit: Limit,
    pub is_reached: bool,
    pub day: NaiveDate,
    pub used: u64,
    pub allowed: u64,
}

impl Job for TellOfLimit {
    const NAME: &'static str = "tell_of_limit";
    const PERMISSIONS: &'static [(Resource, Action)] = &[];
    type Context = App;

    fn dedupe_key(&self) -> Option<String> {
        let word = if self.is_reached { "reached" } else { "near" };
        Some(format!("{}:{word}:{}", self.limit, self.day))
    }

    async fn run(self, app: App, run: Run) -> Result<Done, Failure> {
        let mut tx = app.db.tenant(&run.scope).await?;
        let kind = if self.is_reached { Kind::LimitReached } else { Kind::LimitNear };
        let params =
            json!({ "limit": self.limit.label(), "used": self.used, "allowed": self.allowed, "day": self.day });
        let mut notice = Notice::of(kind).with(params);
        notice.dedupe_key = self.dedupe_key();
        let organization = run.scope.organization();
        let owners = notifications::owners(tx.conn(), organization).await?;
        let told = notifications::tell(&mut tx, &app.clock, &notifications::ids(&owners), &notice).await?;
        let is_new = !told.is_empty();
        for owner in owners.iter().filter(|owner| owner.is_verified && told.contains(&owner.user_id)) {
            let letter = letters::limit(&app, &owner.name, &owner.organization_name, &self);
            mail::write(&mut tx, &app, &owner.email, &letter, mail::NOTICE_LIVES).await?;
        }
        if is_new {
            let (limit, allowed) = (self.limit.label(), self.allowed);
            let event = match self.is_reached {
                true => Event::warning("plan.limit_reached", format!("The {allowed} {limit} are used up.")),
                false => Event::warning("plan.limit_near", format!("80 % of {allowed} {limit} are used.")),
            };
            trail::event(&mut tx, &app.clock, event.with(json!({ "limit": self.limit, "used": self.used }))).await?;
        }
        run.complete(tx).await
    }
}
