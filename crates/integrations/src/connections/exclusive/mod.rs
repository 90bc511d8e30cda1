//! Accounts that are connected to one organization at a time: those of providers whose messages name only the account, so that
//! nobody could say whose a message is (`docs/adr/0032-exclusive-accounts-are-claimed.md`).
//!
//! The claim is a row that all organizations share, made in the transaction that makes the connection. Who holds an account is
//! asked only for somebody who has just proved that the account is theirs, and told to nobody.

mod store;

use connector::Provider;
use db::{SystemTask, TenantTx};
use kernel::{Action as Doing, ConnectionId, OrganizationId, Resource, TenantScope, scope::InternalTask};
use kit::{App, Code, Problem};

use super::{letters, lifecycle};

/// The organization and the connection that hold an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    organization: OrganizationId,
    connection: ConnectionId,
}

/// Ends a connection whose account its owner has taken elsewhere.
enum GiveUpAccount {}
impl InternalTask for GiveUpAccount {
    const NAME: &'static str = "account_transfer";
    const PERMISSIONS: &'static [(Resource, Doing)] = &[(Resource::Connections, Doing::Update)];
}

/// Takes the account for a connection, until it is disconnected. Accounts of other providers are nobody's.
///
/// # Errors
/// [`Code::AccountConnectedElsewhere`].
pub(super) async fn claim(
    app: &App,
    tx: &mut TenantTx,
    provider_key: &str,
    external_account: &str,
    connection: ConnectionId,
) -> Result<(), Problem> {
    if !app.providers.get(provider_key).is_some_and(|provider| provider.manifest().is_exclusive) {
        return Ok(());
    }
    let is_ours = store::claim(tx, provider_key, external_account, connection, app.clock.now()).await?
        || store::holds(tx, provider_key, external_account, connection).await?;
    if is_ours { Ok(()) } else { Err(elsewhere()) }
}

/// Whether a connection holds its account, or its account is of those that many may hold.
///
/// # Errors
/// When the database refuses or is gone.
pub(super) async fn is_held(
    app: &App,
    scope: &TenantScope,
    provider: &'static dyn Provider,
    external_account: &str,
    connection: ConnectionId,
) -> Result<bool, Problem> {
    if !provider.manifest().is_exclusive {
        return Ok(true);
    }
    let mut tx = app.db.tenant(scope).await?;
    let holds = store::holds(&mut tx, provider.manifest().key, external_account, connection).await?;
    tx.commit().await?;
    Ok(holds)
}

/// Lets the account go.
///
/// # Errors
/// When the database refuses or is gone.
pub(super) async fn release(tx: &mut TenantTx, connection: ConnectionId) -> Result<(), Problem> {
    Ok(store::release(tx, connection).await?)
}

/// Who else holds an account, for somebody of `organization` who came back from its consent page.
///
/// # Errors
/// When the database is gone.
pub(crate) async fn other_holder(
    app: &App,
    provider: &dyn Provider,
    external_account: &str,
    organization: OrganizationId,
) -> Result<Option<Holder>, Problem> {
    let manifest = provider.manifest();
    if !manifest.is_exclusive {
        return Ok(None);
    }
    let mut tx = app.db.system(SystemTask::ExclusiveAccount).await?;
    let holder = store::holder(&mut tx, manifest.key, external_account).await?;
    tx.rollback().await?;
    let holder = holder.map(|(organization, connection)| Holder { organization, connection });
    Ok(holder.filter(|holder| holder.organization != organization))
}

/// Ends the connection that holds an account, which a fresh consent of the account's owner allows. Its people are told, and
/// not whose the account is now.
///
/// # Errors
/// When the database is gone.
pub(crate) async fn take_from(app: &App, holder: Holder) -> Result<(), Problem> {
    let scope = TenantScope::internal::<GiveUpAccount>(holder.organization);
    lifecycle::end(app, &scope, holder.connection, lifecycle::Ended::Transferred, letters::transferred).await?;
    Ok(())
}

/// The account is another organization's.
pub(crate) fn elsewhere() -> Problem {
    Problem::new(
        Code::AccountConnectedElsewhere,
        "This account is connected to another organization. If it is yours, start again with transfer: true and consent there: \
         it is then moved here, and disconnected where it is now.",
    )
}
