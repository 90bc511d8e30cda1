//! Keys reach their expiry whether or not anybody uses them.

use ::jobs::{Done, Failure, Job, Run};
use kernel::{Action, Resource};
use kit::{
    App,
    trail::{self, Event},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::store;

/// Marks the keys of an organization that are past their expiry (002's `cleanup_expired_api_keys`). They stopped working at
/// that moment; this is so that people see it.
#[derive(Default, Serialize, Deserialize)]
pub struct ExpireKeys {}

impl Job for ExpireKeys {
    const NAME: &'static str = "expire_api_keys";
    const PERMISSIONS: &'static [(Resource, Action)] = &[(Resource::ApiKeys, Action::Update)];
    type Context = App;

    async fn run(self, app: App, run: Run) -> Result<Done, Failure> {
        let mut tx = app.db.tenant(&run.scope).await?;
        for expired in store::expire_due(&mut tx, app.clock.now()).await? {
            let event = Event::warning("api_key.expired", format!("The API key \"{}\" has expired.", expired.key_name));
            trail::event(&mut tx, &app.clock, event.with(json!({ "key_id": expired.id }))).await?;
        }
        run.complete(tx).await
    }
}
