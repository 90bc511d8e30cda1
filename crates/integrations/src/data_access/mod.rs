//! What a store's owner lets others read: three switches, their history, and the log of every access.
//!
//! The switches stand above capabilities and keys (product decision 2). Switching one off is effective on every node within
//! a second; the shop is then not called at all.

pub mod access_log;
pub mod api;
pub mod model;
mod store;

use kernel::{ConnectionId, EventId, TenantScope};
use kit::{
    App, Problem,
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
    let now = app.clock.now();
    let mut tx = app.db.tenant(scope).await?;
    let mut row = connections::find_for_update(&mut tx, id).await?.ok_or_else(Problem::not_found)?;
    let before = row.data_access_permissions.0;
    if before == after {
        tx.rollback().await?;
        return Ok(row);
    }
    connections::set_data_access(&mut tx, id, after, now).await?;
    store::insert_history(&mut tx, EventId::new(&app.clock).uuid(), id, before, after, reason, now).await?;
    let change = Change {
        action: "store_permissions.update",
        resource: "connection",
        resource_id: Some(id.uuid()),
        before: Some(json!(before)),
        after: Some(json!(after)),
    };
    trail::audit(&mut tx, &app.clock, change).await?;
    let event =
        Event::info("store_permissions.changed", format!("What may be read of {} was changed.", row.display_name))
            .of(id);
    trail::event(&mut tx, &app.clock, event.with(json!({ "before": before, "after": after }))).await?;
    tx.commit().await?;
    app.slice::<Stores>().forget(scope.organization(), id);
    row.data_access_permissions.0 = after;
    Ok(row)
}
