//! The rows of data keys: made, found and destroyed in the caller's transaction. The cryptography is in [`crate::vault`].

mod store;

use std::sync::Arc;

use db::TenantTx;
use kernel::{Clock, DataKeyId};

use crate::{
    Problem,
    vault::{DataKey, Keyring, OpenError, Scope},
};

/// Makes the data key of a scope. Its shard is durable before the row can be.
///
/// # Errors
/// When the key store or the database refuses.
pub async fn create(
    tx: &mut TenantTx,
    keyring: &Keyring,
    clock: &Clock,
    scope: Scope,
) -> Result<Arc<DataKey>, Problem> {
    let new = keyring.create(tx.organization(), scope, 1).await.map_err(|error| Problem::internal(&error))?;
    store::insert(tx, &new.row, clock.now()).await?;
    Ok(new.key)
}

/// Opens a data key; None when it was destroyed.
///
/// # Errors
/// When the row cannot be opened with this installation's keys.
pub async fn open(tx: &mut TenantTx, keyring: &Keyring, id: DataKeyId) -> Result<Option<Arc<DataKey>>, Problem> {
    let Some(row) = store::find(tx, id).await? else { return Ok(None) };
    match keyring.data_key(&row).await {
        Ok(key) => Ok(Some(key)),
        Err(OpenError::KeyDestroyed) => Ok(None),
        Err(error) => Err(Problem::internal(&error)),
    }
}

/// Empties the rows of all data keys of the organization. What they sealed is unreadable once [`destroy_shards`] has run
/// for the ids returned; call it after the commit, and from a job of the same transaction in case the process ends between.
///
/// # Errors
/// When the database refuses.
pub async fn mark_all_destroyed(tx: &mut TenantTx, clock: &Clock) -> Result<Vec<DataKeyId>, Problem> {
    Ok(store::mark_all_destroyed(tx, clock.now()).await?)
}

/// Deletes the shards: no backup of the database brings back what they sealed. Deleting one again changes nothing.
///
/// # Errors
/// When the key store refuses; what was deleted stays so.
pub async fn destroy_shards(keyring: &Keyring, ids: &[DataKeyId]) -> Result<(), Problem> {
    for id in ids {
        keyring.destroy(*id).await.map_err(|error| Problem::internal(&error))?;
    }
    Ok(())
}
