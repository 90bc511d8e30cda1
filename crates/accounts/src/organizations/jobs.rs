//! What a deletion leaves to do if the program ended in the middle of it.

use ::jobs::{Done, Failure, Job, Run};
use kernel::{Action, DataKeyId, Resource};
use kit::{App, data_keys};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How many shards one run deletes: some seconds of work on a slow disk.
const PAGE: i64 = 500;

/// Deletes the shards of the data keys whose rows are empty already, a page in each run; a full page
/// asks for the next. Doing it again changes nothing.
#[derive(Default, Serialize, Deserialize)]
pub struct DestroyShards {
    /// The last data key that the run before saw to.
    #[serde(default)]
    pub after: Option<Uuid>,
}

impl Job for DestroyShards {
    const NAME: &'static str = "destroy_shards";
    const PERMISSIONS: &'static [(Resource, Action)] = &[];
    type Context = App;

    async fn run(self, app: App, run: Run) -> Result<Done, Failure> {
        let mut tx = app.db.tenant(&run.scope).await?;
        let ids = data_keys::destroyed(&mut tx, self.after.map(DataKeyId::from), PAGE).await?;
        tx.commit().await?;
        // No transaction is open while files are overwritten.
        if data_keys::destroy_shards(&app.keyring, &ids).await.is_err() {
            return Err(Failure::Transient("the key store did not delete a shard".into()));
        }
        let mut tx = app.db.tenant(&run.scope).await?;
        let is_full = i64::try_from(ids.len()) == Ok(PAGE);
        if let Some(last) = ids.last().filter(|_| is_full) {
            ::jobs::enqueue(&mut tx, &app.clock, &Self { after: Some(last.uuid()) }).await?;
        }
        run.complete(tx).await
    }
}
