//! Connecting through a provider's consent page, in two forms.
//!
//! [`code`]: OAuth 2 with the authorization-code grant. Nobody types a shop's address (Shopify's review forbids it). A person
//! starts here and is given a *pairing*: a sealed cookie and a single-use row. The provider's install page then sends them to
//! our app URL, naming the account; the pairing becomes an *authorization* for that account, whose state travels to the
//! consent page and back.
//!
//! [`granted`]: a shop makes keys itself and hands them over from server to server, with our state beside them. The keys wait,
//! sealed, for whoever began.
//!
//! In both, the way back must come from the session that began, for the same account, once. What is left of their rights by
//! then is asked anew.

pub mod api;
pub(crate) mod code;
#[cfg(test)]
mod fuzz;
pub(crate) mod granted;
mod handovers;
mod store;

pub use handovers::Handovers;

use std::collections::BTreeMap;

use connector::{Established, Provider, provider::Unverified};
use db::{DbError, SystemTask, SystemTx};
use hmac::{Hmac, KeyInit, Mac};
use kernel::{Actor, ConnectionId, Denied, OrganizationId, Permission, SessionId, TenantScope, Time, UserId, random};
use kit::{App, Code, Problem, rate_limit::RateLimit, retention::BATCH};
use serde_json::Value;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use url::Url;

use crate::{
    connections::{self, api::UpdateConnections, model, store::ConnectionRow},
    data_access::model::DataAccess,
};

/// How long a person may take from start to consent.
pub const LIFETIME: chrono::Duration = chrono::Duration::minutes(15);

/// Somebody on the way to a consent page.
pub(crate) struct Traveller {
    pub(crate) organization: OrganizationId,
    user: UserId,
    session: SessionId,
    provider_key: String,
    external_account: Option<String>,
    /// None: nothing was chosen.
    data_access: Option<DataAccess>,
    /// The connection that is to be proved anew. None: one is to be made.
    pub(crate) connection: Option<ConnectionId>,
    /// Whether the account may be taken from another organization.
    is_transfer: bool,
    /// The public fields of the form, where the way begins with them.
    config: Option<Value>,
    /// What the shop has handed over.
    sealed_keys: Option<Vec<u8>>,
    expires_at: Time,
}

/// What a person chooses before they go.
#[derive(Default)]
pub(crate) struct Wishes {
    pub(crate) data_access: Option<DataAccess>,
    pub(crate) is_transfer: bool,
    pub(crate) config: Option<BTreeMap<String, String>>,
}

/// Somebody is on the way.
pub(crate) struct Begun {
    pub(crate) url: Url,
    /// For the cookie of this browser, where the way begins with a pairing.
    pub(crate) pairing: Option<String>,
    pub(crate) expires_at: Time,
}

/// Begins to connect an account.
///
/// # Errors
/// [`Code::NotSupportedByPlatform`] for a provider without a consent page, or not configured here; [`Code::ConnectRefused`]
/// for an address that is no shop's.
pub(crate) async fn start(
    app: &App,
    scope: &TenantScope,
    provider_key: &str,
    wishes: Wishes,
) -> Result<Begun, Problem> {
    let provider = app.providers.get(provider_key).ok_or_else(Problem::not_found)?;
    let manifest = provider.manifest();
    let mut traveller = traveller(app, scope, provider)?;
    refuse_too_many(app, scope).await?;
    traveller.data_access = wishes.data_access;
    traveller.is_transfer = wishes.is_transfer;
    if wishes.is_transfer && !manifest.is_exclusive {
        return Err(Problem::invalid(
            "/transfer",
            "accounts of this provider can be connected to several organizations",
        ));
    }
    if provider.granted_keys().is_some() {
        let config = model::public_fields(provider, wishes.config.unwrap_or_default())?;
        return granted::start(app, scope, provider, traveller, config).await;
    }
    if wishes.config.is_some() {
        return Err(Problem::invalid("/config", "the account is chosen at this provider, not here"));
    }
    code::start(app, scope, provider, traveller).await
}

/// Begins to prove the account of a connection anew: at the consent page of that account at once.
///
/// # Errors
/// As [`start`]; [`Code::NotFound`] for an unknown connection.
pub(crate) async fn start_again(app: &App, scope: &TenantScope, id: ConnectionId) -> Result<Begun, Problem> {
    let mut tx = app.db.tenant(scope).await?;
    let row = connections::store::find(&mut tx, id).await?.ok_or_else(Problem::not_found)?;
    tx.commit().await?;
    let provider = app.providers.get(&row.provider_key).ok_or_else(|| Problem::internal(&"a provider is missing"))?;
    let mut traveller = traveller(app, scope, provider)?;
    refuse_too_many(app, scope).await?;
    traveller.connection = Some(id);
    traveller.external_account = row.external_account;
    if provider.granted_keys().is_some() {
        let config = model::public_fields(provider, model::fields_of(provider, &row.config))?;
        return granted::start(app, scope, provider, traveller, config).await;
    }
    code::start_again(app, scope, provider, traveller).await
}

fn traveller(app: &App, scope: &TenantScope, provider: &dyn Provider) -> Result<Traveller, Problem> {
    let Actor::Person { user, session } = scope.actor() else {
        return Err(Problem::new(Code::Forbidden, "Only a person can give consent. Sign in."));
    };
    Ok(Traveller {
        organization: scope.organization(),
        user,
        session,
        provider_key: provider.manifest().key.to_owned(),
        external_account: None,
        data_access: None,
        connection: None,
        is_transfer: false,
        config: None,
        sealed_keys: None,
        expires_at: app.clock.now() + LIFETIME,
    })
}

impl Traveller {
    /// Whoever comes back is whoever began.
    fn expect_session(&self, session: Option<SessionId>) -> Result<(), Problem> {
        if session == Some(self.session) {
            return Ok(());
        }
        Err(Problem::new(Code::OauthSessionMismatch, "Finish in the browser and the session that you began with."))
    }

    /// The account is the one that the way was begun with.
    fn expect_account(&self, account: &str) -> Result<(), Problem> {
        if self.external_account.as_deref() == Some(account) {
            return Ok(());
        }
        Err(Problem::new(
            Code::OauthAccountMismatch,
            "The consent is for another shop than the one that was begun with.",
        ))
    }
}

/// Keeps an account that was proved: a new connection, or a new credential for the one that there is, with what may be read of
/// it as it was unless something was chosen.
async fn keep(
    app: &App,
    scope: &TenantScope,
    provider: &'static dyn Provider,
    traveller: &Traveller,
    established: Established,
) -> Result<ConnectionRow, Problem> {
    traveller.expect_account(&established.external_account)?;
    let provider_key = provider.manifest().key;
    match may_keep(app, scope, provider, traveller, &established.external_account).await? {
        Some(id) => connections::replace_credential(app, scope, id, established, traveller.data_access).await,
        None => {
            let new = model::NewConnection {
                provider_key,
                display_name: None,
                established,
                enabled_capabilities: model::default_capabilities(provider),
                data_access: traveller.data_access,
            };
            connections::insert(app, scope, new).await
        }
    }
}

/// The connection that there is of an account, if the caller may give it a new credential; None for an account that is new.
async fn may_keep(
    app: &App,
    scope: &TenantScope,
    provider: &'static dyn Provider,
    traveller: &Traveller,
    account: &str,
) -> Result<Option<ConnectionId>, Problem> {
    let known = match traveller.connection {
        Some(id) => Some(id),
        None => {
            let mut tx = app.db.tenant(scope).await?;
            let known = connections::store::find_by_account(&mut tx, provider.manifest().key, account).await?;
            tx.commit().await?;
            known.map(|known| known.id)
        }
    };
    // Whoever may connect accounts may not therefore change this one.
    let (resource, action) = (UpdateConnections::RESOURCE, UpdateConnections::ACTION);
    match known {
        Some(id) if !scope.rights().at(id).contains(resource, action) => Err(Denied { resource, action }.into()),
        known => Ok(known),
    }
}

/// Removes attempts that ran out by then, a batch of them. How many there were.
///
/// # Errors
/// When the database refuses or is gone.
pub async fn purge(tx: &mut SystemTx, by: Time) -> Result<u64, DbError> {
    store::purge(tx, by, BATCH).await
}

fn address(app: &App, provider_key: &str, step: &str) -> Result<Url, Problem> {
    let path = format!("/api/oauth/{provider_key}/{step}");
    app.config.public_url.join(&path).map_err(|error| Problem::internal(&error))
}

fn refused(error: &Unverified) -> Problem {
    let code = match error {
        Unverified::Signature => Code::OauthSignatureInvalid,
        Unverified::Stale => Code::OauthRequestStale,
        Unverified::Account | Unverified::Parameter => Code::OauthRequestInvalid,
        Unverified::Denied => return denied(),
    };
    Problem::new(code, format!("This request was not made by the platform just now: {error}."))
}

fn denied() -> Problem {
    Problem::new(Code::OauthDenied, "The owner of the shop did not consent, so nothing was connected.")
}

fn used_up() -> Problem {
    Problem::new(Code::OauthStateInvalid, "This attempt was used already or has expired. Start again from Entrepot.")
}

fn hash(state: &[u8]) -> Vec<u8> {
    Sha256::digest(state).to_vec()
}

/// Hexadecimal characters of a state's random part, and of the proof that it is ours.
const STATE_RANDOM: usize = 32;
const STATE_PROOF: usize = 32;

/// A state that is about to travel. It carries a proof that we made it, for this provider: what strangers make up of this form is
/// refused without asking the database.
fn new_state(app: &App, provider_key: &str) -> String {
    let random = random::token();
    let proof = state_proof(app, provider_key, &random);
    format!("{random}{proof}")
}

/// What the database knows a state by. One without a proof, in the form of the versions up to migration 20261120000015, which may serve
/// beside this one while an upgrade rolls, is left for the database to know, for as long as it keeps states ([`LIFETIME`]).
///
/// # Errors
/// [`Code::OauthStateInvalid`] for what was not made by [`new_state`] and has not that form.
fn known_state(app: &App, provider_key: &str, state: &str) -> Result<Vec<u8>, Problem> {
    let (random, proof) = state.split_at_checked(STATE_RANDOM).ok_or_else(used_up)?;
    let is_hexadecimal = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if proof.is_empty() && is_hexadecimal(random) {
        return Ok(hash(state.as_bytes()));
    }
    let expected = state_proof(app, provider_key, random);
    if bool::from(expected.as_bytes().ct_eq(proof.as_bytes())) { Ok(hash(state.as_bytes())) } else { Err(used_up()) }
}

fn state_proof(app: &App, provider_key: &str, random: &str) -> String {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&*app.keyring.derive("oauth state"))
        .unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
    mac.update(provider_key.as_bytes());
    mac.update(&[0]);
    mac.update(random.as_bytes());
    let mut proof = hex::encode(mac.finalize().into_bytes());
    proof.truncate(STATE_PROOF);
    proof
}

/// Uses a state up that came back to where it must not, so that nobody comes back with it later.
///
/// # Errors
/// When the database is gone.
async fn burn(app: &App, provider_key: &str, state: &str) -> Result<(), Problem> {
    let hash = known_state(app, provider_key, state)?;
    let mut tx = app.db.system(SystemTask::OauthState).await?;
    store::burn(&mut tx, &hash).await?;
    Ok(tx.commit().await?)
}

/// Consents that a person may have under way at once.
const OPEN_MAX: i64 = 20;

/// # Errors
/// [`Code::RateLimited`] for who has begun too many, or calls too often.
async fn refuse_too_many(app: &App, scope: &TenantScope) -> Result<(), Problem> {
    // A start may ask a shop that a person names; they call no more often than they may read shops.
    let verdict = app.slice::<RateLimit>().take_for(scope.organization(), scope.actor()).await?;
    if !verdict.allowed {
        return Err(verdict.refusal());
    }
    let Some(user) = scope.actor().user() else { return Ok(()) };
    let mut tx = app.db.system(SystemTask::OauthState).await?;
    let open = store::count_open(&mut tx, user, app.clock.now()).await?;
    tx.rollback().await?;
    if open < OPEN_MAX {
        return Ok(());
    }
    let problem = Problem::new(
        Code::RateLimited,
        format!(
            "You have begun {OPEN_MAX} connections and finished none of them. Finish one, or wait until they have run out."
        ),
    );
    Err(problem.with_retry_after(LIFETIME.to_std().unwrap_or_default()))
}
