//! The rows of data keys: made, found and destroyed in the caller's transaction. The cryptography is in [`crate::vault`].

pub mod rotation;
mod store;

use std::{collections::HashSet, sync::Arc, time::Duration};

use db::{DbError, SystemTx, TenantTx};
use kernel::{Clock, DataKeyId};

use crate::{
    Code, Problem,
    vault::{DataKey, Keyring, OpenError, Scope, WrappedKey},
};

/// Makes a data key of a scope; the caller sees to it that there is one at a time. Its shard is durable before the row can be, and gone again where the row cannot be.
///
/// # Errors
/// [`Code::NotFound`](crate::Code::NotFound) when the organization was deleted; when the key store or the database refuses.
pub async fn create(
    tx: &mut TenantTx,
    keyring: &Keyring,
    clock: &Clock,
    scope: Scope,
) -> Result<Arc<DataKey>, Problem> {
    let version = store::next_version(tx, scope).await?;
    let under = rotation::for_new_key(tx, keyring).await?;
    let new = keyring.create(under, tx.organization(), scope, version).await.map_err(|error| problem(&error))?;
    let problem = match store::insert(tx, &new.row, clock.now()).await {
        Ok(true) => return Ok(new.key),
        Ok(false) => Problem::not_found(),
        Err(error) => error.into(),
    };
    let id = new.row.identity.id;
    if let Err(error) = keyring.destroy(id).await {
        // Without a row it opens nothing; the sweep tries again.
        tracing::warn!(%error, data_key = %id, "the shard of a key that was not made is left behind");
    }
    Err(problem)
}

/// The key of what belongs to the organization and to none of its connections, for sealing with it as [`open_to_seal`] does; it
/// is made when there is none.
///
/// # Errors
/// As [`create`] and [`open`].
pub async fn of_organization(tx: &mut TenantTx, keyring: &Keyring, clock: &Clock) -> Result<Arc<DataKey>, Problem> {
    // Two that find none would both make one.
    store::lock_organization_key(tx).await?;
    match store::newest_of_organization(tx).await? {
        Some(id) => open_to_seal(tx, keyring, id).await?.ok_or_else(Problem::not_found),
        None => create(tx, keyring, clock, Scope::Organization).await,
    }
}

/// Opens a data key; None when it was destroyed.
///
/// # Errors
/// When the row cannot be opened with this installation's keys.
pub async fn open(tx: &mut TenantTx, keyring: &Keyring, id: DataKeyId) -> Result<Option<Arc<DataKey>>, Problem> {
    match store::find(tx, id).await? {
        Some(row) => unwrap(keyring, &row).await,
        None => Ok(None),
    }
}

/// The same, for sealing with it: until the transaction ends nobody destroys the key, so that nothing is sealed under one
/// that is being destroyed.
///
/// # Errors
/// As [`open`].
pub async fn open_to_seal(
    tx: &mut TenantTx,
    keyring: &Keyring,
    id: DataKeyId,
) -> Result<Option<Arc<DataKey>>, Problem> {
    if store::hold(tx, id).await? { open(tx, keyring, id).await } else { Ok(None) }
}

async fn unwrap(keyring: &Keyring, row: &WrappedKey) -> Result<Option<Arc<DataKey>>, Problem> {
    match keyring.data_key(row).await {
        Ok(key) => Ok(Some(key)),
        Err(OpenError::KeyDestroyed) => Ok(None),
        Err(error) => Err(problem(&error)),
    }
}

/// What passes when the key store is back, or this node has its keys, is told apart from what is broken for good.
fn problem(error: &OpenError) -> Problem {
    let passes = match error {
        OpenError::WrongMasterKey { .. } => true,
        OpenError::KeyStore(error) => error.is_transient(),
        OpenError::Tampered | OpenError::UnknownFormat | OpenError::KeyDestroyed => false,
    };
    if !passes {
        return Problem::internal(error);
    }
    tracing::error!(%error, "a data key cannot be opened now");
    Problem::new(Code::KeysUnavailable, "Nothing was changed. Try again in a few seconds.")
        .with_retry_after(RETRY_AFTER)
}

const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Empties the rows of all data keys of the organization. What they sealed is unreadable once [`destroy_shards`] has run
/// for the ids returned; call it after the commit, and from a job of the same transaction in case the process ends between.
///
/// # Errors
/// When the database refuses.
pub async fn mark_all_destroyed(tx: &mut TenantTx, clock: &Clock) -> Result<Vec<DataKeyId>, Problem> {
    Ok(store::mark_all_destroyed(tx, clock.now()).await?)
}

/// The same for the keys of one scope. The next key that is [`create`]d for it is a new one.
///
/// # Errors
/// When the database refuses.
pub async fn mark_destroyed(tx: &mut TenantTx, clock: &Clock, scope: Scope) -> Result<Vec<DataKeyId>, DbError> {
    store::mark_destroyed(tx, scope, clock.now()).await
}

/// The data keys of the organization that were destroyed, a page of them: those above an id, in their order. Whether their
/// shards are gone too is for [`destroy_shards`] to see to.
///
/// # Errors
/// When the database refuses or is gone.
pub async fn destroyed(tx: &mut TenantTx, after: Option<DataKeyId>, limit: i64) -> Result<Vec<DataKeyId>, DbError> {
    store::destroyed(tx, after, limit).await
}

/// Deletes the shards: no backup of the database brings back what they sealed. Deleting one again changes nothing.
///
/// # Errors
/// When the key store refuses; what was deleted stays so.
pub async fn destroy_shards(keyring: &Keyring, ids: &[DataKeyId]) -> Result<(), Problem> {
    for id in ids {
        keyring.destroy(*id).await.map_err(|error| problem(&OpenError::from(error)))?;
    }
    Ok(())
}

/// A data key of any organization, to look whether its shard is there: where it is not, the wrong directory is mounted or none.
///
/// # Errors
/// When the database refuses or is gone.
pub async fn any(tx: &mut SystemTx) -> Result<Option<DataKeyId>, DbError> {
    store::any(tx).await
}

/// The data keys of all organizations that were not destroyed, for [`Keyring::sweep`].
///
/// # Errors
/// When the database refuses or is gone.
pub async fn existing(tx: &mut SystemTx) -> Result<HashSet<DataKeyId>, DbError> {
    store::existing(tx).await
}
