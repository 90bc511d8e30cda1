//! The leaky bucket of query cost, one per app and shop.

use chrono::{DateTime, Utc};

/// The limits of a plan, in cost points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// The size of the bucket.
    pub bucket: f64,
    /// Points restored each second.
    pub restore_per_second: f64,
    /// The most that one query may request.
    pub single_query: f64,
}

impl Default for Rate {
    /// The standard plan: 100 points a second.
    fn default() -> Rate {
        Rate::per_second(100.0)
    }
}

impl Rate {
    /// A plan that restores `points` each second, with a bucket of twenty seconds' worth and the usual 1000 for one query.
    pub fn per_second(points: f64) -> Rate {
        Rate { bucket: points * 20.0, restore_per_second: points, single_query: 1000.0 }
    }
}

/// How full a bucket is; points come back with time.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    rate: Rate,
    available: f64,
    as_of: DateTime<Utc>,
}

impl Bucket {
    /// A full bucket.
    pub(crate) fn new(rate: Rate, now: DateTime<Utc>) -> Bucket {
        Bucket { rate, available: rate.bucket, as_of: now }
    }

    fn restore(&mut self, now: DateTime<Utc>) {
        let seconds = (now - self.as_of).num_microseconds().unwrap_or(i64::MAX) as f64 / 1e6;
        if seconds > 0.0 {
            self.available = (self.available + seconds * self.rate.restore_per_second).min(self.rate.bucket);
        }
        self.as_of = now;
    }

    /// Takes `cost` if it is there.
    pub(crate) fn take(&mut self, cost: f64, now: DateTime<Utc>) -> bool {
        self.restore(now);
        let enough = cost <= self.available;
        if enough {
            self.available -= cost;
        }
        enough
    }

    /// Gives back what a query did not use.
    pub(crate) fn refund(&mut self, cost: f64, now: DateTime<Utc>) {
        self.restore(now);
        self.available = (self.available + cost.max(0.0)).min(self.rate.bucket);
    }

    /// Points there now.
    pub(crate) fn available(&mut self, now: DateTime<Utc>) -> f64 {
        self.restore(now);
        self.available
    }

    pub(crate) fn rate(&self) -> Rate {
        self.rate
    }

    /// Takes everything out.
    pub(crate) fn drain(&mut self, now: DateTime<Utc>) {
        self.restore(now);
        self.available = 0.0;
    }
}

#[cfg(test)]
mod tests {
    use super::{Bucket, Rate};
    use chrono::{DateTime, TimeDelta};

    #[test]
    fn points_leak_back_with_time_up_to_the_size() {
        let now = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
        let mut bucket = Bucket::new(Rate::default(), now);
        assert!(bucket.take(1500.0, now));
        assert!(!bucket.take(501.0, now), "500 are left, and a refusal takes none");
        assert_eq!(bucket.available(now), 500.0);
        assert_eq!(bucket.available(now + TimeDelta::milliseconds(2500)), 750.0);
        bucket.refund(100.0, now + TimeDelta::milliseconds(2500));
        assert_eq!(bucket.available(now + TimeDelta::milliseconds(2500)), 850.0);
        assert_eq!(bucket.available(now + TimeDelta::hours(1)), 2000.0);
    }
}
