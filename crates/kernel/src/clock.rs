//! The one source of time. Tests run on a clock that they move; SQL gets its times as parameters.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use chrono::{DateTime, Duration, SubsecRound, Utc};

use crate::Time;

#[derive(Clone, Debug, Default)]
pub struct Clock(Source);

#[derive(Clone, Debug, Default)]
enum Source {
    #[default]
    System,
    /// Microseconds since the epoch, shared by all clones.
    Manual(Arc<AtomicI64>),
    /// The system's time, moved by so many microseconds.
    Shifted(Arc<AtomicI64>),
}

impl Clock {
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still until it is moved.
    pub fn manual(start: Time) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(start.timestamp_micros()))))
    }

    /// A clock that runs with the system's and can be moved ahead of it.
    pub fn shifted() -> Self {
        Self(Source::Shifted(Arc::new(AtomicI64::new(0))))
    }

    pub fn now(&self) -> Time {
        match &self.0 {
            Source::System => system_now(),
            Source::Manual(micros) => {
                DateTime::from_timestamp_micros(micros.load(Ordering::SeqCst)).unwrap_or(DateTime::UNIX_EPOCH)
            }
            Source::Shifted(micros) => system_now() + Duration::microseconds(micros.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual or shifted clock, and with it all its clones. The system's clock stays where it is.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(micros) | Source::Shifted(micros) = &self.0 {
            micros.fetch_add(by.num_microseconds().unwrap_or(0), Ordering::SeqCst);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that asks the system")]
fn system_now() -> Time {
    // As exact as PostgreSQL keeps it, so that a time read back is the time written.
    Utc::now().trunc_subsecs(6)
}
