//! How often a network may hand over keys. Whoever calls without a session is counted in memory, before the database is asked.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use kernel::Time;
use kit::{Code, Problem, network::Network};

/// Of one network in a minute, on each node. A shop posts once for each consent; many shops of one host share a network.
const A_MINUTE: u32 = 60;
/// Networks that are counted at once; a flood from more is refused as a whole until the minute is over.
const NETWORKS_MAX: usize = 10_000;

/// What was handed over in this minute, by network. Cheap to clone; clones count together.
#[derive(Clone, Default)]
pub struct Handovers(Arc<Mutex<Minute>>);

#[derive(Default)]
struct Minute {
    number: i64,
    calls: HashMap<Network, u32>,
}

impl Handovers {
    /// Counts a call. None: from this machine, which is not counted.
    ///
    /// # Errors
    /// [`Code::RateLimited`] for one too many.
    pub(super) fn enter(&self, from: Option<Network>, now: Time) -> Result<(), Problem> {
        let Some(network) = from else { return Ok(()) };
        let number = now.timestamp().div_euclid(60);
        let mut minute = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if minute.number != number {
            *minute = Minute { number, calls: HashMap::new() };
        }
        let is_full = minute.calls.len() >= NETWORKS_MAX && !minute.calls.contains_key(&network);
        let calls = if is_full { A_MINUTE } else { *minute.calls.entry(network).or_insert(0) };
        if calls >= A_MINUTE {
            let left = u64::try_from(60 - now.timestamp().rem_euclid(60)).unwrap_or(60);
            return Err(Problem::new(
                Code::RateLimited,
                "Too many keys were handed over from this network in a minute.",
            )
            .with_retry_after(Duration::from_secs(left)));
        }
        minute.calls.insert(network, calls + 1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;

    fn network(number: u32) -> Option<Network> {
        Network::of(std::net::Ipv4Addr::from(0x0100_0000 + number).into())
    }

    #[test]
    fn a_network_has_a_minute_and_a_flood_from_many_fills_no_memory() {
        let (handovers, now) = (Handovers::default(), DateTime::UNIX_EPOCH);
        for _ in 0..A_MINUTE {
            handovers.enter(network(1), now).unwrap();
        }
        assert_eq!(handovers.enter(network(1), now).unwrap_err().code(), Code::RateLimited);
        handovers.enter(network(2), now).unwrap();
        handovers.enter(None, now).unwrap();
        handovers.enter(network(1), now + TimeDelta::seconds(60)).unwrap();
        for number in 0..20_000 {
            let _refused = handovers.enter(network(number), now);
        }
        assert!(handovers.0.lock().unwrap().calls.len() <= NETWORKS_MAX);
    }
}
