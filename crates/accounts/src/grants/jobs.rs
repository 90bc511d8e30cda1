//! What was taken back, or has ended, is kept for a while and then removed.

use ::jobs::{Done, Failure, Job, Run};
use kernel::{Action, Resource};
use kit::App;
use serde::{Deserialize, Serialize};

use super::{KEPT, store};

/// Removes the grants of an organization that were over long ago.
#[derive(Default, Serialize, Deserialize)]
pub struct PurgeGrants {}

impl Job for PurgeGrants {
    const NAME: &'static str = "purge_grants";
    const PERMISSIONS: &'static [(Resource, Action)] = &[(Resource::Members, Action::Delete)];
    type Context = App;

    async fn run(self, app: App, run: Run) -> Result<Done, Failure> {
        let mut tx = app.db.tenant(&run.scope).await?;
        store::purge(&mut tx, app.clock.now() - KEPT).await?;
        run.complete(tx).await
    }
}
