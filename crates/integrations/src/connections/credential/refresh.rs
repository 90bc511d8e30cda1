//! Tokens are renewed ahead of their expiry: once at a time among all nodes, to the end whoever waits for it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use connector::{Credential, ProviderError, Token};
use kernel::{ConnectionId, CredentialId, TenantScope, Time};
use kit::{App, Code, Problem, single_flight::SingleFlight};

use super::{
    KeepCredentials, Opened, Version,
    save::save,
    turn::{Asked, Turn},
    under_way::UnderWay,
};
use crate::{
    connections::{Store, Stores},
    problem,
};

/// How long before its expiry a token is refreshed in the background, while callers go on with it.
const AHEAD: chrono::Duration = chrono::Duration::minutes(5);
/// A token with less than this left may be dead when it arrives; callers wait for the new one.
const TOO_LATE: chrono::Duration = chrono::Duration::seconds(20);
/// When to look whether another node has renewed the token: soon, then less and less often.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
const LOOK_AGAIN_MAX: Duration = Duration::from_millis(400);
/// How long nobody asks again after a refresh that failed in passing.
const COOL_DOWN: Duration = Duration::from_secs(5);
/// A provider may ask for more patience than that, and not for ever.
const COOL_DOWN_MAX: Duration = Duration::from_mins(10);
/// How long another node may be at it: as often, and each time as long, as a provider may be asked.
const OTHERS_WITHIN: Duration = Duration::from_mins(3);
/// How long callers wait for a renewal: as long as the provider may take, and a moment to save what it gave.
const CALLERS_WAIT: Duration = Duration::from_secs(40);
/// Before a call whose answer was lost is made again.
const AGAIN: Duration = Duration::from_millis(200);

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
    let flight = stores.refreshes.flights.run(stale.id, || {
        let guard = stores.refreshes.under_way.begin();
        async move {
            let _guard = guard;
            refresh(&task_app, &task_stores, &task_stale).await.map_err(Arc::new)
        }
    });
    // The flight goes on without its callers: the token that it may hold already is kept until it is saved.
    let flight = async { Ok::<_, Problem>(flight.await) };
    let outcome = app.db.unless_away_within(CALLERS_WAIT, flight).await?;
    match outcome {
        Some(Ok(store)) => Ok(store),
        Some(Err(problem)) => Err((*problem).clone()),
        None => Err(Problem::internal(&"a token refresh panicked")),
    }
}

async fn refresh(app: &App, stores: &Stores, stale: &Arc<Store>) -> Result<Arc<Store>, Problem> {
    let scope = TenantScope::internal::<KeepCredentials>(stale.organization);
    let found = app.db.unless_away_within(OTHERS_WITHIN, turn_or_newer(app, stores, &scope, stale));
    let (current, mut turn) = match found.await? {
        Found::Turn(current, turn) => (current, turn),
        Found::Newer(current) => return Ok(current),
    };
    match renew(app, &scope, &current, &mut turn).await {
        Ok(Ok(new)) => save(app, stores, &scope, &current, new).await,
        Ok(Err(error)) => app.db.unless_away(not_renewed(app, stores, &scope, &current, &turn, error)).await,
        Err(problem) => {
            app.db.unless_away(turn.give_back(app, &scope, None)).await?;
            Err(problem)
        }
    }
}

/// What a renewal begins with.
enum Found {
    /// The stale store as it is stored, and the turn to renew its token.
    Turn(Arc<Store>, Turn),
    /// It has been renewed meanwhile.
    Newer(Arc<Store>),
}

async fn turn_or_newer(app: &App, stores: &Stores, scope: &TenantScope, stale: &Arc<Store>) -> Result<Found, Problem> {
    let mut look_again = LOOK_AGAIN;
    loop {
        // Read again: whoever waited for the turn before this one may have been served already, here or on another node.
        let current = stores.read(app, scope, stale.id).await?.ok_or_else(Problem::not_found)?;
        let opened = current.opened()?;
        let is_same = opened.version() == stale.opened()?.version();
        if !is_same && due(&opened.credential, app.clock.now()) != Due::Now {
            return Ok(Found::Newer(current));
        }
        match Turn::take(app, scope, opened.version()).await? {
            Asked::Taken(turn) => return Ok(Found::Turn(current, turn)),
            Asked::Busy => {
                tokio::time::sleep(look_again).await;
                look_again = (look_again * 2).min(LOOK_AGAIN_MAX);
            }
            Asked::TooEarly(until, problem) => {
                let now = app.clock.now();
                stores.refreshes.cool_down(opened.id, until, problem.clone(), now);
                return Err(problem.with_retry_after((until - now).to_std().unwrap_or_default()));
            }
        }
    }
}

/// The store, if what is stored is no longer the token that this call began with.
async fn newer_than(
    app: &App,
    stores: &Stores,
    scope: &TenantScope,
    id: ConnectionId,
    used: Version,
) -> Result<Option<Arc<Store>>, Problem> {
    let stored = stores.read(app, scope, id).await?.ok_or_else(Problem::not_found)?;
    let is_newer = stored.credential.as_ref().is_some_and(|opened| opened.version() != used);
    Ok(is_newer.then_some(stored))
}

/// Asks the provider, with no transaction open. The provider's refusal is an outcome, a failure of our own an error.
async fn renew(
    app: &App,
    scope: &TenantScope,
    current: &Store,
    turn: &mut Turn,
) -> Result<Result<Token, ProviderError>, Problem> {
    let Opened { credential: Credential::Token(token), .. } = current.opened()? else {
        return Err(Problem::internal(&"what is not a token cannot be renewed"));
    };
    let (Some(flow), Some(identity)) =
        (current.provider.authorization_code(), app.config.app_credentials(current.provider.manifest().key))
    else {
        return Err(Problem::internal(&"a token of a provider that is not configured cannot be refreshed"));
    };
    let http = current.http(app);
    loop {
        let outcome = tokio::select! {
            outcome = flow.refresh(&http, &app.clock, identity, &current.account, token) => outcome,
            never = turn.keep(app, scope) => match never {},
        };
        // The provider may have done it: what it gave is lost, and what is stored is all there is to ask with.
        if !matches!(outcome, Err(ProviderError::Cut { .. })) {
            return Ok(outcome);
        }
        tokio::time::sleep(AGAIN).await;
        if !app.db.unless_away(turn.try_again(app, scope)).await? {
            return Ok(outcome);
        }
    }
}

/// What to do without a new token.
async fn not_renewed(
    app: &App,
    stores: &Stores,
    scope: &TenantScope,
    current: &Store,
    turn: &Turn,
    error: ProviderError,
) -> Result<Arc<Store>, Problem> {
    let provider = current.provider.manifest().key;
    metrics::counter!("entrepot_token_refresh_failures_total", "kind" => error.kind()).increment(1);
    // A node that was thought to be gone may have been quicker, and used up what this one asked with.
    if let Some(newer) = newer_than(app, stores, scope, current.id, current.opened()?.version()).await? {
        turn.give_back(app, scope, None).await?;
        return Ok(newer);
    }
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
    let wait = cool_down(&error).map(|usual| turn.rest(usual));
    let now = app.clock.now();
    let retry_at = wait.map(|wait| now + wait);
    if let Some(until) = retry_at {
        stores.refreshes.cool_down(turn.credential(), until, problem.clone(), now);
    }
    turn.give_back(app, scope, retry_at.map(|at| (at, problem.code()))).await?;
    Err(match wait {
        Some(wait) => problem.with_retry_after(wait),
        None => problem,
    })
}

/// How long nobody is to ask again; None where asking again is how a change is noticed, or nobody will.
fn cool_down(error: &ProviderError) -> Option<Duration> {
    match error {
        ProviderError::Unauthorized { .. } | ProviderError::Suspended { .. } => None,
        ProviderError::RateLimited { retry_after } => Some((*retry_after).clamp(COOL_DOWN, COOL_DOWN_MAX)),
        ProviderError::AppRefused { .. }
        | ProviderError::Forbidden { .. }
        | ProviderError::TimedOut { .. }
        | ProviderError::Unavailable { .. }
        | ProviderError::Cut { .. }
        | ProviderError::FilterUnsupported { .. }
        | ProviderError::Rejected { .. }
        | ProviderError::Malformed { .. } => Some(COOL_DOWN),
    }
}
