//! Organizations: the tenants. Deleting one destroys its data keys, and with them every secret it ever had here.

pub mod api;
pub mod jobs;
mod store;

use db::{DbError, SystemTx, TenantTx};
use kernel::{OrganizationId, TenantScope, Time};
use kit::{
    App, Code, Problem, data_keys,
    retention::BATCH,
    trail::{self, Change, Event},
};
use serde_json::json;

use crate::api_keys::{self, ApiKeys};

/// Deletes the organization of the scope, for good. Its rows leave every list at once; its API keys end; what its data keys
/// sealed can be opened nowhere, not even from a backup of the database with the master key still there.
///
/// # Errors
/// [`Code::ConfirmationMismatch`] when the name is not the organization's.
pub async fn delete(app: &App, scope: &TenantScope, name: &str) -> Result<(), Problem> {
    let now = app.clock.now();
    let mut tx = app.db.tenant(scope).await?;
    let stored = store::lock_name(&mut tx).await?.ok_or_else(Problem::not_found)?;
    if stored != name.trim() {
        return Err(Problem::new(
            Code::ConfirmationMismatch,
            "Send the organization's name exactly as it is written. Deleting it cannot be undone.",
        ));
    }
    store::mark_deleted(&mut tx, scope.actor().user(), now).await?;
    api_keys::end_all(&mut tx, "the organization was deleted", now).await?;
    let keys = data_keys::mark_all_destroyed(&mut tx, &app.clock).await?;
    // The job, in case the program ends before the shards are gone; it commits with the deletion.
    ::jobs::enqueue(&mut tx, &app.clock, &jobs::DestroyShards::default()).await?;
    let change = Change {
        action: "organization.delete",
        resource: "organization",
        resource_id: Some(scope.organization().uuid()),
        before: Some(json!({ "name": stored })),
        after: Some(json!({ "data_keys_destroyed": keys.len() })),
    };
    trail::audit(&mut tx, &app.clock, change).await?;
    let event =
        Event::warning("organization.deleted", "The organization was deleted and its data keys were destroyed.");
    trail::event(&mut tx, &app.clock, event).await?;
    tx.commit().await?;
    app.slice::<ApiKeys>().forget_organization(scope.organization());
    if data_keys::destroy_shards(&app.keyring, &keys).await.is_err() {
        // It is deleted, and the rows open nothing; the job goes on until the shards are gone too.
        tracing::error!(organization = %scope.organization(), "shards of a deleted organization are still there");
    }
    Ok(())
}

/// An organization names itself in the path; only its own scope can mean it.
pub(crate) fn own(scope: &TenantScope, id: OrganizationId) -> Result<(), Problem> {
    if scope.organization() == id { Ok(()) } else { Err(Problem::not_found()) }
}

/// Whether the organization of the transaction was deleted before then.
///
/// # Errors
/// When the database refuses or is gone.
pub async fn was_deleted(tx: &mut TenantTx, before: Time) -> Result<bool, DbError> {
    store::was_deleted(tx, before).await
}

/// Organizations that were deleted before then and of which something is left, a batch of them.
///
/// # Errors
/// When the database refuses or is gone.
pub async fn left_of(tx: &mut SystemTx, before: Time) -> Result<Vec<OrganizationId>, DbError> {
    store::left_of(tx, before, BATCH).await
}
