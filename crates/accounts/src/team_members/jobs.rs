//! Team members that were deleted can be restored for a while; then what was known of them is gone.

use ::jobs::{Done, Failure, Job, Run};
use kernel::{Action, Resource};
use kit::{
    App,
    trail::{self, Change},
};
use serde::{Deserialize, Serialize};

use super::{KEPT, store};

/// Removes the team members of an organization that were deleted long ago.
#[derive(Default, Serialize, Deserialize)]
pub struct PurgeTeamMembers {}

impl Job for PurgeTeamMembers {
    const NAME: &'static str = "purge_team_members";
    const PERMISSIONS: &'static [(Resource, Action)] = &[(Resource::Members, Action::Delete)];
    type Context = App;

    async fn run(self, app: App, run: Run) -> Result<Done, Failure> {
        let mut tx = app.db.tenant(&run.scope).await?;
        for id in store::purge(&mut tx, app.clock.now() - KEPT).await? {
            let change = Change {
                action: "team_member.purge",
                resource: "team_member",
                resource_id: Some(id),
                before: None,
                after: None,
            };
            trail::audit(&mut tx, &app.clock, change).await?;
        }
        run.complete(tx).await
    }
}
