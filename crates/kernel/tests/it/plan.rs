use chrono::Duration;
use kernel::{
    Limit, Plan, Standing, Subscription, SubscriptionStatus,
    plan::{Contract, ReadOnly},
};

use crate::start;

fn subscription(plan: Plan, status: SubscriptionStatus) -> Subscription {
    Subscription { plan, status, contract: Contract::default(), ends_at: None, status_since: start() }
}

#[test]
fn a_larger_plan_allows_no_less_of_anything() {
    for limit in Limit::ALL {
        let row: Vec<Option<u64>> = Plan::ALL.iter().map(|plan| plan.limit(*limit)).collect();
        for pair in row.windows(2) {
            let (Some(smaller), Some(larger)) = (pair[0], pair[1]) else {
                assert_eq!(pair[1], None, "{limit}: what is by contract is the last");
                continue;
            };
            match limit {
                Limit::SyncIntervalMinutes => assert!(larger < smaller, "{limit}"),
                _ => assert!(larger >= smaller, "{limit}"),
            }
        }
    }
}

#[test]
fn a_contract_counts_in_place_of_the_table_and_what_it_does_not_name_is_professional() {
    let mut agreed = subscription(Plan::Enterprise, SubscriptionStatus::Active);
    assert_eq!(agreed.limit(Limit::Members), 50);
    assert_eq!(agreed.limit(Limit::SyncIntervalMinutes), 1, "the table's own number");
    agreed.contract.0.insert(Limit::Members, 400);
    assert_eq!((agreed.limit(Limit::Members), agreed.limit(Limit::Bots)), (400, 20));
}

#[test]
fn what_lifts_a_limit_is_the_next_plan_with_more() {
    assert_eq!(Plan::Free.with_more(Limit::Members), Some(Plan::Starter));
    assert_eq!(Plan::Professional.with_more(Limit::Members), Some(Plan::Enterprise));
    assert_eq!(Plan::Enterprise.with_more(Limit::Members), None);
    assert_eq!(Plan::Free.with_more(Limit::ApiKeysPerUser), None, "all plans have the same");
}

#[test]
fn a_trial_is_over_at_its_end_to_the_microsecond() {
    let end = start() + Duration::days(14);
    let trial = Subscription { ends_at: Some(end), ..subscription(Plan::Professional, SubscriptionStatus::Trial) };
    let before = trial.clone().at(end - Duration::microseconds(1));
    assert_eq!((before.plan, before.status), (Plan::Professional, SubscriptionStatus::Trial));
    let after = trial.at(end);
    assert_eq!((after.plan, after.status, after.status_since), (Plan::Free, SubscriptionStatus::Active, end));
    // What was switched off does not come to life because a date has passed.
    let cancelled =
        Subscription { ends_at: Some(end), ..subscription(Plan::Professional, SubscriptionStatus::Cancelled) };
    assert_eq!(cancelled.clone().at(end), cancelled);
}

#[test]
fn webhooks_of_a_read_only_organization_are_taken_for_thirty_days() {
    for status in [SubscriptionStatus::Inactive, SubscriptionStatus::Cancelled] {
        let ended = subscription(Plan::Starter, status);
        assert_eq!(status.standing(false), Standing::ReadOnly(ReadOnly::Organization(status)));
        assert!(ended.takes_webhooks(start() + Duration::days(30) - Duration::microseconds(1)));
        assert!(!ended.takes_webhooks(start() + Duration::days(30)));
    }
    let active = subscription(Plan::Free, SubscriptionStatus::Active);
    assert!(active.takes_webhooks(start() + Duration::days(1_000)));
    assert_eq!(active.status.standing(true), Standing::ReadOnly(ReadOnly::Seat));
}
