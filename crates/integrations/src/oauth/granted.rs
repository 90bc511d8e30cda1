//! Keys that a shop makes once its owner consents, and hands over from server to server.
//!
//! Whoever knows a state could have somebody else consent to it, so what a shop hands over connects nothing by itself: the keys
//! are proved at the shop that the state names, wait sealed beside the state, and are used when the browser comes back in the
//! session that began (`docs/adr/0033-granted-keys-wait-for-the-browser.md`).

use std::time::Duration;

use connector::{
    Established, Provider,
    provider::{GrantRequest, GrantedKeys, PastedSecrets},
};
use db::SystemTask;
use kernel::{Secret, SessionId, TenantScope};
use kit::{App, Code, Problem, vault::TokenSealer};
use serde_json::Value;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    Begun, LIFETIME, Traveller, address, burn, denied, hash, keep, known_state, new_state, refused, store, store::Step,
    used_up,
};
use crate::connections::store::ConnectionRow;

/// A shop waits a minute for our answer, and takes its keys back without one.
const PROOF: Duration = Duration::from_secs(45);
/// How soon a browser that was faster than the shop looks again.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// How long keys wait before the session that began gets them. The browser that consented is sent back to us at once; if it is
/// another one, the attempt is over by then.
const SETTLES: chrono::Duration = chrono::Duration::seconds(4);

/// Begins at the shop that the public fields of the form name.
///
/// # Errors
/// [`Code::NotSupportedByPlatform`] where shops cannot reach us by https; [`Code::ConnectRefused`] for what is no shop.
pub(super) async fn start(
    app: &App,
    scope: &TenantScope,
    provider: &'static dyn Provider,
    mut traveller: Traveller,
    config: Value,
) -> Result<Begun, Problem> {
    let keys = granted(provider)?;
    // Simulated shops are on this machine, where there is nobody between.
    if !app.config.is_https() && !app.http.hosts().is_sandbox() {
        return Err(Problem::new(
            Code::NotSupportedByPlatform,
            "Shops hand keys to https addresses only, and this installation has none. Make a key in the shop and paste it.",
        ));
    }
    let key = provider.manifest().key;
    let (state, callback, return_to) =
        (new_state(app, key), address(app, key, "callback")?, address(app, key, "return")?);
    let mut tx = app.db.tenant(scope).await?;
    let organization = store::organization_name(&mut tx).await?.ok_or_else(Problem::not_found)?;
    tx.commit().await?;
    let request =
        GrantRequest { organization: &organization, state: &state, callback: &callback, return_to: &return_to };
    let page = keys.ask(&app.http, &app.clock, &config, &request).await.map_err(crate::problem::of_connect)?;
    if traveller.connection.is_some() {
        traveller.expect_account(&page.account)?;
    }
    traveller.external_account = Some(page.account);
    traveller.config = Some(config);
    let mut tx = app.db.tenant(scope).await?;
    store::insert(tx.conn(), &hash(state.as_bytes()), Step::Grant, &traveller, app.clock.now()).await?;
    tx.commit().await?;
    Ok(Begun { url: app.http.hosts().public(&page.url), pairing: None, expires_at: traveller.expires_at })
}

/// Takes what a shop hands over. Nothing else than success may be answered with 200: the shop then keeps the key.
///
/// # Errors
/// [`Code::OauthRequestInvalid`], [`Code::OauthStateInvalid`], [`Code::StoreScopeMissing`], and why the keys are not those of
/// the shop that was begun with.
pub(super) async fn hand_over(app: &App, provider_key: &str, body: &[u8]) -> Result<(), Problem> {
    let provider = app.providers.get(provider_key).ok_or_else(Problem::not_found)?;
    let keys = granted(provider)?;
    let handed = keys.read_keys(body).map_err(|error| refused(&error))?;
    let key = provider.manifest().key;
    let hash = known_state(app, key, &handed.state)?;
    let mut tx = app.db.system(SystemTask::OauthState).await?;
    let traveller = store::take(&mut tx, &hash, Step::Grant, key, app.clock.now()).await?;
    // Used up also when what follows refuses it: whoever guesses has the shop asked once.
    tx.commit().await?;
    let mut traveller = traveller.ok_or_else(used_up)?;
    if !handed.missing_scopes.is_empty() {
        let problem = Problem::new(Code::StoreScopeMissing, "The shop granted less than was asked for.");
        return Err(problem.with("missing_scopes", handed.missing_scopes));
    }
    prove(app, provider, keys, &traveller, &handed.secrets).await?;
    traveller.sealed_keys = Some(seal(app, &hash, &traveller, &handed.secrets)?);
    let mut tx = app.db.system(SystemTask::OauthState).await?;
    store::insert(tx.conn(), &hash, Step::Granted, &traveller, app.clock.now()).await?;
    tx.commit().await?;
    Ok(())
}

/// A browser came back that is not in the session that began: whoever began had somebody else consent, or lost their session.
///
/// # Errors
/// As [`take_return`].
pub(super) async fn burn_return(app: &App, provider_key: &str, raw_query: &str) -> Result<(), Problem> {
    let provider = app.providers.get(provider_key).ok_or_else(Problem::not_found)?;
    let returned = granted(provider)?.read_return(raw_query).map_err(|error| refused(&error))?;
    burn(app, provider.manifest().key, &returned.state).await
}

/// The browser is back, in the session that began, and the keys are here.
pub(super) struct Return {
    pub(super) traveller: Traveller,
    secrets: PastedSecrets,
}

/// Checks the way back: the state, once, for the session that began.
///
/// # Errors
/// One of the codes `oauth_…`; [`Code::OauthRefused`] with the time to come back at when the shop is slower than the browser.
pub(super) async fn take_return(
    app: &App,
    provider_key: &str,
    raw_query: &str,
    session: Option<SessionId>,
) -> Result<Return, Problem> {
    let provider = app.providers.get(provider_key).ok_or_else(Problem::not_found)?;
    let returned = granted(provider)?.read_return(raw_query).map_err(|error| refused(&error))?;
    let (key, now) = (provider.manifest().key, app.clock.now());
    let hash = known_state(app, key, &returned.state)?;
    let step = if returned.is_granted { Step::Granted } else { Step::Grant };
    let mut tx = app.db.system(SystemTask::OauthState).await?;
    let traveller = match session {
        Some(session) => store::take_settled(&mut tx, &hash, step, key, (session, now - SETTLES), now).await?,
        None => store::take(&mut tx, &hash, step, key, now).await?,
    };
    let is_awaited = match session {
        Some(session) if traveller.is_none() && returned.is_granted => {
            store::is_awaited(&mut tx, &hash, key, session, now).await?
        }
        _ => false,
    };
    tx.commit().await?;
    let Some(mut traveller) = traveller else {
        return Err(if is_awaited { not_yet() } else { used_up() });
    };
    traveller.expect_session(session)?;
    if !returned.is_granted {
        return Err(denied());
    }
    let sealed = traveller.sealed_keys.take().ok_or_else(used_up)?;
    let secrets = open(app, &hash, &traveller, &sealed)?;
    Ok(Return { traveller, secrets })
}

/// Proves the keys once more, since a shop takes them back where our answer did not reach it, and keeps the account.
///
/// # Errors
/// As [`hand_over`], and those of keeping it.
pub(super) async fn finish(
    app: &App,
    scope: &TenantScope,
    provider_key: &str,
    given: Return,
) -> Result<ConnectionRow, Problem> {
    let provider = app.providers.get(provider_key).ok_or_else(Problem::not_found)?;
    let established = prove(app, provider, granted(provider)?, &given.traveller, &given.secrets).await?;
    keep(app, scope, provider, &given.traveller, established).await
}

/// Uses the keys, at the shop that the state names.
async fn prove(
    app: &App,
    provider: &dyn Provider,
    keys: &dyn GrantedKeys,
    traveller: &Traveller,
    secrets: &PastedSecrets,
) -> Result<Established, Problem> {
    let config = traveller.config.as_ref().ok_or_else(|| Problem::internal(&"a grant without its shop"))?;
    let proof = tokio::time::timeout(PROOF, keys.establish(&app.http, &app.clock, config, secrets)).await;
    let established = proof
        .map_err(|_| Problem::new(Code::StoreSlow, "The shop takes too long to prove the keys that it made."))?
        .map_err(crate::problem::of_connect)?;
    traveller.expect_account(&established.external_account)?;
    tracing::debug!(provider = provider.manifest().key, "keys that a shop handed over work there");
    Ok(established)
}

fn granted(provider: &'static dyn Provider) -> Result<&'static dyn GrantedKeys, Problem> {
    provider.granted_keys().ok_or_else(|| {
        Problem::new(Code::NotSupportedByPlatform, format!("{} does not hand over keys.", provider.manifest().label))
    })
}

fn sealer(app: &App) -> TokenSealer {
    TokenSealer::new(&app.keyring, "granted keys", LIFETIME)
}

fn seal(app: &App, hash: &[u8], traveller: &Traveller, secrets: &PastedSecrets) -> Result<Vec<u8>, Problem> {
    let plain: Vec<(&str, &str)> = secrets.0.iter().map(|(name, secret)| (name.as_str(), secret.expose())).collect();
    let plain = Zeroizing::new(serde_json::to_vec(&plain).map_err(|error| Problem::internal(&error))?);
    Ok(sealer(app).seal_stored(&plain, &bound_to(hash, &traveller.session.uuid()), app.clock.now()))
}

fn open(app: &App, hash: &[u8], traveller: &Traveller, sealed: &[u8]) -> Result<PastedSecrets, Problem> {
    let opened = sealer(app)
        .open_stored(sealed, &bound_to(hash, &traveller.session.uuid()), app.clock.now())
        .map_err(|_| used_up())?;
    let plain: Vec<(String, Secret)> =
        serde_json::from_slice(&opened).map_err(|_| Problem::internal(&"sealed keys have an unknown form"))?;
    Ok(PastedSecrets(plain))
}

/// Keys open for the attempt that they were handed over for.
fn bound_to<'a>(hash: &'a [u8], session: &'a Uuid) -> [(&'static str, &'a [u8]); 2] {
    [("state", hash), ("session", session.as_bytes())]
}

fn not_yet() -> Problem {
    Problem::new(Code::OauthRefused, "The shop is handing over its keys. This page looks again by itself in a moment.")
        .with_retry_after(LOOK_AGAIN)
}
