use std::time::Duration;

use kernel::random;

/// How often a job is tried, and how long it waits in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    delays: &'static [Duration],
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl Retry {
    /// Eight attempts within 31 hours: after 5 s, 30 s, 2 min, 10 min, 1 h, 6 h and 24 h.
    pub const DEFAULT: Self = Self::after(&[
        seconds(5),
        seconds(30),
        seconds(120),
        seconds(600),
        seconds(3_600),
        seconds(21_600),
        seconds(86_400),
    ]);
    /// One attempt.
    pub const NEVER: Self = Self::after(&[]);

    /// One attempt, and one more after each of the delays.
    pub const fn after(delays: &'static [Duration]) -> Self {
        Self { delays }
    }

    /// How many attempts there are, the first included.
    pub const fn attempts(self) -> u32 {
        self.delays.len() as u32 + 1
    }

    /// How long to wait after the failure of an attempt, counted from 1; None after the last. Never shorter than the
    /// delay, and up to a tenth longer, so that what failed together does not come back together.
    pub(crate) fn delay_after(self, attempt: u32) -> Option<Duration> {
        let delay = *self.delays.get(usize::try_from(attempt.checked_sub(1)?).ok()?)?;
        let part = f64::from(u32::from_le_bytes(random::bytes())) / f64::from(u32::MAX);
        Some(delay + delay.mul_f64(part / 10.0))
    }
}
