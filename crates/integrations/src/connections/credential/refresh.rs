//! Tokens are renewed ahead of their expiry: once at a time among all nodes, to the end whoever waits for it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use connector::{Credential, ProviderError, Token};
use kernel::{ConnectionId, CredentialId, TenantScope, Time};
use kit::{
    App, Code, Problem, data_keys,
    single_flight::SingleFlight,
    trail::{self, Event},
};
use serde_json::json;

use super::{KeepCredentials, Opened, context, seal, store, under_way::UnderWay};
use crate::{
    connections::{Store, Stores, store as connections},
    problem,
};

/// How long before its expiry a token is refreshed in the background, while callers go on with it.
const AHEAD: chrono::Duration = chrono::Duration::minutes(5);
/// A token with less than this left may be dead when it arrives; callers wait for the new one.
const TOO_LATE: chrono::Duration = chrono::Duration::seconds(20);
/// Longer than a provider may take to answer; a node that dies meanwhile holds up the others no longer than this.
const TURN: chrono::Duration = chrono::Duration::seconds(40);
/// How often to look whether another node has renewed the token.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How long nobody asks again after a refresh that failed in passing.
const COOL_DOWN: Duration = Duration::from_secs(5);
/// A provider may ask for more patience than that, and not for ever.
const COOL_DOWN_MAX: Duration = Duration::from_mins(10);

/// The refreshes of this node: those under way, and those that wait for a better moment. Cheap to clone.
#[derive(Clone, Default)]
pub(in crate::connections) struct Refreshes {
    flights: SingleFlight<ConnectionId, Result<Arc<Store>, Arc<Problem>>>,
    under_way: UnderWay,
    cooling: Arc<Mutex<HashMap<CredentialId, (Time, Problem)>>>,
}

impl Refreshes {
    /// Waits for those under way; false when it took longer.
    pub(in crate::connections) async fn ended(&self, within: Duration) -> bool {
        self.under_way.ended(within).await
    }

    /// What the last try came to, while it is too early for another.
    fn cooling(&self, credential: CredentialId, now: Time) -> Option<Problem> {
        let cooling = self.cooling.lock().unwrap_or_else(PoisonError::into_inner);
        let (until, problem) = cooling.get(&credential)?;
        let left = (*until - now).to_std().ok().filter(|left| !left.is_zero())?;
        Some(problem.clone().with_retry_after(left))
    }

    fn cool_down(&self, credential: CredentialId, until: Time, problem: Problem, now: Time) {
        let mut cooling = self.cooling.lock().unwrap_or_else(PoisonError::into_inner);
        cooling.retain(|_, (until, _)| *until > now);
        cooling.insert(credential, (until, problem));
    }
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
/// [`Code::StoreReauthorizationRequired`] when there is no credential, or the provider no longer takes the refresh token;
/// [`Code::PlatformAppRefused`] when it does not take us; those of a shop that fails, with the time to come back at.
pub(crate) async fn fresh(app: &App, stores: &Stores, store: Arc<Store>) -> Result<Arc<Store>, Problem> {
    let opened = store.opened()?;
    match due(&opened.credential, app.clock.now()) {
        Due::No => Ok(store),
        Due::Soon => {
            // The caller goes on with the token it has; whoever asks next finds the new one.
            if stores.refreshes.cooling(opened.id, app.clock.now()).is_none() {
                let (app, stores, store, guard) =
                    (app.clone(), stores.clone(), store.clone(), stores.refreshes.under_way.begin());
                tokio::spawn(async move {
                    let _guard = guard;
                    if let Err(problem) = refreshed(&app, &stores, &store).await {
                        tracing::warn!(connection = %store.id, code = problem.code().as_str(), "a token is not refreshed yet");
                    }
                });
            }
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
        Credential::Token(Token { refresh: Some(_), .. }) => match refreshed(app, stores, store).await {
            // A token that should still live is dead, and its platform does not know us there: the app was taken out of the
            // shop, which is for its owner to mend and not for the operator.
            Err(problem) if problem.code() == Code::PlatformAppRefused => Ok(None),
            outcome => outcome.map(Some),
        },
        Credential::Token(_) | Credential::Keys(_) => Ok(None),
    }
}

/// Waits for the one refresh of this connection, started by whoever needs it first.
async fn refreshed(app: &App, stores: &Stores, stale: &Arc<Store>) -> Result<Arc<Store>, Problem> {
    if let Some(problem) = stores.refreshes.cooling(stale.opened()?.id, app.clock.now()) {
        return Err(problem);
    }
    let (task_app, task_stores, task_stale) = (app.clone(), stores.clone(), stale.clone());
    let outcome = stores
        .refreshes
        .flights
        .run(stale.id, || {
            let guard = stores.refreshes.under_way.begin();
            async move {
                let _guard = guard;
                refresh(&task_app, &task_stores, &task_stale).await.map_err(Arc::new)
            }
        })
        .await;
    match outcome {
        Some(Ok(store)) => Ok(store),
        Some(Err(problem)) => Err((*problem).clone()),
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
        match Turn::take(app, &scope, opened.id).await? {
            Asked::Taken(turn) => break (current, turn),
            Asked::Busy => tokio::time::sleep(LOOK_AGAIN).await,
            Asked::TooEarly(until, problem) => {
                let now = app.clock.now();
                stores.refreshes.cool_down(opened.id, until, problem.clone(), now);
                return Err(problem.with_retry_after((until - now).to_std().unwrap_or_default()));
            }
        }
    };
    match renew(app, stores, &current).await {
        Ok(new) => save(app, stores, &scope, &current, turn, new).await,
        Err(NotRenewed { problem, cool_down }) => {
            let now = app.clock.now();
            let retry_at = cool_down.map(|wait| now + wait);
            if let Some(until) = retry_at {
                stores.refreshes.cool_down(turn.credential, until, problem.clone(), now);
            }
            turn.give_back(app, &scope, retry_at.map(|at| (at, problem.code()))).await?;
            Err(match cool_down {
                Some(wait) => problem.with_retry_after(wait),
                None => problem,
            })
        }
    }
}

/// The turn to renew a token, among all nodes. One that is not given back ends by itself.
struct Turn {
    credential: CredentialId,
    until: Time,
}

enum Asked {
    Taken(Turn),
    /// Another node is renewing the token.
    Busy,
    /// It failed a moment ago, here or on another node.
    TooEarly(Time, Problem),
}

impl Turn {
    async fn take(app: &App, scope: &TenantScope, credential: CredentialId) -> Result<Asked, Problem> {
        let now = app.clock.now();
        let turn = Self { credential, until: now + TURN };
        let mut tx = app.db.tenant(scope).await?;
        let taken = store::lease_refresh(&mut tx, credential, now, turn.until).await?;
        let failed = if taken { None } else { store::failed_refresh(&mut tx, credential, now).await? };
        tx.commit().await?;
        Ok(match failed {
            _ if taken => Asked::Taken(turn),
            Some(failed) => Asked::TooEarly(failed.retry_at, remembered(&failed.failure)),
            None => Asked::Busy,
        })
    }

    async fn give_back(&self, app: &App, scope: &TenantScope, failed: Option<(Time, Code)>) -> Result<(), Problem> {
        let failed = failed.map(|(retry_at, code)| (retry_at, code.as_str()));
        let mut tx = app.db.tenant(scope).await?;
        store::release_refresh(&mut tx, self.credential, self.until, failed).await?;
        Ok(tx.commit().await?)
    }
}

/// The problem that another node had.
fn remembered(failure: &str) -> Problem {
    let code = Code::ALL.iter().copied().find(|code| code.as_str() == failure).unwrap_or(Code::StoreUnavailable);
    Problem::new(
        code,
        "The shop's platform did not renew our access a moment ago. Come back after the time in Retry-After.",
    )
}

/// Why there is no new token, and how long nobody is to ask again; None where asking again is how a change is noticed, or
/// nobody will.
struct NotRenewed {
    problem: Problem,
    cool_down: Option<Duration>,
}

impl From<Problem> for NotRenewed {
    fn from(problem: Problem) -> Self {
        Self { problem, cool_down: None }
    }
}

fn cool_down(error: &ProviderError) -> Option<Duration> {
    match error {
        ProviderError::Unauthorized { .. } | ProviderError::Suspended { .. } => None,
        ProviderError::RateLimited { retry_after } => Some((*retry_after).clamp(COOL_DOWN, COOL_DOWN_MAX)),
        ProviderError::AppRefused { .. }
        | ProviderError::Forbidden { .. }
        | ProviderError::TimedOut { .. }
        | ProviderError::Unavailable { .. }
        | ProviderError::FilterUnsupported { .. }
        | ProviderError::Rejected { .. }
        | ProviderError::Malformed { .. } => Some(COOL_DOWN),
    }
}

/// Asks the provider, with no transaction open.
async fn renew(app: &App, stores: &Stores, current: &Store) -> Result<Token, NotRenewed> {
    let Opened { credential: Credential::Token(token), .. } = current.opened()? else {
        return Err(Problem::internal(&"what is not a token cannot be renewed").into());
    };
    let provider = current.provider.manifest().key;
    let (Some(flow), Some(identity)) = (current.provider.authorization_code(), app.config.app_credentials(provider))
    else {
        return Err(Problem::internal(&"a token of a provider that is not configured cannot be refreshed").into());
    };
    match flow.refresh(&app.http, &app.clock, identity, &current.account, token).await {
        Ok(new) => Ok(new),
        Err(error) => {
            metrics::counter!("entrepot_token_refresh_failures_total", "kind" => error.kind()).increment(1);
            if matches!(error, ProviderError::AppRefused { .. }) {
                tracing::error!(
                    provider, connection = %current.id, %error,
                    "no token can be renewed: are the app's client id and secret those of the provider?"
                );
            }
            stores.report(app, current, &error).await?;
            let problem = match &error {
                ProviderError::Unauthorized { .. } => Problem::new(
                    Code::StoreReauthorizationRequired,
                    "The shop's platform no longer renews our access. The store's owner must connect it again.",
                ),
                error => problem::of_provider(error),
            };
            Err(NotRenewed { problem, cool_down: cool_down(&error) })
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
    let (stored, key) = match store::active_identity(&mut tx, current.id).await? {
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
