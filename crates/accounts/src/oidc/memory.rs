//! The keys that a node knows of an issuer, and when it asks for them again.
//!
//! Keys are asked for again in the background once they are ten minutes old, so a key that an issuer withdraws is refused
//! by then. A token with a key that is not known asks at once, but nobody can make us ask more than every 30 s. While the issuer
//! is away, the keys that are known are believed for a day.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::Duration;
use connector::http::Http;
use kernel::{Clock, Time};
use kit::single_flight::SingleFlight;

use super::{
    NotChecked,
    discovery::{self, Unreachable},
    keys::KeySet,
    settings::IssuerSettings,
};

const FRESH: Duration = Duration::minutes(10);
const BELIEVED: Duration = Duration::hours(24);
/// Between two fetches while keys are known.
const BETWEEN: Duration = Duration::seconds(30);
/// Between two fetches while none are.
const BETWEEN_WITHOUT: Duration = Duration::seconds(5);

/// An issuer, and what is known of its keys.
pub(crate) struct Issuer {
    settings: IssuerSettings,
    http: Http,
    known: Mutex<Known>,
    flights: SingleFlight<(), ()>,
}

#[derive(Clone, Default)]
struct Known {
    keys: Option<(Arc<KeySet>, Time)>,
    /// When they were last asked for, and whether that failed.
    tried: Option<(Time, bool)>,
}

impl Known {
    /// Keys that are believed, and their age.
    fn believed(&self, now: Time) -> Option<(Arc<KeySet>, Duration)> {
        let (keys, at) = self.keys.as_ref()?;
        let age = now - *at;
        (age < BELIEVED).then(|| (keys.clone(), age))
    }

    /// Whether they may be asked for again. A clock that was set back forbids it to nobody.
    fn is_due(&self, now: Time) -> bool {
        let between = if self.believed(now).is_some() { BETWEEN } else { BETWEEN_WITHOUT };
        self.tried.is_none_or(|(at, _)| now - at >= between || at > now)
    }
}

impl Issuer {
    pub(super) fn new(settings: IssuerSettings, http: Http) -> Self {
        Self { settings, http, known: Mutex::default(), flights: SingleFlight::default() }
    }

    pub(crate) fn settings(&self) -> &IssuerSettings {
        &self.settings
    }

    /// The issuer's keys, to look for this one.
    ///
    /// # Errors
    /// [`NotChecked::Away`] when none are believed, and when this one is unknown and the issuer cannot be asked for it.
    pub(super) async fn keys(self: &Arc<Self>, clock: &Clock, kid: Option<&str>) -> Result<Arc<KeySet>, NotChecked> {
        // Bound before they are matched on, or the lock would be held for all of what follows.
        let (believed, is_due) = {
            let known = self.known();
            (known.believed(clock.now()), known.is_due(clock.now()))
        };
        if let Some((keys, age)) = believed
            && keys.knows(kid)
        {
            if age >= FRESH && is_due {
                let (issuer, clock) = (self.clone(), clock.clone());
                // It ends with its two calls, which have limits of their own.
                tokio::spawn(async move { issuer.refresh(&clock).await });
            }
            return Ok(keys);
        }
        self.refresh(clock).await;
        let known = self.known().clone();
        match (known.believed(clock.now()), known.tried) {
            // The key may be a new one, which only the issuer could tell.
            (Some((keys, _)), Some((_, true))) if !keys.knows(kid) => Err(NotChecked::Away),
            (Some((keys, _)), _) => Ok(keys),
            (None, _) => Err(NotChecked::Away),
        }
    }

    /// Asks for the keys, unless it is too early for that; those who come meanwhile wait for the same answer.
    async fn refresh(self: &Arc<Self>, clock: &Clock) {
        let (issuer, clock) = (self.clone(), clock.clone());
        // None: it panicked, and what was known stays.
        let _ended = self
            .flights
            .run((), || async move {
                let is_due = issuer.known().is_due(clock.now());
                if !is_due {
                    return;
                }
                let fetched = discovery::fetch(&issuer.settings, &issuer.http).await;
                issuer.learn(fetched, clock.now());
            })
            .await;
    }

    fn learn(&self, fetched: Result<KeySet, Unreachable>, now: Time) {
        let outcome = if fetched.is_ok() { "ok" } else { "failed" };
        metrics::counter!("entrepot_oidc_key_fetches_total", "issuer" => self.settings.label.clone(), "outcome" => outcome)
            .increment(1);
        let mut known = self.known();
        known.tried = Some((now, fetched.is_err()));
        match fetched {
            Ok(keys) => known.keys = Some((Arc::new(keys), now)),
            Err(error) => {
                tracing::warn!(issuer = self.settings.issuer, %error, "the keys of an issuer cannot be had");
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_makes_us_ask_more_often_than_is_due() {
        let clock = Clock::manual(chrono::DateTime::UNIX_EPOCH);
        let now = clock.now();
        let keys = Arc::new(KeySet::parse(br#"{"keys": []}"#).unwrap());
        let mut known = Known::default();
        assert!(known.is_due(now), "never asked");
        known.tried = Some((now, true));
        assert!(!known.is_due(now + Duration::seconds(4)) && known.is_due(now + Duration::seconds(5)));
        known.keys = Some((keys, now));
        assert!(!known.is_due(now + Duration::seconds(29)) && known.is_due(now + Duration::seconds(30)));
        assert!(known.is_due(now - Duration::seconds(1)), "the clock was set back");
        assert!(known.believed(now + Duration::minutes(24 * 60 - 1)).is_some());
        assert!(known.believed(now + Duration::hours(24)).is_none());
    }
}
