//! Keys that behave as a stolen key does. Each node watches those that it sees; what looks wrong is suspended at once, told to
//! the key's owner, and revoked a day later unless somebody clears it (seed document 002's auto-revoke).
//!
//! A suspicion that was cleared for a key is never raised for it again: its owner knows better.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use kernel::Time;
use kit::network::Network;
use serde::{Deserialize, Serialize};

use super::store::KeyAddress;

/// How long things are counted together.
const WINDOW: chrono::Duration = chrono::Duration::minutes(10);
/// A key that nobody uses is watched no longer.
const IDLE: Duration = Duration::from_mins(20);
/// Keys watched at once; the least used leave first.
const WATCHED: u64 = 50_000;

/// Networks in a window. A program has one, a cloud's functions have some dozens.
pub(super) const NETWORKS: usize = 100;
/// Stores in a window that are not there or not open to the key: somebody tries ids.
pub(super) const REFUSALS: u32 = 300;

/// What looks wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Suspicion {
    ManyNetworks,
    ManyRefusals,
}

impl Suspicion {
    /// The stable word, as it is stored.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::ManyNetworks => "many_networks",
            Self::ManyRefusals => "many_refusals",
        }
    }

    /// What happened, for people.
    pub(super) fn sentence(self) -> String {
        match self {
            Self::ManyNetworks => format!("It was used from {NETWORKS} networks within ten minutes."),
            Self::ManyRefusals => {
                format!("It asked {REFUSALS} times within ten minutes for stores that are not there or not open to it.")
            }
        }
    }

    /// The suspicion of a stored word.
    pub(super) fn of(word: &str) -> Option<Self> {
        [Self::ManyNetworks, Self::ManyRefusals].into_iter().find(|known| known.as_str() == word)
    }
}

/// What was seen of a key in the current window.
struct Seen {
    since: Time,
    networks: HashSet<Network>,
    refusals: u32,
}

/// The keys that this node watches. Cheap to clone.
#[derive(Clone)]
pub(super) struct Watch(moka::sync::Cache<KeyAddress, Arc<Mutex<Seen>>>);

impl Default for Watch {
    fn default() -> Self {
        Self(moka::sync::Cache::builder().max_capacity(WATCHED).time_to_idle(IDLE).build())
    }
}

impl Watch {
    /// A call with a key that stands in no web page: one that does comes from wherever its visitors are. The suspicion that this very call raises, once in a window.
    pub(super) fn called(&self, key: KeyAddress, network: Option<Network>, now: Time) -> Option<Suspicion> {
        let network = network?;
        self.note(key, now, |seen| {
            let is_new = seen.networks.len() < NETWORKS && seen.networks.insert(network);
            (is_new && seen.networks.len() == NETWORKS).then_some(Suspicion::ManyNetworks)
        })
    }

    /// A call for a store that is not there, or not open to the key.
    pub(super) fn refused(&self, key: KeyAddress, now: Time) -> Option<Suspicion> {
        self.note(key, now, |seen| {
            seen.refusals = seen.refusals.saturating_add(1);
            (seen.refusals == REFUSALS).then_some(Suspicion::ManyRefusals)
        })
    }

    fn note<T>(&self, key: KeyAddress, now: Time, look: impl FnOnce(&mut Seen) -> T) -> T {
        let begin = || Seen { since: now, networks: HashSet::new(), refusals: 0 };
        let seen = self.0.get_with(key, || Arc::new(Mutex::new(begin())));
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        // Also when the clock was set back.
        if now - seen.since >= WINDOW || now < seen.since {
            *seen = begin();
        }
        look(&mut seen)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use kernel::{ApiKeyId, Clock, OrganizationId};

    use super::*;

    fn key() -> KeyAddress {
        (OrganizationId::new(&Clock::system()), ApiKeyId::new(&Clock::system()))
    }

    fn network(number: u32) -> Option<Network> {
        Network::of(IpAddr::V4(Ipv4Addr::from_bits(0xcb00_7100 + number)))
    }

    #[test]
    fn a_key_in_many_networks_is_suspected_once_in_a_window() {
        let (watch, key, now) = (Watch::default(), key(), Clock::system().now());
        let last = u32::try_from(NETWORKS).unwrap();
        let raised: Vec<u32> =
            (1..=2 * last).filter(|number| watch.called(key, network(*number), now).is_some()).collect();
        assert_eq!(raised, [last]);
        for _ in 0..1_000 {
            assert_eq!(watch.called(key, network(1), now), None);
        }
    }

    #[test]
    fn what_is_spread_over_windows_and_keys_is_not_suspected() {
        let (watch, now) = (Watch::default(), Clock::system().now());
        let [one, other] = [key(), key()];
        for _ in 1..REFUSALS {
            assert_eq!(watch.refused(one, now), None);
            assert_eq!(watch.refused(other, now), None);
        }
        assert_eq!(watch.refused(one, now + WINDOW), None);
        assert_eq!(watch.refused(other, now), Some(Suspicion::ManyRefusals));
        assert_eq!(watch.called(one, None, now), None);
    }

    #[test]
    fn suspicions_are_known_again_by_their_word() {
        for suspicion in [Suspicion::ManyNetworks, Suspicion::ManyRefusals] {
            assert_eq!(Suspicion::of(suspicion.as_str()), Some(suspicion));
            assert_eq!(serde_json::to_value(suspicion).unwrap(), suspicion.as_str());
        }
        assert_eq!(Suspicion::of("revoked by a member"), None);
    }
}
