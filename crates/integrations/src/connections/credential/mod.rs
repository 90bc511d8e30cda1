//! Credentials: sealed at rest, opened for a call, refreshed ahead of their expiry.

mod refresh;
mod save;
mod store;
mod turn;
mod under_way;

use connector::{Credential, KeyPair, Token, provider::Established};
use db::TenantTx;
use kernel::{Action, Clock, ConnectionId, CredentialId, OrganizationId, Resource, Secret, scope::InternalTask};
use kit::{
    App, Problem, data_keys,
    vault::{self, Context, DataKey, Kind, Scope},
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

pub(super) use refresh::Refreshes;
pub(crate) use refresh::{after_refusal, fresh};

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
    let old = store::active_identity(tx, connection).await?;
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
    Ok(Some(Opened { id: row.id, renewals: row.renewals, credential }))
}

/// A credential in the clear. Wiped when the last store that holds it is dropped.
pub struct Opened {
    pub id: CredentialId,
    /// How often it had been renewed when it was read.
    pub renewals: i64,
    pub credential: Credential,
}

impl Opened {
    pub(super) fn version(&self) -> Version {
        Version { id: self.id, renewals: self.renewals }
    }
}

/// Which token it was that a provider was asked with: the row is the same from one renewal to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) id: CredentialId,
    pub(super) renewals: i64,
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
