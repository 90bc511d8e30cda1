//! Connections: one external account of one organization, with its credential. A webshop connection is a *store*.
//!
//! [`Stores`] is what every live read goes through: the account, the switches and the opened credential, from memory while
//! this node hears of changes. [`credential::fresh`] keeps tokens alive ahead of their expiry.

pub mod api;
pub mod credential;
mod deletion;
pub(crate) mod exclusive;
#[cfg(test)]
mod fuzz;
mod letters;
mod lifecycle;
pub mod model;
mod open_stores;
pub mod places;
pub(crate) mod store;

use accounts::{notifications::Kind, plans};
use connector::provider::Established;
use db::TenantTx;
use kernel::{ConnectionId, Denied, Resource, TenantScope};
use kit::{
    App, Code, Problem,
    trail::{self, Change, Event},
};
use serde_json::json;

use crate::data_access::{self, model::DataAccess};

pub use deletion::{delete, purge, restore};
pub use lifecycle::{disable, disconnect, enable, pause, resume};
pub(crate) use open_stores::passing;
pub use open_stores::{Store, Stores};

use model::{Action, NewConnection, Status};
use store::ConnectionRow;

/// Writes a connection with its credential sealed under a data key of its own. The account was proven before, with no
/// transaction open. One that was disconnected comes back, with its id.
///
/// # Errors
/// [`Code::Conflict`] when the account is connected already, [`Code::PlanLimitReached`] when the plan allows no more of the provider, [`Code::AccountConnectedElsewhere`] when another organization holds
/// it; [`Code::NotFound`] when the organization was deleted while the account was proven.
pub async fn insert(app: &App, scope: &TenantScope, new: NewConnection) -> Result<ConnectionRow, Problem> {
    let id = ConnectionId::new(&app.clock);
    let now = app.clock.now();
    let mut tx = app.db.tenant(scope).await?;
    hold(&mut tx).await?;
    let subscription = plans::hold(&mut tx, now).await?;
    match store::find_by_account(&mut tx, new.provider_key, &new.established.external_account).await? {
        Some(known) if known.is_disconnected => {
            tx.rollback().await?;
            return replace_credential(app, scope, known.id, new.established, new.data_access).await;
        }
        Some(_) => return Err(connected_already()),
        None => places::take(app, &mut tx, &subscription, new.provider_key).await?,
    }
    let name = new.display_name.clone().unwrap_or_else(|| model::own_name(&new.established));
    store::insert(&mut tx, id, &new, &name, scope.actor().user(), now).await.map_err(|error| match error {
        db::DbError::Constraint { constraint } if constraint == "connections_by_account" => connected_already(),
        other => other.into(),
    })?;
    exclusive::claim(app, &mut tx, new.provider_key, &new.established.external_account, id).await?;
    credential::insert(app, &mut tx, id, &new.established).await?;
    let row = written(&mut tx, id).await?;
    let change = Change {
        action: "connection.create",
        resource: "connection",
        resource_id: Some(id.uuid()),
        before: None,
        after: Some(json!({
            "provider_key": new.provider_key,
            "external_account": row.external_account,
            "scopes": row.scopes,
            "data_access_permissions": row.data_access_permissions.0,
        })),
    };
    trail::audit(&mut tx, &app.clock, change).await?;
    let event = Event::info("connection.connected", format!("{} was connected.", row.display_name)).of(id);
    trail::event(&mut tx, &app.clock, event.with(json!({ "provider_key": new.provider_key }))).await?;
    tx.commit().await?;
    Ok(row)
}

fn connected_already() -> Problem {
    Problem::new(Code::Conflict, "This account is connected already. Change its credential instead.")
}

/// Refuses an account that has a connection in this organization, also one that is hidden from whoever asks: before the account is
/// taken from another organization for a connection that could not be made.
///
/// # Errors
/// [`Code::Conflict`].
pub(crate) async fn refuse_known_account(
    app: &App,
    scope: &TenantScope,
    provider_key: &str,
    external_account: &str,
) -> Result<(), Problem> {
    let mut tx = app.db.tenant(scope).await?;
    let id = ConnectionId::new(&app.clock);
    let is_known = store::try_account(&mut tx, id, provider_key, external_account, app.clock.now()).await?;
    tx.rollback().await?;
    if is_known { Err(connected_already()) } else { Ok(()) }
}

/// Keeps the organization until the transaction ends.
///
/// # Errors
/// [`Code::NotFound`] when it was deleted.
async fn hold(tx: &mut TenantTx) -> Result<(), Problem> {
    if store::hold_organization(tx).await? { Ok(()) } else { Err(Problem::not_found()) }
}

/// Gives a connection a new credential for the same account; the old one is gone at once. What may be read of the store
/// stays as it is, unless the person chose it anew.
///
/// # Errors
/// [`Code::ConnectRefused`] when the credential is for another account, [`Code::AccountConnectedElsewhere`] when another
/// organization has taken the account meanwhile, [`Code::NotFound`] for an unknown connection.
pub async fn replace_credential(
    app: &App,
    scope: &TenantScope,
    id: ConnectionId,
    established: Established,
    data_access: Option<DataAccess>,
) -> Result<ConnectionRow, Problem> {
    if !scope.rights().at(id).contains(Resource::Connections, kernel::Action::Update) {
        return Err(Denied { resource: Resource::Connections, action: kernel::Action::Update }.into());
    }
    let now = app.clock.now();
    let mut tx = app.db.tenant(scope).await?;
    hold(&mut tx).await?;
    let subscription = plans::hold(&mut tx, now).await?;
    let before = store::find_for_update(&mut tx, id).await?.ok_or_else(Problem::not_found)?;
    if before.external_account.as_deref() != Some(established.external_account.as_str()) {
        return Err(Problem::new(
            Code::ConnectRefused,
            "These credentials are for another account. Connect that one as a connection of its own.",
        ));
    }
    let status = status_of(&before)?.allow(Action::Reauthorize)?;
    if status_of(&before)? == Status::Disconnected {
        places::take(app, &mut tx, &subscription, &before.provider_key).await?;
    }
    exclusive::claim(app, &mut tx, &before.provider_key, &established.external_account, id).await?;
    let replaced = credential::replace(app, &mut tx, id, &established).await?;
    store::reconnect(&mut tx, id, status, &established, now).await?;
    let mut row = written(&mut tx, id).await?;
    let change = Change {
        action: "credential.set",
        resource: "connection",
        resource_id: Some(id.uuid()),
        before: Some(json!({ "status": before.status, "scopes": before.scopes })),
        after: Some(
            json!({ "status": row.status, "scopes": row.scopes, "credential_id": replaced.id, "rotated_from": replaced.rotated_from }),
        ),
    };
    trail::audit(&mut tx, &app.clock, change).await?;
    let event = Event::info("credential.set", format!("{} has a new credential.", row.display_name)).of(id);
    trail::event(&mut tx, &app.clock, event).await?;
    if let Some(chosen) = data_access {
        data_access::change(&mut tx, &app.clock, &mut row, chosen, None).await?;
    }
    tx.commit().await?;
    app.slice::<Stores>().forget(scope.organization(), id);
    Ok(row)
}

/// Takes the credential away and keeps the connection. The sealed bytes are erased, not only marked. A connection that its
/// owner has disabled stays so.
///
/// # Errors
/// [`Code::NotFound`] for an unknown connection.
pub async fn revoke_credential(app: &App, scope: &TenantScope, id: ConnectionId) -> Result<ConnectionRow, Problem> {
    let now = app.clock.now();
    let mut tx = app.db.tenant(scope).await?;
    let before = store::find_for_update(&mut tx, id).await?.ok_or_else(Problem::not_found)?;
    if !credential::revoke(app, &mut tx, id).await? {
        return Ok(before);
    }
    let cause = "The credential was revoked. Set a new one to go on.";
    let status = status_of(&before)?.allow(Action::Revoke)?;
    store::set_status(&mut tx, id, status, Some(cause), now).await?;
    let row = written(&mut tx, id).await?;
    let change = Change {
        action: "credential.revoke",
        resource: "connection",
        resource_id: Some(id.uuid()),
        before: Some(json!({ "status": before.status })),
        after: Some(json!({ "status": row.status })),
    };
    trail::audit(&mut tx, &app.clock, change).await?;
    let event =
        Event::warning("credential.revoked", format!("The credential of {} was revoked.", row.display_name)).of(id);
    trail::event(&mut tx, &app.clock, event).await?;
    if status == Status::NeedsReauth && before.status != row.status {
        let notice = letters::notice(Kind::ConnectionNeedsReauth, id, &row.display_name);
        letters::tell(app, &mut tx, id, &notice, letters::needs_reauth(&row.display_name, cause)).await?;
    }
    tx.commit().await?;
    app.slice::<Stores>().forget(scope.organization(), id);
    Ok(row)
}

/// What a person may change of a connection.
pub struct Edit {
    pub seen: Seen,
    pub display_name: Option<String>,
    pub enabled_capabilities: Option<Vec<String>>,
}

/// Which versions of a connection (`model::version`) a change was decided on.
pub enum Seen {
    Any,
    OneOf(Vec<String>),
}

/// # Errors
/// [`Code::NotFound`] for an unknown connection, [`Code::PreconditionFailed`] for one that has changed since it was seen.
pub async fn edit(app: &App, scope: &TenantScope, id: ConnectionId, edit: Edit) -> Result<ConnectionRow, Problem> {
    let now = app.clock.now();
    let mut tx = app.db.tenant(scope).await?;
    let before = store::find_for_update(&mut tx, id).await?.ok_or_else(Problem::not_found)?;
    if let Seen::OneOf(versions) = &edit.seen
        && !versions.contains(&model::version(before.updated_at))
    {
        return Err(Problem::new(
            Code::PreconditionFailed,
            "Somebody has changed the connection since you have seen it. Read it again, then decide.",
        ));
    }
    if let Some(capabilities) = &edit.enabled_capabilities {
        model::refuse_unknown_capabilities(app, &before.provider_key, capabilities)?;
    }
    if edit.display_name.is_none() && edit.enabled_capabilities.is_none() {
        return Ok(before);
    }
    store::edit(&mut tx, id, &edit, now).await?;
    let row = written(&mut tx, id).await?;
    let shown = |row: &ConnectionRow| json!({ "display_name": row.display_name, "enabled_capabilities": row.enabled_capabilities });
    let change = Change {
        action: "connection.update",
        resource: "connection",
        resource_id: Some(id.uuid()),
        before: Some(shown(&before)),
        after: Some(shown(&row)),
    };
    trail::audit(&mut tx, &app.clock, change).await?;
    let event = Event::info("connection.updated", format!("{} was changed.", row.display_name)).of(id);
    trail::event(&mut tx, &app.clock, event.with(shown(&row))).await?;
    tx.commit().await?;
    app.slice::<Stores>().forget(scope.organization(), id);
    Ok(row)
}

/// A connection as it stands after this transaction wrote it.
async fn written(tx: &mut TenantTx, id: ConnectionId) -> Result<ConnectionRow, Problem> {
    store::find(tx, id).await?.ok_or_else(|| Problem::internal(&"a connection that was written is not there"))
}

fn status_of(row: &ConnectionRow) -> Result<Status, Problem> {
    Status::parse(&row.status).ok_or_else(|| Problem::internal(&"a connection has an unknown status"))
}
