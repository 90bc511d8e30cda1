//! Sealing what was written, so that it can be shown to be what it was.

use ::jobs::{Done, Failure, Job, Run};
use kernel::{Action, Resource};
use kit::{
    App,
    trail::chain::{self, Log},
};
use serde::{Deserialize, Serialize};

/// Seals of each log that one run makes at most; what is left is sealed by the next.
const SEALS: usize = 200;

/// Seals the new lines of the activity log and of the audit log. No role may do that.
#[derive(Default, Serialize, Deserialize)]
pub struct SealLogs {}

impl Job for SealLogs {
    const NAME: &'static str = "seal_logs";
    const PERMISSIONS: &'static [(Resource, Action)] =
        &[(Resource::Audit, Action::Create), (Resource::Audit, Action::Read), (Resource::Events, Action::Read)];
    type Context = App;

    async fn run(self, app: App, run: Run) -> Result<Done, Failure> {
        for log in Log::ALL {
            for _ in 0..SEALS {
                let mut tx = app.db.tenant(&run.scope).await?;
                let is_sealed = chain::seal(&mut tx, &app.clock, log).await?;
                tx.commit().await?;
                if !is_sealed {
                    break;
                }
            }
        }
        let tx = app.db.tenant(&run.scope).await?;
        run.complete(tx).await
    }
}
