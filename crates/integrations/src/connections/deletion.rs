//! Deleting connections, bringing them back while they are kept, and removing them for good.
//!
//! A connection that is deleted was disconnected before: nothing of its credential is left that opens, and its account is free. Its row
//! keeps name and settings for as long as the installation keeps deleted connections (`kit::retention`).

use accounts::plans;
use db::{DbError, TenantTx};
use kernel::{Action as Doing, Clock, ConnectionId, Denied, Resource, TenantScope};
use kit::{
    App, Code, Problem,
    retention::{BATCH, Due, Kind},
    trail::{self, Change, Event},
};
use serde_json::json;

use super::{
    Stores, hold, lifecycle,
    model::Status,
    places, status_of,
    store::{self, ConnectionRow},
    written,
};

/// What its owner has to know of a connection that came back.
const RESTORED: &str =
    "The connection was restored. Its credential was destroyed when it was deleted: set a new one to go on.";

/// To delete is to disconnect first, and to restore is to change.
fn may_update(scope: &TenantScope, id: ConnectionId) -> Result<(), Problem> {
    let (resource, action) = (Resource::Connections, Doing::Update);
    if scope.rights().at(id).contains(resource, action) { Ok(()) } else { Err(Denied { resource, action }.into()) }
}

/// Deletes a connection, which is disconnected first. It leaves every list at once.
///
/// # Errors
/// [`Code::NotFound`]; [`Code::Forbidden`] for whoever may not change it; [`Code::ConnectionStatusConflict`] when it was connected
/// anew meanwhile.
pub async fn delete(app: &App, scope: &TenantScope, id: ConnectionId) -> Result<(), Problem> {
    may_update(scope, id)?;
    lifecycle::disconnect(app, scope, id).await?;
    let now = app.clock.now();
    let mut tx = app.db.tenant(scope).await?;
    let row = store::find_for_update(&mut tx, id).await?.ok_or_else(Problem::not_found)?;
    if status_of(&row)? != Status::Disconnected {
        return Err(Problem::new(
            Code::ConnectionStatusConflict,
            "The connection was connected anew meanwhile. Look at it, then delete it again.",
        ));
    }
    store::delete(&mut tx, id, scope.actor().user(), now).await?;
    let change = Change {
        action: "connection.delete",
        resource: "connection",
        resource_id: Some(id.uuid()),
        before: Some(json!({
            "provider_key": row.provider_key,
            "external_account": row.external_account,
            "display_name": row.display_name,
        })),
        after: None,
    };
    trail::audit(&mut tx, &app.clock, change).await?;
    let event = Event::warning("connection.deleted", format!("{} was deleted.", row.display_name)).of(id);
    trail::event(&mut tx, &app.clock, event).await?;
    tx.commit().await?;
    app.slice::<Stores>().forget(scope.organization(), id);
    Ok(())
}

/// Brings back a connection that was deleted. One that is there stays as it is.
///
/// # Errors
/// [`Code::NotFound`] also for one that is kept no longer; [`Code::Conflict`] when its account has another connection by now;
/// [`Code::PlanLimitReached`] when the plan allows no more of the provider.
pub async fn restore(app: &App, scope: &TenantScope, id: ConnectionId) -> Result<ConnectionRow, Problem> {
    may_update(scope, id)?;
    let now = app.clock.now();
    let mut tx = app.db.tenant(scope).await?;
    hold(&mut tx).await?;
    let subscription = plans::hold(&mut tx, now).await?;
    let Some(deleted) = store::find_deleted_for_update(&mut tx, id).await? else {
        return store::find(&mut tx, id).await?.ok_or_else(Problem::not_found);
    };
    if deleted.deleted_at < app.config.retention.before(Kind::Connections, now) {
        return Err(Problem::not_found());
    }
    places::take(app, &mut tx, &subscription, &deleted.provider_key).await?;
    let status = Status::NeedsReauth;
    store::restore(&mut tx, id, status, RESTORED, now).await.map_err(|error| match error {
        DbError::Constraint { constraint } if constraint == "connections_by_account" => {
            Problem::new(Code::Conflict, "Its account was connected anew meanwhile. Delete that connection first.")
        }
        other => other.into(),
    })?;
    let row = written(&mut tx, id).await?;
    let change = Change {
        action: "connection.restore",
        resource: "connection",
        resource_id: Some(id.uuid()),
        before: None,
        after: Some(json!({ "status": row.status, "display_name": row.display_name })),
    };
    trail::audit(&mut tx, &app.clock, change).await?;
    let message = format!("{} was restored. It waits for a new credential.", deleted.display_name);
    trail::event(&mut tx, &app.clock, Event::info("connection.restored", message).of(id)).await?;
    tx.commit().await?;
    app.slice::<Stores>().forget(scope.organization(), id);
    Ok(row)
}

/// Removes connections that were deleted, with what is left of their credentials, a batch of them. What the logs say of them stays.
/// How many there were.
///
/// # Errors
/// When the database refuses or is gone.
pub async fn purge(tx: &mut TenantTx, clock: &Clock, due: Due) -> Result<u64, DbError> {
    let ids = store::purge(tx, due, BATCH).await?;
    for id in &ids {
        let change = Change {
            action: "connection.purge",
            resource: "connection",
            resource_id: Some(*id),
            before: None,
            after: None,
        };
        trail::audit(tx, clock, change).await?;
    }
    Ok(u64::try_from(ids.len()).unwrap_or(u64::MAX))
}
