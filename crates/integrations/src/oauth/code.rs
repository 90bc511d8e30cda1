//! OAuth 2 with the authorization-code grant (RFC 6749, section 4.1).

use connector::{
    AppCredentials, AuthorizationCode, Provider,
    provider::{Callback, Install},
};
use db::SystemTask;
use kernel::{SessionId, TenantScope, random};
use kit::{App, Code, Problem, vault::TokenSealer};
use url::Url;

use super::{
    Begun, LIFETIME, Traveller, address, burn, hash, keep, known_state, new_state, refused, store, store::Step, used_up,
};
use crate::connections::{self, exclusive, places, store::ConnectionRow};

/// Begins with a pairing: the platform asks which account is meant.
///
/// # Errors
/// [`Code::NotSupportedByPlatform`] without a consent page, or an app of ours at the platform.
pub(super) async fn start(
    app: &App,
    scope: &TenantScope,
    provider: &'static dyn Provider,
    traveller: Traveller,
) -> Result<Begun, Problem> {
    let (flow, identity) = flow(app, provider)?;
    let (state, now) = (random::token(), app.clock.now());
    let mut tx = app.db.tenant(scope).await?;
    store::insert(tx.conn(), &hash(state.as_bytes()), Step::Pairing, &traveller, now).await?;
    tx.commit().await?;
    let sealed = pairings(app).seal(&[("provider", provider.manifest().key.as_bytes())], state.as_bytes(), now);
    let sealed = sealed.map_err(|error| Problem::internal(&error))?;
    let url = app.http.hosts().public(&flow.install_url(identity));
    Ok(Begun { url, pairing: Some(sealed), expires_at: traveller.expires_at })
}

/// Begins with the account known: its consent page.
///
/// # Errors
/// As [`start`].
pub(super) async fn start_again(
    app: &App,
    scope: &TenantScope,
    provider: &'static dyn Provider,
    traveller: Traveller,
) -> Result<Begun, Problem> {
    let (flow, identity) = flow(app, provider)?;
    let account =
        traveller.external_account.clone().ok_or_else(|| Problem::internal(&"a connection has no account"))?;
    let state = new_state(app, provider.manifest().key);
    let mut tx = app.db.tenant(scope).await?;
    store::insert(tx.conn(), &hash(state.as_bytes()), Step::Authorize, &traveller, app.clock.now()).await?;
    tx.commit().await?;
    let back = address(app, provider.manifest().key, "callback")?;
    let url = flow.authorize_url(identity, &Install { account }, &state, &back);
    Ok(Begun { url: app.http.hosts().public(&url), pairing: None, expires_at: traveller.expires_at })
}

/// The provider names the account: the pairing is used up and becomes an authorization. Where to go for consent.
///
/// # Errors
/// Those of a request that is not the provider's; [`Code::OauthRefused`] without a pairing, [`Code::OauthStateInvalid`] with
/// one that was used.
pub(super) async fn install(
    app: &App,
    provider_key: &str,
    raw_query: &str,
    pairing: Option<&str>,
) -> Result<Url, Problem> {
    let provider = app.providers.get(provider_key).ok_or_else(Problem::not_found)?;
    let (flow, identity) = flow(app, provider)?;
    let (provider_key, now) = (provider.manifest().key, app.clock.now());
    let Install { account } = flow.verify_install(identity, raw_query, now).map_err(|error| refused(&error))?;
    let pairing = pairing
        .and_then(|sealed| pairings(app).open(sealed, &[("provider", provider_key.as_bytes())], now).ok())
        .ok_or_else(|| {
            Problem::new(
                Code::OauthRefused,
                "Sign in to Entrepot first and start the connection there, in this browser.",
            )
        })?;
    let next = new_state(app, provider_key);
    let mut tx = app.db.system(SystemTask::OauthState).await?;
    let traveller = store::take(&mut tx, &hash(&pairing), Step::Pairing, provider_key, now).await?;
    let mut traveller = traveller.ok_or_else(used_up)?;
    traveller.external_account = Some(account.clone());
    traveller.expires_at = now + LIFETIME;
    store::insert(tx.conn(), &hash(next.as_bytes()), Step::Authorize, &traveller, now).await?;
    tx.commit().await?;
    let url = flow.authorize_url(identity, &Install { account }, &next, &address(app, provider_key, "callback")?);
    Ok(app.http.hosts().public(&url))
}

/// Somebody came back whom nobody began with: nobody comes back with this state any more.
///
/// # Errors
/// As [`take_return`].
pub(super) async fn burn_return(app: &App, provider_key: &str, raw_query: &str) -> Result<(), Problem> {
    let provider = app.providers.get(provider_key).ok_or_else(Problem::not_found)?;
    let (flow, identity) = flow(app, provider)?;
    let callback = flow.verify_callback(identity, raw_query, app.clock.now()).map_err(|error| refused(&error))?;
    burn(app, provider.manifest().key, &callback.state).await
}

/// A verified way back: whose it is, and the code to exchange.
pub(super) struct Return {
    pub(super) traveller: Traveller,
    callback: Callback,
}

/// Checks the way back: the provider's signature before anything else, then the state, once, for the account and the session
/// that it was begun with.
///
/// # Errors
/// One of the codes `oauth_…`.
pub(super) async fn take_return(
    app: &App,
    provider_key: &str,
    raw_query: &str,
    session: Option<SessionId>,
) -> Result<Return, Problem> {
    let provider = app.providers.get(provider_key).ok_or_else(Problem::not_found)?;
    let (flow, identity) = flow(app, provider)?;
    let (provider_key, now) = (provider.manifest().key, app.clock.now());
    let callback = flow.verify_callback(identity, raw_query, now).map_err(|error| refused(&error))?;
    let hash = known_state(app, provider_key, &callback.state)?;
    let mut tx = app.db.system(SystemTask::OauthState).await?;
    let traveller = store::take(&mut tx, &hash, Step::Authorize, provider_key, now).await?;
    // Used up also when what follows refuses it: a state is tried once.
    tx.commit().await?;
    let traveller = traveller.ok_or_else(used_up)?;
    traveller.expect_session(session)?;
    traveller.expect_account(&callback.account)?;
    Ok(Return { traveller, callback })
}

/// Exchanges the code and keeps the account. One that another organization holds is taken from it where that was wished for:
/// that the exchange works proves that the account's owner has just consented.
///
/// # Errors
/// Those of the provider, [`Code::AccountConnectedElsewhere`], and [`Code::OauthAccountMismatch`] for an access to another
/// account than the one that was named.
pub(super) async fn finish(
    app: &App,
    scope: &TenantScope,
    provider_key: &str,
    given: Return,
) -> Result<ConnectionRow, Problem> {
    let provider = app.providers.get(provider_key).ok_or_else(Problem::not_found)?;
    let (flow, identity) = flow(app, provider)?;
    let Return { traveller, callback } = given;
    let holder = exclusive::other_holder(app, provider, &callback.account, scope.organization()).await?;
    if holder.is_some() && !traveller.is_transfer {
        return Err(exclusive::elsewhere());
    }
    if holder.is_some() {
        // Before anything is taken from anybody.
        let own = super::may_keep(app, scope, provider, &traveller, &callback.account).await?;
        if own.is_none() {
            connections::refuse_known_account(app, scope, provider.manifest().key, &callback.account).await?;
        }
        places::refuse(app, scope, provider.manifest().key, own).await?;
    }
    let established = flow
        .exchange(&app.http, &app.clock, identity, &callback)
        .await
        .map_err(|error| crate::problem::of_provider(&error))?;
    traveller.expect_account(&established.external_account)?;
    if let Some(holder) = holder {
        exclusive::take_from(app, holder).await?;
    }
    keep(app, scope, provider, &traveller, established).await
}

fn flow<'a>(
    app: &'a App,
    provider: &'static dyn Provider,
) -> Result<(&'static dyn AuthorizationCode, &'a AppCredentials), Problem> {
    let manifest = provider.manifest();
    let flow = provider.authorization_code().ok_or_else(|| {
        Problem::new(
            Code::NotSupportedByPlatform,
            format!("{} is connected with keys, not by an authorization code.", manifest.label),
        )
    })?;
    let identity = app.config.app_credentials(manifest.key).ok_or_else(|| {
        Problem::new(
            Code::NotSupportedByPlatform,
            format!("This installation has no app at {}. Its operator can configure one.", manifest.label),
        )
    })?;
    Ok((flow, identity))
}

fn pairings(app: &App) -> TokenSealer {
    TokenSealer::new(&app.keyring, "oauth pairing", LIFETIME)
}
