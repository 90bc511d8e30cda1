use chrono::TimeDelta;
use kernel::{
    Action, ConnectionId, Effect, Grant, PermissionSet, Resource, Rights, Role, Time, permission::is_at_connections,
};
use proptest::prelude::*;
use uuid::Uuid;

use crate::start;

/// So few that grants and denials meet. None of the grants names the last.
const CONNECTIONS: u128 = 3;

fn connection(number: u128) -> ConnectionId {
    Uuid::from_u128(number).into()
}

/// What `Rights` is to come to, said of one permission in general or at one connection.
fn may(role: Role, grants: &[Grant], now: Time, wanted: (Resource, Action), at: Option<ConnectionId>) -> bool {
    let is = |effect, (resource, action), at| {
        let holds = |grant: &&Grant| grant.ends_at.is_none_or(|end| now < end);
        let names = |grant: &Grant| (grant.effect, grant.resource, grant.action, grant.connection);
        grants.iter().filter(holds).any(|grant| names(grant) == (effect, resource, action, at))
    };
    let is_hidden = at.is_some() && is(Effect::Deny, (Resource::Connections, Action::Read), at);
    let is_denied = is(Effect::Deny, wanted, None) || is(Effect::Deny, wanted, at) || is_hidden;
    let is_given = role.permissions().contains(wanted.0, wanted.1);
    let is_allowed = is_given || is(Effect::Allow, wanted, None) || is(Effect::Allow, wanted, at);
    is_allowed && (role == Role::Owner || !is_denied)
}

fn grant() -> impl Strategy<Value = Grant> {
    let effect = prop::sample::select(Effect::ALL);
    let permission = (prop::sample::select(Resource::ALL), prop::sample::select(&[Action::Read, Action::Update][..]));
    (effect, permission, 0..=CONNECTIONS, prop::option::of(-3i64..4)).prop_map(
        |(effect, (resource, action), at, end)| {
            let at = (at < CONNECTIONS && is_at_connections(resource, action)).then(|| connection(at));
            Grant { effect, resource, action, connection: at, ends_at: end.map(|end| start() + TimeDelta::hours(end)) }
        },
    )
}

fn pairs() -> impl Iterator<Item = (Resource, Action)> {
    Resource::ALL.iter().flat_map(|resource| Action::ALL.iter().map(|action| (*resource, *action)))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn rights_are_what_the_rule_says(
        role in prop::sample::select(Role::ALL),
        grants in prop::collection::vec(grant(), 0..24),
        hours in -4i64..5,
    ) {
        let now = start() + TimeDelta::hours(hours);
        let rights = Rights::of(role, &grants, now);
        for pair @ (resource, action) in pairs() {
            prop_assert_eq!(rights.everywhere().contains(resource, action), may(role, &grants, now, pair, None));
            if !is_at_connections(resource, action) {
                continue;
            }
            let reach = rights.reach(resource, action);
            let mut somewhere = false;
            for at in (0..=CONNECTIONS).map(connection) {
                let expected = may(role, &grants, now, pair, Some(at));
                prop_assert_eq!(rights.at(at).contains(resource, action), expected, "{}:{} at {}", resource, action, at);
                let is_reached = reach.only.as_ref().is_none_or(|only| only.contains(&at)) && !reach.except.contains(&at);
                prop_assert_eq!(is_reached, expected, "a list of those with {}:{}", resource, action);
                somewhere |= expected;
            }
            prop_assert_eq!(rights.somewhere(resource, action), somewhere);
        }
    }

    /// Whoever gives a role, or a permission in general, must have it at every connection.
    #[test]
    fn what_is_covered_is_held_everywhere(
        role in prop::sample::select(Role::ALL),
        grants in prop::collection::vec(grant(), 0..12),
        wanted in prop::sample::select(Role::ALL),
    ) {
        let rights = Rights::of(role, &grants, start());
        let held = wanted.permissions().iter().all(|pair| {
            let everywhere = may(role, &grants, start(), pair, None);
            let at = |number| !is_at_connections(pair.0, pair.1) || may(role, &grants, start(), pair, Some(connection(number)));
            everywhere && (0..=CONNECTIONS).all(at)
        });
        prop_assert_eq!(rights.cover(wanted.permissions()), held);
    }

    #[test]
    fn a_key_may_do_what_its_creator_may_within_its_scopes_and_stores(
        role in prop::sample::select(Role::ALL),
        grants in prop::collection::vec(grant(), 0..24),
        scopes in prop::collection::vec(prop::sample::select(pairs().collect::<Vec<_>>()), 0..8),
        stores in prop::option::of(prop::collection::vec(0..=CONNECTIONS, 1..3)),
    ) {
        let scopes: PermissionSet = scopes.into_iter().collect();
        let stores = stores.map(|stores| stores.into_iter().map(connection).collect::<Vec<_>>());
        let creators = Rights::of(role, &grants, start());
        let key = creators.clone().limited_to(scopes, stores.as_deref());
        for (resource, action) in pairs().filter(|pair| is_at_connections(pair.0, pair.1)) {
            for at in (0..=CONNECTIONS).map(connection) {
                let is_within = stores.as_ref().is_none_or(|stores| stores.contains(&at));
                let expected = is_within && scopes.contains(resource, action) && creators.at(at).contains(resource, action);
                prop_assert_eq!(key.at(at).contains(resource, action), expected);
                prop_assert_eq!(key.is_hidden(at), !is_within || creators.is_hidden(at));
                let reach = key.reach(resource, action);
                let is_reached = reach.only.as_ref().is_none_or(|only| only.contains(&at)) && !reach.except.contains(&at);
                prop_assert_eq!(is_reached, expected);
            }
        }
    }
}

fn deny(resource: Resource, action: Action, at: Option<ConnectionId>) -> Grant {
    Grant { effect: Effect::Deny, resource, action, connection: at, ends_at: None }
}

#[test]
fn nothing_is_denied_to_an_owner() {
    let grants: Vec<Grant> = pairs().map(|(resource, action)| deny(resource, action, None)).collect();
    assert_eq!(Rights::of(Role::Owner, &grants, start()).everywhere(), Role::Owner.permissions());
    assert_eq!(Rights::of(Role::Administrator, &grants, start()).everywhere(), PermissionSet::EMPTY);
}

#[test]
fn a_connection_that_is_hidden_is_no_exception_that_they_are_told_of() {
    let (hidden, lesser) = (connection(0), connection(1));
    let grants = [
        deny(Resource::Connections, Action::Read, Some(hidden)),
        deny(Resource::Orders, Action::Read, Some(lesser)),
        deny(Resource::Orders, Action::Update, Some(connection(2))),
    ];
    let rights = Rights::of(Role::Manager, &grants, start());
    assert_eq!(rights.hidden().collect::<Vec<_>>(), [hidden]);
    let lesser_may = Role::Manager.permissions().without(Resource::Orders, Action::Read);
    assert_eq!(rights.exceptions().collect::<Vec<_>>(), [(lesser, lesser_may)]);
}
