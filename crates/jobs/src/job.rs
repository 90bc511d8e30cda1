use std::time::Duration;

use kernel::{Action, OrganizationId, Resource, TenantScope, scope::InternalTask};
use serde::{Serialize, de::DeserializeOwned};

use crate::{Done, Failure, Retry, Run};

/// A kind of work. The value itself is what is stored: ids and settings, never data about people, at most 64 KiB as JSON.
///
/// A program that is being upgraded runs jobs that its other version enqueued: fields are added with `#[serde(default)]`,
/// and a [`NAME`](Self::NAME) once used keeps its meaning. Names that a program does not know it leaves to others.
pub trait Job: Serialize + DeserializeOwned + Send + 'static {
    /// Stable: it is in the database, in metrics, and in the actor (`system:NAME`) of what the job writes.
    const NAME: &'static str;
    /// What the job may write in its organization, and nothing else.
    const PERMISSIONS: &'static [(Resource, Action)];
    const RETRY: Retry = Retry::DEFAULT;
    /// An attempt that takes longer is given up and counts as failed.
    const TIMEOUT: Duration = Duration::from_mins(10);
    /// The program's state, which the [`Runner`](crate::Runner) was made with.
    type Context: Clone + Send + Sync + 'static;

    /// At most one job of this name with the same key waits in an organization; one that runs already does not count,
    /// since it may have read what has changed since. Equal keys must mean equal work. At most 200 bytes.
    fn dedupe_key(&self) -> Option<String> {
        None
    }

    /// Jobs of an organization with the same key, of whatever name, run one after the other in the order in which they
    /// were enqueued. One that waits, for its next attempt or for a later time, holds up those behind it until it is done
    /// or dead. Choose a key as narrow as an entity: a claim looks at each ready job that is held up. At most 200 bytes.
    fn ordering_key(&self) -> Option<String> {
        None
    }

    /// One attempt. [`Run::complete`] makes the [`Done`].
    fn run(self, cx: Self::Context, run: Run) -> impl Future<Output = Result<Done, Failure>> + Send;
}

/// A job as the task that its scope is for.
struct Task<J>(std::marker::PhantomData<J>);

impl<J: Job> InternalTask for Task<J> {
    const NAME: &'static str = J::NAME;
    const PERMISSIONS: &'static [(Resource, Action)] = J::PERMISSIONS;
}

pub(crate) fn scope<J: Job>(organization: OrganizationId) -> TenantScope {
    TenantScope::internal::<Task<J>>(organization)
}
