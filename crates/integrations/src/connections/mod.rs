//! Connections: one external account of one organization, with its credential. A webshop connection is a *store*.
//!
//! [`Stores`] is what every live read goes through: the account, the switches and the opened credential, from memory while
//! this node hears of changes. [`credential::fresh`] keeps tokens alive ahead of their expiry.

pub mod api;
pub mod credential;
pub mod model;
pub(crate) mod store;
mod stores;

use connector::provider::{ConnectError, Established};
use kernel::{ConnectionId, CredentialId, TenantScope};
use kit::{
    App, Code, Problem, data_keys,
    trail::{self, Change, Event},
    vault::Scope,
};
use serde_json::json;

use crate::data_access::model::DataAccess;

pub use stores::{Store, Stores};

use model::{NewConnection, Status};
use store::ConnectionRow;

/// Writes a connection with its credential sealed under a data key of its own. The account was proven before, with no
/// transaction open.
///
/// # Errors
/// [`Code::Conflict`] when the account is connected already.
pub async fn insert(app: &App, scope: &TenantScope, new: NewConnection) -> Result<ConnectionRow, Problem> {
    let id = ConnectionId::new(&app.clock);
    let now = app.clock.now();
    let mut tx = app.db.tenant(scope).await?;
    let row = store::insert(&mut tx, id, &new, scope.actor().user(), now).await.map_err(|error| match error {
        db::DbError::Constraint { constraint } if constraint == "connections_by_account" => {
            Problem::new(Code::Conflict, "This account is connected already. Change its credential instead.")
        }
        other => other.into(),
    })?;
    let key = data_keys::create(&mut tx, &app.keyring, &app.clock, Scope::Connection(id)).await?;
    let credential_id = CredentialId::new(&app.clock);
    credential::insert(&mut tx, &app.clock, &key, id, credential_id, &new.established).await?;
    let change = Change {
        action: "connection.create",
        resource: "connection",
        resource_id: Some(id.uuid()),
        before: None,
        after: Some(json!({
            "provider_key": new.provider_key,
            "external_account": row.external_account,
            "scopes": row.scopes,
            "data_access_permissions": new.data_access,
        })),
    };
    trail::audit(&mut tx, &app.clock, change).await?;
    let event = Event::info("connection.connected", format!("{} was connected.", row.display_name)).of(id);
    trail::event(&mut tx, &app.clock, event.with(json!({ "provider_key": new.provider_key }))).await?;
    tx.commit().await?;
    Ok(row)
}

/// Gives a connection a new credential for the same account; the old one is gone at once.
///
/// # Errors
/// [`Code::ConnectRefused`] when the credential is for another account, [`Code::NotFound`] for an unknown connection.
pub async fn replace_credential(
    app: &App,
    scope: &TenantScope,
    id: ConnectionId,
    established: Established,
) -> Result<ConnectionRow, Problem> {
    let now = app.clock.now();
    let mut tx = app.db.tenant(scope).await?;
    let before = store::find_for_update(&mut tx, id).await?.ok_or_else(Problem::not_found)?;
    if before.external_account.as_deref() != Some(established.external_account.as_str()) {
        return Err(Problem::new(
            Code::ConnectRefused,
            "These credentials are for another account. Connect that one as a connection of its own.",
        ));
    }
    let old = store::active_credential(&mut tx, id).await?;
    let key = match &old {
        Some(old) => data_keys::open(&mut tx, &app.keyring, old.data_key_id.into()).await?,
        None => None,
    };
    let key = match (key, store::data_key_of(&mut tx, id).await?) {
        (Some(key), _) => key,
        (None, Some(existing)) => data_keys::open(&mut tx, &app.keyring, existing).await?.ok_or_else(|| {
            Problem::new(Code::Conflict, "This connection's key was destroyed. Connect the account anew.")
        })?,
        (None, None) => data_keys::create(&mut tx, &app.keyring, &app.clock, Scope::Connection(id)).await?,
    };
    store::revoke_credential(&mut tx, id, now).await?;
    let credential_id = CredentialId::new(&app.clock);
    credential::insert(&mut tx, &app.clock, &key, id, credential_id, &established).await?;
    let row = store::reconnect(&mut tx, id, &established, now).await?;
    let change = Change {
        action: "credential.set",
        resource: "connection",
        resource_id: Some(id.uuid()),
        before: Some(json!({ "status": before.status, "scopes": before.scopes })),
        after: Some(json!({ "status": row.status, "scopes": row.scopes, "credential_id": credential_id })),
    };
    trail::audit(&mut tx, &app.clock, change).await?;
    let event = Event::info("credential.set", format!("{} has a new credential.", row.display_name)).of(id);
    trail::event(&mut tx, &app.clock, event).await?;
    tx.commit().await?;
    app.slice::<Stores>().forget(scope.organization(), id);
    Ok(row)
}

/// Takes the credential away and keeps the connection. The sealed bytes are erased, not only marked.
///
/// # Errors
/// [`Code::NotFound`] for an unknown connection.
pub async fn revoke_credential(app: &App, scope: &TenantScope, id: ConnectionId) -> Result<ConnectionRow, Problem> {
    let now = app.clock.now();
    let mut tx = app.db.tenant(scope).await?;
    let before = store::find_for_update(&mut tx, id).await?.ok_or_else(Problem::not_found)?;
    if store::revoke_credential(&mut tx, id, now).await? == 0 {
        return Ok(before);
    }
    let cause = "The credential was revoked. Set a new one to go on.";
    let row = store::set_status(&mut tx, id, Status::NeedsReauth, Some(cause), now).await?;
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
    tx.commit().await?;
    app.slice::<Stores>().forget(scope.organization(), id);
    Ok(row)
}

/// What a person may change of a connection.
pub struct Edit {
    pub display_name: Option<String>,
    pub enabled_capabilities: Option<Vec<String>>,
}

/// # Errors
/// [`Code::NotFound`] for an unknown connection.
pub async fn edit(app: &App, scope: &TenantScope, id: ConnectionId, edit: Edit) -> Result<ConnectionRow, Problem> {
    let now = app.clock.now();
    let mut tx = app.db.tenant(scope).await?;
    let before = store::find_for_update(&mut tx, id).await?.ok_or_else(Problem::not_found)?;
    if let Some(capabilities) = &edit.enabled_capabilities {
        model::refuse_unknown_capabilities(app, &before.provider_key, capabilities)?;
    }
    let row = store::edit(&mut tx, id, &edit, now).await?;
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

/// A failed connect, for people.
pub fn connect_problem(error: ConnectError) -> Problem {
    match error {
        ConnectError::Invalid { field, message } => {
            let pointer = format!("/{field}");
            Problem::new(Code::ConnectRefused, message.clone())
                .with_error(kit::problem::FieldError { pointer, detail: message })
        }
        ConnectError::Provider(error) => crate::live::problem::of_provider(&error),
    }
}

/// The default for a new connection, or what the person chose.
pub fn chosen(data_access: Option<DataAccess>) -> DataAccess {
    data_access.unwrap_or_default()
}
