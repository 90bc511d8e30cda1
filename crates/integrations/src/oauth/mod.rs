//! Connecting through a provider's consent page (OAuth 2, authorization-code grant).
//!
//! Nobody types a shop's address (Shopify's review forbids it). A person starts here and is given a *pairing*: a sealed cookie
//! and a single-use row. The provider's install page then sends them to our app URL, naming the account; the pairing
//! becomes an *authorization* for that account, whose state travels to the consent page and back. The way back must
//! come from the same session, for the same account, once.

pub mod api;
mod store;

use connector::provider::{AuthorizationCode, Callback, Install};
use db::{DbError, SystemTask, SystemTx};
use kernel::{Actor, Denied, OrganizationId, Permission, SessionId, TenantScope, Time, UserId, random};
use kit::{App, Code, Problem, vault::TokenSealer};
use sha2::{Digest, Sha256};
use url::Url;

use crate::{
    connections::{self, api::UpdateConnections, model, store::ConnectionRow},
    data_access::model::DataAccess,
};

/// How long a person may take from start to consent.
pub const LIFETIME: chrono::Duration = chrono::Duration::minutes(15);

/// Somebody on the way to a consent page.
struct Traveller {
    organization: OrganizationId,
    user: UserId,
    session: SessionId,
    provider_key: String,
    external_account: Option<String>,
    /// None: nothing was chosen.
    data_access: Option<DataAccess>,
}

/// Begins: the sealed pairing for the cookie, and where to go.
///
/// # Errors
/// [`Code::NotSupportedByPlatform`] for a provider without a consent page, or not configured here.
pub async fn start(
    app: &App,
    scope: &TenantScope,
    provider_key: &str,
    data_access: Option<DataAccess>,
) -> Result<(String, Url), Problem> {
    let (flow, identity, provider_key) = flow(app, provider_key)?;
    let Actor::Person { user, session } = scope.actor() else {
        return Err(Problem::new(Code::Forbidden, "Only a person can give consent. Sign in."));
    };
    let state = random::token();
    let traveller = Traveller {
        organization: scope.organization(),
        user,
        session,
        provider_key: provider_key.to_owned(),
        external_account: None,
        data_access,
    };
    let now = app.clock.now();
    let mut tx = app.db.tenant(scope).await?;
    store::insert_pairing(&mut tx, &hash(&state), &traveller, now, now + LIFETIME).await?;
    tx.commit().await?;
    let sealed = pairings(app).seal(&[("provider", provider_key.as_bytes())], state.as_bytes(), now);
    let sealed = sealed.map_err(|error| Problem::internal(&error))?;
    Ok((sealed, app.http.hosts().public(&flow.install_url(identity))))
}

/// The provider names the account: the pairing is used up and becomes an authorization. Where to go for consent.
///
/// # Errors
/// [`Code::OauthRefused`] when the request is not the provider's, or there is no pairing.
pub async fn install(app: &App, provider_key: &str, raw_query: &str, pairing: Option<&str>) -> Result<Url, Problem> {
    let (flow, identity, provider_key) = flow(app, provider_key)?;
    let now = app.clock.now();
    let Install { account } = flow.verify_install(identity, raw_query, now).map_err(|error| refused(&error))?;
    let pairing = pairing
        .and_then(|sealed| pairings(app).open(sealed, &[("provider", provider_key.as_bytes())], now).ok())
        .ok_or_else(|| {
            Problem::new(
                Code::OauthRefused,
                "Sign in to Entrepot first and start the connection there, in this browser.",
            )
        })?;
    let next = random::token();
    let mut tx = app.db.system(SystemTask::OauthState).await?;
    let traveller = store::take(&mut tx, &hash_bytes(&pairing), "pairing", provider_key, now).await?;
    let mut traveller = traveller.ok_or_else(used_up)?;
    traveller.external_account = Some(account.clone());
    store::insert_authorization(&mut tx, &hash(&next), &traveller, now, now + LIFETIME).await?;
    tx.commit().await?;
    let url = flow.authorize_url(identity, &Install { account }, &next, &redirect_uri(app, provider_key)?);
    Ok(app.http.hosts().public(&url))
}

/// A verified way back: whose it is, and the code to exchange.
pub struct Return {
    pub organization: OrganizationId,
    callback: Callback,
    data_access: Option<DataAccess>,
}

/// Checks the way back: the provider's signature before anything else, then the state, once, for the session that began.
///
/// # Errors
/// [`Code::OauthRefused`], without saying which check failed but for the person's own mistakes.
pub async fn take_return(
    app: &App,
    provider_key: &str,
    raw_query: &str,
    session: Option<SessionId>,
) -> Result<Return, Problem> {
    let (flow, identity, provider_key) = flow(app, provider_key)?;
    let now = app.clock.now();
    let callback = flow.verify_callback(identity, raw_query, now).map_err(|error| refused(&error))?;
    let mut tx = app.db.system(SystemTask::OauthState).await?;
    let traveller = store::take(&mut tx, &hash(&callback.state), "authorize", provider_key, now).await?;
    // Used up also when what follows refuses it: a state is tried once.
    tx.commit().await?;
    let traveller = traveller.ok_or_else(used_up)?;
    if traveller.external_account.as_deref() != Some(callback.account.as_str()) {
        return Err(Problem::new(
            Code::OauthRefused,
            "The consent is for another shop than the one that was begun with.",
        ));
    }
    if session != Some(traveller.session) {
        return Err(Problem::new(Code::OauthRefused, "Finish in the browser and the session that you began with."));
    }
    Ok(Return { organization: traveller.organization, callback, data_access: traveller.data_access })
}

/// Exchanges the code and keeps the account: a new connection, or a new credential for the one that there is, with what
/// may be read of it as it was unless something was chosen.
///
/// # Errors
/// Those of the provider, and [`Code::OauthRefused`] for an account that is another's.
pub async fn finish(
    app: &App,
    scope: &TenantScope,
    provider_key: &str,
    given: Return,
) -> Result<ConnectionRow, Problem> {
    let (flow, identity, provider_key) = flow(app, provider_key)?;
    let provider = app.providers.get(provider_key).ok_or_else(Problem::not_found)?;
    let established = flow
        .exchange(&app.http, &app.clock, identity, &given.callback)
        .await
        .map_err(|error| crate::problem::of_provider(&error))?;
    let mut tx = app.db.tenant(scope).await?;
    let known = connections::store::find_by_account(&mut tx, provider_key, &established.external_account).await?;
    tx.commit().await?;
    match known {
        Some(id) => {
            // Whoever may connect accounts may not therefore change this one.
            let (resource, action) = (UpdateConnections::RESOURCE, UpdateConnections::ACTION);
            if !scope.rights().at(id).contains(resource, action) {
                return Err(Denied { resource, action }.into());
            }
            connections::replace_credential(app, scope, id, established, given.data_access).await
        }
        None => {
            let new = model::NewConnection {
                provider_key,
                display_name: None,
                established,
                enabled_capabilities: model::default_capabilities(provider),
                data_access: given.data_access.unwrap_or_default(),
            };
            connections::insert(app, scope, new).await
        }
    }
}

/// Removes attempts that were given up. How many there were.
///
/// # Errors
/// When the database refuses or is gone.
pub async fn purge(tx: &mut SystemTx, now: Time) -> Result<u64, DbError> {
    store::purge(tx, now).await
}

type Flow<'a> = (&'static dyn AuthorizationCode, &'a connector::AppCredentials, &'static str);

fn flow<'a>(app: &'a App, provider_key: &str) -> Result<Flow<'a>, Problem> {
    let provider = app.providers.get(provider_key).ok_or_else(Problem::not_found)?;
    let manifest = provider.manifest();
    let flow = provider.authorization_code().ok_or_else(|| {
        Problem::new(
            Code::NotSupportedByPlatform,
            format!("{} is connected with keys, not by consent.", manifest.label),
        )
    })?;
    let identity = app.config.app_credentials(manifest.key).ok_or_else(|| {
        Problem::new(
            Code::NotSupportedByPlatform,
            format!("This installation has no app at {}. Its operator can configure one.", manifest.label),
        )
    })?;
    Ok((flow, identity, manifest.key))
}

fn redirect_uri(app: &App, provider_key: &str) -> Result<Url, Problem> {
    app.config
        .public_url
        .join(&format!("/api/oauth/{provider_key}/callback"))
        .map_err(|error| Problem::internal(&error))
}

fn pairings(app: &App) -> TokenSealer {
    TokenSealer::new(&app.keyring, "oauth pairing", LIFETIME)
}

fn refused(error: &connector::provider::Unverified) -> Problem {
    Problem::new(Code::OauthRefused, format!("This request was not made by the platform just now: {error}."))
}

fn used_up() -> Problem {
    Problem::new(Code::OauthRefused, "This attempt was used already or has expired. Start again from Entrepot.")
}

fn hash(state: &str) -> Vec<u8> {
    hash_bytes(state.as_bytes())
}

fn hash_bytes(state: &[u8]) -> Vec<u8> {
    Sha256::digest(state).to_vec()
}
