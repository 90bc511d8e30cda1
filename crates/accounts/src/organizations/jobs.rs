//! What a deletion leaves to do if the program ended in the middle of it.

use ::jobs::{Done, Failure, Job, Run};
use kernel::{Action, DataKeyId, Resource};
use kit::{App, data_keys};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Deletes the shards of data keys whose rows are empty already. Doing it again changes nothing.
#[derive(Serialize, Deserialize)]
pub struct DestroyShards {
    pub data_keys: Vec<Uuid>,
}

impl Job for DestroyShards {
    const NAME: &'static str = "destroy_shards";
    const PERMISSIONS: &'static [(Resource, Action)] = &[];
    type Context = App;

    async fn run(self, app: App, run: Run) -> Result<Done, Failure> {
        let ids: Vec<DataKeyId> = self.data_keys.into_iter().map(DataKeyId::from).collect();
        if data_keys::destroy_shards(&app.keyring, &ids).await.is_err() {
            return Err(Failure::Transient("the key store did not delete a shard".into()));
        }
        let tx = app.db.tenant(&run.scope).await?;
        run.complete(tx).await
    }
}
