//! What time it is for the simulated shops.

use chrono::{DateTime, TimeDelta, Utc};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// The clock of every simulated provider: the machine's time plus an offset that tests move.
///
/// Cloning gives another handle on the same clock. The sandbox knows none of the other crates, so it has a clock of its own.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    offset_ms: Arc<AtomicI64>,
}

impl Clock {
    /// The time now, in UTC.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the sandbox, which cannot use the kernel's clock, asks the machine"
    )]
    pub fn now(&self) -> DateTime<Utc> {
        Utc::now() + TimeDelta::milliseconds(self.offset_ms.load(Ordering::Relaxed))
    }

    /// Lets the clock run `offset` ahead of the machine (behind it, if negative).
    pub fn set_offset(&self, offset: TimeDelta) {
        self.offset_ms.store(offset.num_milliseconds(), Ordering::Relaxed);
    }

    /// Moves the clock so that now is `time`.
    pub fn set_now(&self, time: DateTime<Utc>) {
        self.set_offset(TimeDelta::zero());
        self.set_offset(time - self.now());
    }
}
