//! Credentials: sealed at rest, opened for a call, refreshed ahead of their expiry.

mod store;

use std::sync::Arc;

use connector::{Credential, KeyPair, ProviderError, Token, provider::Established};
use db::TenantTx;
use kernel::{
    Action, Clock, ConnectionId, CredentialId, OrganizationId, Resource, Secret, TenantScope, Time, scope::InternalTask,
};
use kit::{
    App, Code, Problem, data_keys,
    trail::{self, Event},
    vault::{self, Context, DataKey, Kind, Scope},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use zeroize::Zeroizing;

use super::{Store, Stores, store as connections};
use crate::problem;

/// How long before its expiry a token is refreshed in the background, while callers go on with it.
const AHEAD: chrono::Duration = chrono::Duration::minutes(5);
/// A token with less than this left may be dead when it arrives; callers wait for the new one.
const TOO_LATE: chrono::Duration = chrono::Duration::seconds(20);
/// Longer than a provider may take to answer; a node that dies meanwhile holds up the others no longer than this.
const TURN: chrono::Duration = chrono::Duration::seconds(40);
/// How often to look whether another node has renewed the token.
const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_millis(50);

/// The machine keeps credentials alive with exactly this right.
pub(crate) enum KeepCredentials {}
impl InternalTask for KeepCredentials {
    const NAME: &'static str = "credential_refresh";
    const PERMISSIONS: &'static [(Resource, Action)] = &[(Resource::Connections, Action::Update)];
}

/// What is sealed. Its form is ours, so that a stored credential outlives changes of the provider crates.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Plain<'a> {
    Keys { key: std::borrow::Cow<'a, str>, secret: std::borrow::Cow<'a, str> },
    Token { access: std::borrow::Cow<'a, str>, refresh: Option<std::borrow::Cow<'a, str>> },
}

fn context(organization: OrganizationId, connection: ConnectionId, id: CredentialId) -> Context {
    Context { organization, scope: Scope::Connection(connection), kind: Kind::CREDENTIAL, record: id.uuid() }
}

fn seal(key: &DataKey, context: &Context, credential: &Credential) -> Result<Vec<u8>, Problem> {
    let plain = match credential {
        Credential::Keys(pair) => Plain::Keys { key: pair.key.expose().into(), secret: pair.secret.expose().into() },
        Credential::Token(token) => Plain::Token {
            access: token.access.expose().into(),
            refresh: token.refresh.as_ref().map(|refresh| refresh.expose().into()),
        },
    };
    let bytes = Zeroizing::new(serde_json::to_vec(&plain).map_err(|error| Problem::internal(&error))?);
    vault::seal(key, context, &bytes).map_err(|error| Problem::internal(&error))
}

fn open(key: &DataKey, context: &Context, row: &store::CredentialRow) -> Result<Credential, Problem> {
    let bytes = vault::open(key, context, &row.sealed).map_err(|error| Problem::internal(&error))?;
    let plain: Plain<'_> =
        serde_json::from_slice(&bytes).map_err(|_| Problem::internal(&"a sealed credential has an unknown form"))?;
    Ok(match plain {
        Plain::Keys { key, secret } => Credential::Keys(KeyPair { key: Secret::new(key), secret: Secret::new(secret) }),
        Plain::Token { access, refresh } => Credential::Token(Token {
            access: Secret::new(access),
            refresh: refresh.map(Secret::new),
            expires_at: row.expires_at,
            refresh_expires_at: row.refresh_expires_at,
            scopes: row.scopes.clone(),
        }),
    })
}

/// Seals and writes the first credential of a connection, under a data key of the connection's own.
///
/// # Errors
/// [`Code::NotFound`] when the organization was deleted meanwhile.
pub(super) async fn insert(
    app: &App,
    tx: &mut TenantTx,
    connection: ConnectionId,
    established: &Established,
) -> Result<(), Problem> {
    let key = data_keys::create(tx, &app.keyring, &app.clock, Scope::Connection(connection)).await?;
    write(tx, &app.clock, &key, connection, established, None).await?;
    Ok(())
}

/// Gives a connection, which the caller has locked, another credential; the one before is erased. The ids of both.
///
/// # Errors
/// [`Code::NotFound`] when the organization, and the key with it, was deleted meanwhile.
pub(super) async fn replace(
    app: &App,
    tx: &mut TenantTx,
    connection: ConnectionId,
    established: &Established,
) -> Result<Replaced, Problem> {
    let old = store::active(tx, connection).await?;
    let existing = match &old {
        Some(old) => Some(old.data_key_id.into()),
        None => store::data_key_of(tx, connection).await?,
    };
    let key = match existing {
        Some(key) => data_keys::open_to_seal(tx, &app.keyring, key).await?.ok_or_else(Problem::not_found)?,
        None => data_keys::create(tx, &app.keyring, &app.clock, Scope::Connection(connection)).await?,
    };
    revoke(app, tx, connection).await?;
    let rotated_from = old.map(|old| old.id);
    let id = write(tx, &app.clock, &key, connection, established, rotated_from).await?;
    Ok(Replaced { id, rotated_from })
}

/// A new credential, and the one that it took the place of.
pub(super) struct Replaced {
    pub(super) id: CredentialId,
    pub(super) rotated_from: Option<CredentialId>,
}

/// Ends the active credential and erases its sealed bytes; false when there is none.
///
/// # Errors
/// When the database refuses.
pub(super) async fn revoke(app: &App, tx: &mut TenantTx, connection: ConnectionId) -> Result<bool, Problem> {
    Ok(store::revoke(tx, connection, app.clock.now()).await? > 0)
}

async fn write(
    tx: &mut TenantTx,
    clock: &Clock,
    key: &DataKey,
    connection: ConnectionId,
    established: &Established,
    rotated_from: Option<CredentialId>,
) -> Result<CredentialId, Problem> {
    let id = CredentialId::new(clock);
    let sealed = seal(key, &context(tx.organization(), connection, id), &established.credential)?;
    let (kind, hint, expires_at, refresh_expires_at) = match &established.credential {
        Credential::Keys(pair) => ("keys", hint(&pair.key), None, None),
        Credential::Token(token) => ("token", None, token.expires_at, token.refresh_expires_at),
    };
    let identity = key.identity();
    let new = store::NewCredential {
        id,
        connection,
        data_key: identity.id,
        key_version: i32::try_from(identity.version).unwrap_or(i32::MAX),
        kind,
        hint,
        sealed,
        scopes: &established.scopes,
        expires_at,
        refresh_expires_at,
        rotated_from,
        created_by: tx.scope().actor().user(),
        now: clock.now(),
    };
    store::insert(tx, new).await?;
    Ok(id)
}

/// The last four characters of a key, by which its owner knows it again. A short key would be told by them.
fn hint(key: &Secret) -> Option<String> {
    let characters: Vec<char> = key.expose().trim().chars().collect();
    let last = characters.len().checked_sub(4).filter(|before| *before >= 12)?;
    Some(format!("…{}", characters[last..].iter().collect::<String>()))
}

/// Reads and opens the active credential; None when there is none, or its key was destroyed.
pub(super) async fn load(app: &App, tx: &mut TenantTx, connection: ConnectionId) -> Result<Option<Opened>, Problem> {
    let Some(row) = store::active(tx, connection).await? else { return Ok(None) };
    let Some(key) = data_keys::open(tx, &app.keyring, row.data_key_id.into()).await? else { return Ok(None) };
    let credential = open(&key, &context(tx.organization(), connection, row.id), &row)?;
    Ok(Some(Opened { id: row.id, credential }))
}

/// A credential in the clear. Wiped when the last store that holds it is dropped.
pub struct Opened {
    pub id: CredentialId,
    pub credential: Credential,
}

/// When a credential must be seen to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    No,
    /// Refresh it in the background.
    Soon,
    /// Wait for the new one.
    Now,
}

fn due(credential: &Credential, now: Time) -> Due {
    match credential {
        Credential::Token(Token { refresh: Some(_), expires_at: Some(expires_at), .. }) => {
            if *expires_at <= now + TOO_LATE {
                Due::Now
            } else if *expires_at <= now + AHEAD {
                Due::Soon
            } else {
                Due::No
            }
        }
        // What cannot be refreshed or does not expire is tried until the shop refuses it.
        Credential::Token(_) | Credential::Keys(_) => Due::No,
    }
}

/// The store with a credential that will live through the call. However many ask, one refresh runs.
///
/// # Errors
/// [`Code::StoreReauthorizationRequired`] when the provider no longer takes the refresh token.
pub(crate) async fn fresh(app: &App, stores: &Stores, store: Arc<Store>) -> Result<Arc<Store>, Problem> {
    match due(&store.opened()?.credential, app.clock.now()) {
        Due::No => Ok(store),
        Due::Soon => {
            // The caller goes on with the token it has; whoever asks next finds the new one.
            let (app, stores, store_) = (app.clone(), stores.clone(), store.clone());
            tokio::spawn(async move {
                if let Err(problem) = refreshed(&app, &stores, &store_).await {
                    tracing::warn!(connection = %store_.id, code = problem.code().as_str(), "a token is not refreshed yet");
                }
            });
            Ok(store)
        }
        Due::Now => refreshed(app, stores, &store).await,
    }
}

/// The store with another credential than the one that the provider has just refused, if there can be one.
///
/// # Errors
/// As [`fresh`].
pub(crate) async fn after_refusal(
    app: &App,
    stores: &Stores,
    store: &Arc<Store>,
) -> Result<Option<Arc<Store>>, Problem> {
    match &store.opened()?.credential {
        Credential::Token(Token { refresh: Some(_), .. }) => refreshed(app, stores, store).await.map(Some),
        Credential::Token(_) | Credential::Keys(_) => Ok(None),
    }
}

/// Waits for the one refresh of this connection, started by whoever needs it first.
async fn refreshed(app: &App, stores: &Stores, stale: &Arc<Store>) -> Result<Arc<Store>, Problem> {
    let (task_app, task_stores, task_stale) = (app.clone(), stores.clone(), stale.clone());
    let outcome = stores
        .refreshes
        .run(stale.id, move || async move { refresh(&task_app, &task_stores, &task_stale).await.map_err(Arc::new) })
        .await;
    match outcome {
        Some(Ok(store)) => Ok(store),
        Some(Err(problem)) => Err(Problem::new(problem.code(), problem.detail().to_owned())),
        None => Err(Problem::internal(&"a token refresh panicked")),
    }
}

async fn refresh(app: &App, stores: &Stores, stale: &Arc<Store>) -> Result<Arc<Store>, Problem> {
    let scope = TenantScope::internal::<KeepCredentials>(stale.organization);
    let (current, turn) = loop {
        // Read again: whoever waited for the turn before this one may have been served already, here or on another node.
        let current = stores.read(app, &scope, stale.id).await?.ok_or_else(Problem::not_found)?;
        let opened = current.opened()?;
        let is_same = match (&opened.credential, &stale.opened()?.credential) {
            (Credential::Token(current), Credential::Token(stale)) => current.access == stale.access,
            _ => false,
        };
        if !is_same && due(&opened.credential, app.clock.now()) != Due::Now {
            return Ok(current);
        }
        if let Some(turn) = Turn::take(app, &scope, &current).await? {
            break (current, turn);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    };
    match renew(app, stores, &current).await {
        Ok(new) => save(app, stores, &scope, &current, turn, new).await,
        Err(problem) => {
            turn.give_back(app, &scope).await?;
            Err(problem)
        }
    }
}

/// The turn to renew a token, among all nodes. One that is not given back ends by itself.
struct Turn {
    credential: CredentialId,
    until: Time,
}

impl Turn {
    async fn take(app: &App, scope: &TenantScope, store: &Store) -> Result<Option<Self>, Problem> {
        let now = app.clock.now();
        let turn = Self { credential: store.opened()?.id, until: now + TURN };
        let mut tx = app.db.tenant(scope).await?;
        let taken = store::lease_refresh(&mut tx, turn.credential, now, turn.until).await?;
        tx.commit().await?;
        Ok(taken.then_some(turn))
    }

    async fn give_back(&self, app: &App, scope: &TenantScope) -> Result<(), Problem> {
        let mut tx = app.db.tenant(scope).await?;
        store::release_refresh(&mut tx, self.credential, self.until).await?;
        Ok(tx.commit().await?)
    }
}

/// Asks the provider, with no transaction open.
async fn renew(app: &App, stores: &Stores, current: &Store) -> Result<Token, Problem> {
    let Opened { credential: Credential::Token(token), .. } = current.opened()? else {
        return Err(Problem::internal(&"what is not a token cannot be renewed"));
    };
    let (Some(flow), Some(identity)) =
        (current.provider.authorization_code(), app.config.app_credentials(current.provider.manifest().key))
    else {
        return Err(Problem::internal(&"a token of a provider that is not configured cannot be refreshed"));
    };
    match flow.refresh(&app.http, &app.clock, identity, &current.account, token).await {
        Ok(new) => Ok(new),
        Err(error) => {
            metrics::counter!("entrepot_token_refresh_failures_total", "kind" => error.kind()).increment(1);
            stores.report(app, current, &error).await?;
            Err(match error {
                ProviderError::Unauthorized { .. } => Problem::new(
                    Code::StoreReauthorizationRequired,
                    "The shop's platform no longer renews our access. The store's owner must connect it again.",
                ),
                error => problem::of_provider(&error),
            })
        }
    }
}

/// Saves the new token before anybody uses it: a token that only this process knew would be lost with it.
async fn save(
    app: &App,
    stores: &Stores,
    scope: &TenantScope,
    current: &Store,
    turn: Turn,
    token: Token,
) -> Result<Arc<Store>, Problem> {
    let mut tx = app.db.tenant(scope).await?;
    if !connections::lock(&mut tx, current.id).await? {
        return Err(Problem::not_found());
    }
    let (stored, key) = match store::active(&mut tx, current.id).await? {
        // With the key held, so that a deletion of the organization is either seen here or destroys what is saved here.
        Some(row) => match data_keys::open_to_seal(&mut tx, &app.keyring, row.data_key_id.into()).await? {
            Some(key) => (row.id, key),
            None => return Err(taken_away()),
        },
        None => return Err(taken_away()),
    };
    let (scopes, expires_at, refresh_expires_at) = (token.scopes.clone(), token.expires_at, token.refresh_expires_at);
    let context = context(scope.organization(), current.id, turn.credential);
    let sealed = seal(&key, &context, &Credential::Token(token))?;
    let renewed = store::Renewed { sealed: &sealed, scopes: &scopes, expires_at, refresh_expires_at };
    if stored != turn.credential || !store::update_token(&mut tx, turn.credential, renewed, turn.until).await? {
        // Its owner connected the store anew meanwhile, or the turn was over: what is stored now is newer.
        tx.rollback().await?;
        return stores.read(app, scope, current.id).await?.ok_or_else(Problem::not_found);
    }
    connections::set_scopes(&mut tx, current.id, &scopes).await?;
    let event = Event::info("credential.refreshed", "The access token was renewed.").of(current.id);
    trail::event(&mut tx, &app.clock, event.with(json!({ "expires_at": expires_at }))).await?;
    tx.commit().await?;
    metrics::counter!("entrepot_token_refreshes_total").increment(1);
    stores.forget(current.organization, current.id);
    stores.read(app, scope, current.id).await?.ok_or_else(Problem::not_found)
}

/// The new token is dropped: whoever took the old one away meant this one too.
fn taken_away() -> Problem {
    Problem::new(
        Code::StoreReauthorizationRequired,
        "The credential was revoked while it was being renewed. The store's owner must set a new one.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_tells_long_keys_apart_and_nothing_of_short_ones() {
        assert_eq!(hint(&Secret::new("ck_0123456789abcdef".to_owned())).as_deref(), Some("…cdef"));
        assert_eq!(hint(&Secret::new("0123456789abcde".to_owned())), None);
        assert_eq!(hint(&Secret::new(String::new())), None);
    }
}
