use std::{borrow::Cow, fmt};

use db::DbError;
use kernel::Time;

/// Why an attempt did not complete its job, in our own words. It is stored and logged, so it can be made of what stands
/// in the program and of [`DbError`]s only: no value of a row and no text of a provider gets in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause(Cow<'static, str>);

impl Cause {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&'static str> for Cause {
    fn from(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl From<&DbError> for Cause {
    fn from(error: &DbError) -> Self {
        Self(Cow::Owned(error.to_string()))
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How an attempt ended that did not complete its job.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// May go better later: tried again as [`Job::RETRY`](crate::Job::RETRY) says, then dead.
    #[error("{0}")]
    Transient(Cause),
    /// Will not go better: dead at once.
    #[error("{0}")]
    Permanent(Cause),
    /// May not be tried yet: a provider's limit, a person's decision. Waits, at least a second, without using up an attempt.
    #[error("{cause}")]
    Throttled { until: Time, cause: Cause },
    /// The lease ran out and somebody else may have the job by now. Nothing was written.
    #[error("the lease was lost")]
    LeaseLost,
}

/// A database that refuses or is gone may be well again later.
impl From<DbError> for Failure {
    fn from(error: DbError) -> Self {
        Self::Transient(Cause::from(&error))
    }
}
