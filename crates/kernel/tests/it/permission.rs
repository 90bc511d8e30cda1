use std::collections::BTreeSet;

use kernel::{Action, PermissionSet, Resource, Role};
use proptest::prelude::*;

type Pairs = BTreeSet<(Resource, Action)>;

fn pairs() -> impl Strategy<Value = Pairs> {
    let pair = (prop::sample::select(Resource::ALL), prop::sample::select(Action::ALL));
    prop::collection::btree_set(pair, 0..Resource::ALL.len() * Action::ALL.len())
}

fn set(pairs: &Pairs) -> PermissionSet {
    pairs.iter().copied().collect()
}

fn every_pair() -> impl Iterator<Item = (Resource, Action)> {
    Resource::ALL.iter().flat_map(|resource| Action::ALL.iter().map(|action| (*resource, *action)))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_permission_set_is_the_set_of_its_pairs(pairs in pairs()) {
        let set = set(&pairs);
        prop_assert_eq!(set.iter().collect::<Pairs>(), pairs.clone());
        prop_assert_eq!(PermissionSet::of(&pairs.iter().copied().collect::<Vec<_>>()), set);
        for (resource, action) in every_pair() {
            prop_assert_eq!(set.contains(resource, action), pairs.contains(&(resource, action)));
        }
    }

    #[test]
    fn adding_and_taking_away_touch_one_pair(pairs in pairs(), resource in prop::sample::select(Resource::ALL), action in prop::sample::select(Action::ALL)) {
        let with = set(&pairs).with(resource, action);
        let without = set(&pairs).without(resource, action);
        let mut expected = pairs.clone();
        expected.insert((resource, action));
        prop_assert_eq!(with.iter().collect::<Pairs>(), expected.clone());
        expected.remove(&(resource, action));
        prop_assert_eq!(without.iter().collect::<Pairs>(), expected);
        prop_assert_eq!(with.without(resource, action), without);
    }

    #[test]
    fn an_intersection_holds_what_both_hold(one in pairs(), other in pairs()) {
        let both = set(&one).intersection(set(&other));
        prop_assert_eq!(both.iter().collect::<Pairs>(), one.intersection(&other).copied().collect::<Pairs>());
        prop_assert_eq!(both, set(&other).intersection(set(&one)));
        prop_assert_eq!(both.intersection(set(&one)), both);
        prop_assert_eq!(set(&one).intersection(PermissionSet::EMPTY), PermissionSet::EMPTY);
        let either = set(&one).union(set(&other));
        prop_assert_eq!(either.iter().collect::<Pairs>(), one.union(&other).copied().collect::<Pairs>());
        let rest = set(&one).difference(set(&other));
        prop_assert_eq!(rest.iter().collect::<Pairs>(), one.difference(&other).copied().collect::<Pairs>());
    }

    /// The text is what the policies search in: `,orders:read,` must be in it exactly when the set holds the pair.
    #[test]
    fn the_text_for_sql_says_exactly_what_the_set_holds(pairs in pairs()) {
        let text = set(&pairs).to_string();
        for (resource, action) in every_pair() {
            prop_assert_eq!(text.contains(&format!(",{resource}:{action},")), pairs.contains(&(resource, action)));
        }
        prop_assert_eq!(text.matches(':').count(), pairs.len());
    }
}

#[test]
fn the_text_for_sql_has_a_comma_on_both_ends() {
    assert_eq!(PermissionSet::EMPTY.to_string(), ",");
    let set = PermissionSet::of(&[(Resource::Events, Action::Read), (Resource::Orders, Action::Read)]);
    assert_eq!(set.to_string(), ",orders:read,events:read,");
}

#[test]
fn every_word_is_spelled_alike_in_text_json_and_back() {
    fn check<T>(all: &[T])
    where
        T: Copy + PartialEq + std::fmt::Debug + std::fmt::Display + std::str::FromStr + serde::Serialize,
        T: serde::de::DeserializeOwned,
    {
        let mut seen = BTreeSet::new();
        for word in all {
            let text = word.to_string();
            assert_eq!(text.parse().ok(), Some(*word));
            assert_eq!(serde_json::to_value(word).unwrap(), text.as_str());
            assert_eq!(serde_json::from_value::<T>(text.clone().into()).unwrap(), *word);
            assert!(text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{text}");
            assert!(text.to_uppercase().parse::<T>().is_err());
            assert!(seen.insert(text), "two words are spelled alike");
        }
    }
    check(Resource::ALL);
    check(Action::ALL);
    check(Role::ALL);
}
