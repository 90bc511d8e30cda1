//! A subscription as it is stored, and the words of a limit that is reached.

use chrono::{Days, NaiveTime, SecondsFormat};
use kernel::{Limit, Subscription, SubscriptionStatus, Time, plan::Contract};
use kit::{Code, Problem};
use serde_json::{Value, json};

/// The columns of `organizations`.
pub struct StoredSubscription {
    pub name: String,
    pub status: String,
    pub plan: String,
    pub limits: Value,
    pub trial_ends_at: Option<Time>,
    pub plan_ends_at: Option<Time>,
    pub status_since: Time,
    pub is_reminded: bool,
}

pub(crate) fn parse(row: StoredSubscription) -> Result<Subscription, Problem> {
    of_columns(&row.plan, &row.status, row.limits, row.trial_ends_at, row.plan_ends_at, row.status_since)
}

/// The same for whoever reads the columns with others.
pub(crate) fn of_columns(
    plan: &str,
    status: &str,
    limits: Value,
    trial_ends_at: Option<Time>,
    plan_ends_at: Option<Time>,
    status_since: Time,
) -> Result<Subscription, Problem> {
    let status: SubscriptionStatus = status.parse().map_err(|error| Problem::internal(&error))?;
    let contract: Contract = serde_json::from_value(limits).map_err(|error| Problem::internal(&error))?;
    Ok(Subscription {
        plan: plan.parse().map_err(|error| Problem::internal(&error))?,
        status,
        contract,
        ends_at: if status == SubscriptionStatus::Trial { trial_ends_at } else { plan_ends_at },
        status_since,
    })
}

/// For the audit trail and the operator.
pub fn describe(subscription: &Subscription) -> Value {
    let Subscription { plan, status, contract, ends_at, .. } = subscription;
    json!({ "plan": plan, "status": status, "limits": contract, "ends_at": ends_at })
}

/// When what is counted by the day begins anew: at the next midnight of UTC.
pub(super) fn next_day(now: Time) -> Time {
    let tomorrow = now.date_naive().checked_add_days(Days::new(1)).unwrap_or(now.date_naive());
    tomorrow.and_time(NaiveTime::MIN).and_utc()
}

/// A limit that is reached: what, how much of it, and what lifts it.
pub(super) fn limit_reached(
    subscription: &Subscription,
    limit: Limit,
    of: Option<&str>,
    used: u64,
    now: Time,
) -> Problem {
    metrics::counter!("entrepot_plan_limit_refusals_total", "limit" => limit.as_str()).increment(1);
    let (plan, allowed) = (subscription.plan, subscription.limit(limit));
    let resets_at = limit.is_daily().then(|| next_day(now));
    let of_what = of.map(|of| format!(" ({of})")).unwrap_or_default();
    let mut detail = format!("The {plan} plan allows {allowed} {}{of_what}, and {used} are in use. ", limit.label());
    detail.push_str(match limit {
        Limit::Members => "Remove a member or take an invitation back",
        Limit::ConnectionsPerProvider => "Disconnect one",
        Limit::ApiKeysPerUser => "Revoke one that you no longer use",
        Limit::LiveReadsPerDay | Limit::ReceiptsPerDay => "They are counted anew from midnight, UTC",
        Limit::ProductsKept | Limit::SyncIntervalMinutes | Limit::Workflows | Limit::Bots => "Take one away",
    });
    if let Some(resets_at) = resets_at {
        detail.push_str(&format!(" ({})", resets_at.to_rfc3339_opts(SecondsFormat::Secs, true)));
    }
    let lifted_by = plan.with_more(limit);
    detail.push_str(&match lifted_by {
        Some(larger) => format!(", or ask your operator for the {larger} plan."),
        None => ".".to_owned(),
    });
    let lifted_by = lifted_by.map(|larger| json!({ "plan": larger, "allowed": larger.limit(limit) }));
    Problem::new(Code::PlanLimitReached, detail)
        .with("limit", limit.as_str())
        .with("of", of)
        .with("allowed", allowed)
        .with("used", used)
        .with("plan", plan.as_str())
        .with("resets_at", json!(resets_at))
        .with("lifted_by", json!(lifted_by))
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use kernel::Plan;

    use super::*;

    fn at(text: &str) -> Time {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

    #[test]
    fn a_day_begins_anew_at_midnight_of_utc() {
        assert_eq!(next_day(at("2027-01-15T00:00:00Z")), at("2027-01-16T00:00:00Z"));
        assert_eq!(next_day(at("2026-12-31T23:59:59.999999Z")), at("2027-01-01T00:00:00Z"));
    }

    #[test]
    fn a_limit_that_is_reached_says_how_much_until_when_and_what_lifts_it() {
        let now = at("2026-11-20T10:00:00Z");
        let subscription = Subscription {
            plan: Plan::Free,
            status: SubscriptionStatus::Active,
            contract: Contract::default(),
            ends_at: None,
            status_since: now,
        };
        let body = limit_reached(&subscription, Limit::LiveReadsPerDay, None, 5_000, now).into_body();
        assert_eq!(body.status, 402);
        assert!(body.detail.contains("5000") && body.detail.contains("starter"), "{}", body.detail);
        assert_eq!(body.extra["resets_at"], json!("2026-11-21T00:00:00Z"));
        assert_eq!(body.extra["lifted_by"], json!({ "plan": "starter", "allowed": 50_000 }));
        // Where no plan allows more, none is offered.
        let body = limit_reached(&subscription, Limit::ApiKeysPerUser, None, 10, now).into_body();
        assert!(!body.detail.contains("operator"), "{}", body.detail);
        assert_eq!((&body.extra["lifted_by"], &body.extra["resets_at"]), (&Value::Null, &Value::Null));
    }
}
