//! Switching connections off and on, pausing them, and ending them.

use std::time::Duration;

use ::jobs::enqueue;
use accounts::{notifications::Kind, organizations::jobs::DestroyShards, plans::jobs::ApplyPlan};
use connector::{Call, ProviderError};
use db::TenantTx;
use kernel::{ConnectionId, TenantScope};
use kit::{
    App, Code, Problem, data_keys,
    mail::Letter,
    trail::{self, Change, Event},
    vault::Scope,
};
use serde_json::json;

use super::{
    Store, Stores, credential, exclusive, hold, letters,
    model::{Action, Status},
    status_of,
    store::{self, ConnectionRow},
    written,
};

/// How long a platform may take to end our access; a person waits for it.
const REVOCATION: Duration = Duration::from_secs(15);

/// Switches a connection on again.
///
/// # Errors
/// [`Code::ConnectionStatusConflict`] when it is not off; [`Code::Conflict`] without a credential; [`Code::NotFound`].
pub async fn enable(app: &App, scope: &TenantScope, id: ConnectionId) -> Result<ConnectionRow, Problem> {
    switch(app, scope, id, Action::Enable).await
}

/// Switches a connection off: its shop is not asked until it is on again. It keeps its credential.
///
/// # Errors
/// [`Code::ConnectionStatusConflict`] when it is not connected; [`Code::NotFound`].
pub async fn disable(app: &App, scope: &TenantScope, id: ConnectionId) -> Result<ConnectionRow, Problem> {
    switch(app, scope, id, Action::Disable).await
}

/// No work in the background; live reads go on.
///
/// # Errors
/// [`Code::ConnectionStatusConflict`] when it is not connected; [`Code::NotFound`].
pub async fn pause(app: &App, scope: &TenantScope, id: ConnectionId) -> Result<ConnectionRow, Problem> {
    switch(app, scope, id, Action::Pause).await
}

/// Work in the background goes on.
///
/// # Errors
/// [`Code::ConnectionStatusConflict`] when it is not paused; [`Code::NotFound`].
pub async fn resume(app: &App, scope: &TenantScope, id: ConnectionId) -> Result<ConnectionRow, Problem> {
    switch(app, scope, id, Action::Resume).await
}

async fn switch(app: &App, scope: &TenantScope, id: ConnectionId, action: Action) -> Result<ConnectionRow, Problem> {
    let mut tx = app.db.tenant(scope).await?;
    let before = store::find_for_update(&mut tx, id).await?.ok_or_else(Problem::not_found)?;
    let status = status_of(&before)?.allow(action)?;
    if action == Action::Enable && before.credential_kind.is_none() {
        return Err(Problem::new(Code::Conflict, "The connection has no credential. Set one, then enable it."));
    }
    let name = &before.display_name;
    let (audited, event) = match action {
        Action::Enable => ("connection.enable", Event::info("connection.enabled", format!("{name} was enabled."))),
        Action::Disable => {
            let message = format!("{name} was disabled. Its shop is not asked until it is enabled.");
            ("connection.disable", Event::warning("connection.disabled", message))
        }
        Action::Pause => {
            let message = format!("{name} was paused: no work in the background. Live reads go on.");
            ("connection.pause", Event::info("connection.paused", message))
        }
        Action::Resume => ("connection.resume", Event::info("connection.resumed", format!("{name} was resumed."))),
        _ => return Err(Problem::internal(&"a connection is not switched like that")),
    };
    if matches!(action, Action::Pause | Action::Resume) {
        store::set_status_alone(&mut tx, id, status, app.clock.now()).await?;
    } else {
        store::set_status(&mut tx, id, status, None, app.clock.now()).await?;
    }
    let row = written(&mut tx, id).await?;
    audit(app, &mut tx, audited, &before, &row).await?;
    trail::event(&mut tx, &app.clock, event.of(id)).await?;
    tx.commit().await?;
    app.slice::<Stores>().forget(scope.organization(), id);
    Ok(row)
}

async fn audit(
    app: &App,
    tx: &mut TenantTx,
    action: &'static str,
    before: &ConnectionRow,
    after: &ConnectionRow,
) -> Result<(), Problem> {
    let change = Change {
        action,
        resource: "connection",
        resource_id: Some(after.id.uuid()),
        before: Some(json!({ "status": before.status })),
        after: Some(json!({ "status": after.status })),
    };
    Ok(trail::audit(tx, &app.clock, change).await?)
}

/// Why a connection ends, and what is known of our access at the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// By a person; the provider was asked to end our access, and did.
    Revoked,
    /// By a person; what is left at the provider is for its owner to take away.
    LeftBehind(&'static str),
    /// Its account is another organization's now, which the same app reads: at the provider nothing may be ended.
    Transferred,
}

/// Ends a connection: our access at the provider, where a call can do that, then the credential and the key that sealed it. The
/// row stays, so that an account that comes back finds its name, its switches and its logs. One that is disconnected stays so.
///
/// # Errors
/// [`Code::NotFound`]; [`Code::ConnectionStatusConflict`] when it was connected anew meanwhile.
pub async fn disconnect(app: &App, scope: &TenantScope, id: ConnectionId) -> Result<ConnectionRow, Problem> {
    let mut tx = app.db.tenant(scope).await?;
    let seen = store::find(&mut tx, id).await?.ok_or_else(Problem::not_found)?;
    tx.commit().await?;
    if status_of(&seen)?.allow(Action::Disconnect)? == status_of(&seen)? {
        return Ok(seen);
    }
    let ended = end_at_provider(app, scope, id).await?;
    if ended == Ended::Revoked {
        // A credential that was set while the provider was asked is not the one that it has ended.
        let mut tx = app.db.tenant(scope).await?;
        let now = store::find(&mut tx, id).await?.ok_or_else(Problem::not_found)?;
        tx.commit().await?;
        if now.credential_set_at > seen.credential_set_at {
            return Err(Problem::new(
                Code::ConnectionStatusConflict,
                "The connection was given a new credential meanwhile. Look at it, then disconnect it again.",
            ));
        }
    }
    let letter = |_: &str| None::<fn(&App, &str) -> Letter>;
    end_and_tell(app, scope, id, ended, letter).await
}

/// The same without asking the provider, and with a mail to the connection's people.
pub(super) async fn end<L: Fn(&App, &str) -> Letter>(
    app: &App,
    scope: &TenantScope,
    id: ConnectionId,
    ended: Ended,
    letter: impl Fn(&str) -> L,
) -> Result<ConnectionRow, Problem> {
    end_and_tell(app, scope, id, ended, |name| Some(letter(name))).await
}

async fn end_and_tell<L: Fn(&App, &str) -> Letter>(
    app: &App,
    scope: &TenantScope,
    id: ConnectionId,
    ended: Ended,
    letter: impl Fn(&str) -> Option<L>,
) -> Result<ConnectionRow, Problem> {
    let mut tx = app.db.tenant(scope).await?;
    hold(&mut tx).await?;
    let before = store::find_for_update(&mut tx, id).await?.ok_or_else(Problem::not_found)?;
    let status = status_of(&before)?;
    if status == Status::Disconnected {
        return Ok(before);
    }
    let after = status.allow(Action::Disconnect)?;
    credential::revoke(app, &mut tx, id).await?;
    // Also for backups of the database: what is in them of the credential can be opened nowhere.
    let keys = data_keys::mark_destroyed(&mut tx, &app.clock, Scope::Connection(id)).await?;
    // In case the program ends before the shards are gone.
    enqueue(&mut tx, &app.clock, &DestroyShards::default()).await?;
    exclusive::release(&mut tx, id).await?;
    let cause = match ended {
        Ended::Revoked => "The platform has ended our access.",
        Ended::LeftBehind(by_hand) => by_hand,
        Ended::Transferred => "Its account was connected to another organization, by consent given at the shop.",
    };
    let left = if ended == Ended::Revoked { None } else { Some(cause) };
    store::end(&mut tx, id, after, left, app.clock.now()).await?;
    let row = written(&mut tx, id).await?;
    audit(app, &mut tx, "connection.disconnect", &before, &row).await?;
    let name = &before.display_name;
    let event = match ended {
        Ended::Transferred => Event::warning("connection.transferred", format!("{name} was disconnected. {cause}")),
        Ended::LeftBehind(_) => Event::warning(
            "connection.disconnected",
            format!("{name} was disconnected. At the shop our access is left: {cause}"),
        ),
        Ended::Revoked => Event::info("connection.disconnected", format!("{name} was disconnected. {cause}")),
    };
    let meta = json!({ "is_revoked_at_provider": ended == Ended::Revoked, "data_keys_destroyed": keys.len() });
    trail::event(&mut tx, &app.clock, event.of(id).with(meta)).await?;
    if let Some(letter) = letter(name) {
        let notice = letters::notice(Kind::ConnectionTransferred, id, name);
        letters::tell(app, &mut tx, id, &notice, letter).await?;
    }
    // The place that it takes no longer may be one for a connection that the plan has paused.
    enqueue(&mut tx, &app.clock, &ApplyPlan {}).await?;
    tx.commit().await?;
    app.slice::<Stores>().forget(scope.organization(), id);
    if data_keys::destroy_shards(&app.keyring, &keys).await.is_err() {
        tracing::error!(connection = %id, "the key of a disconnected connection is still there");
    }
    Ok(row)
}

/// Asks the provider to end our access, with no transaction open. A provider that fails does not keep anybody from
/// disconnecting.
async fn end_at_provider(app: &App, scope: &TenantScope, id: ConnectionId) -> Result<Ended, Problem> {
    let stores = app.slice::<Stores>();
    let store = stores.read(app, scope, id).await?.ok_or_else(Problem::not_found)?;
    let by_hand = Ended::LeftBehind(store.provider.manifest().revoke_by_hand);
    let (Some(revocation), true) = (store.provider.revoke_access(), store.credential.is_some()) else {
        return Ok(by_hand);
    };
    if !exclusive::is_held(app, scope, store.provider, &store.account.external_account, id).await? {
        // Another organization may have connected the account since, and it is theirs that would end.
        return Ok(by_hand);
    }
    if store.status == Status::NeedsReauth {
        // The provider does not take it any more, so there is nothing to ask it with. Whether something of ours is left there, such as
        // an app that is installed, is not known.
        return Ok(by_hand);
    }
    let revoking = async {
        let store: std::sync::Arc<Store> = credential::fresh(app, stores, store).await?;
        let credential = &store.opened()?.credential;
        let http = store.http(app);
        let call = Call { http: &http, account: &store.account, credential, clock: &app.clock };
        match revocation.revoke(&call).await {
            Ok(()) | Err(ProviderError::Unauthorized { .. }) => Ok(()),
            Err(error) => Err(crate::problem::of_provider(&error)),
        }
    };
    Ok(match tokio::time::timeout(REVOCATION, revoking).await {
        Ok(Ok(())) => Ended::Revoked,
        Ok(Err(problem)) if problem.code() == Code::StoreReauthorizationRequired => Ended::Revoked,
        Ok(Err(problem)) => {
            tracing::warn!(connection = %id, code = problem.code().as_str(), "our access is not ended at the provider");
            by_hand
        }
        Err(_) => {
            tracing::warn!(connection = %id, "the provider takes too long to end our access");
            by_hand
        }
    })
}
