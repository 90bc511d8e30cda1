//! What a store's owner lets others read: three switches, their history, and the log of every access.
//!
//! The switches stand above capabilities and keys (product decision 2). Switching one off is effective on every node within
//! a second; the shop is then not called at all.

pub mod access_log;
pub mod api;
pub mod model;
mod store;

use db::{DbError, TenantTx};
use kernel::{Clock, ConnectionId, EventId, TenantScope};
use kit::{
    App, Problem,
    retention::{BATCH, Due},
    trail::{self, Change, Event},
};
use serde_json::json;

use crate::connections::{
    Stores,
    store::{self as connections, ConnectionRow},
};
use model::DataAccess;

pub use store::HistoryRow;

/// Sets the switches of a store.
///
/// # Errors
/// [`kit::Code::NotFound`] for an unknown store.
pub async fn set(
    app: &App,
    scope: &TenantScope,
    id: ConnectionId,
    after: DataAccess,
    reason: Option<&str>,
) -> Result<ConnectionRow, Problem> {
    let mut tx = app.db.tenant(scope).await?;
    let mut row = connections::find_for_update(&mut tx, id).await?.ok_or_else(Problem::not_found)?;
    change(&mut tx, &app.clock, &mut row, after, reason).await?;
    tx.commit().await?;
    app.slice::<Stores>().forget(scope.organization(), id);
    Ok(row)
}

/// Sets them of a store that the transaction has locked, with everything that tells of it; nothing where they are so already.
///
/// # Errors
/// When the database refuses or is gone.
pub(crate) async fn change(
    tx: &mut TenantTx,
    clock: &Clock,
    row: &mut ConnectionRow,
    after: DataAccess,
    reason: Option<&str>,
) -> Result<(), Problem> {
    let (id, now) = (row.id, clock.now());
    let before = row.data_access_permissions.0;
    if before == after {
        return Ok(());
    }
    connections::set_data_access(tx, id, after, now).await?;
    store::insert_history(tx, EventId::new(clock).uuid(), id, before, after, reason, now).await?;
    let change = Change {
        action: "store_permissions.update",
        resource: "connection",
        resource_id: Some(id.uuid()),
        before: Some(json!(before)),
        after: Some(json!(after)),
    };
    trail::audit(tx, clock, change).await?;
    let event =
        Event::info("store_permissions.changed", format!("What may be read of {} was changed.", row.display_name))
            .of(id);
    trail::event(tx, clock, event.with(json!({ "before": before, "after": after }))).await?;
    row.data_access_permissions.0 = after;
    row.updated_at = now;
    Ok(())
}

/// Removes what tells who changed what may be read of a store, a batch of it. How much there was.
///
/// # Errors
/// When the database refuses or is gone.
pub async fn purge(tx: &mut TenantTx, due: Due) -> Result<u64, DbError> {
    store::purge_history(tx, due, BATCH).await
}
