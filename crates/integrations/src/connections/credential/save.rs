//! A new token is saved over the one that it was made from, and over no other.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use connector::{Credential, Token};
use db::DbError;
use kernel::TenantScope;
use kit::{
    App, Code, Problem, data_keys,
    trail::{self, Event},
};
use serde_json::json;

use super::{Version, context, seal, store};
use crate::connections::{Store, Stores, store as connections};

/// Between two tries to save a new token.
const AGAIN: Duration = Duration::from_millis(250);
/// How often one that gave way to other transactions is saved again, and after which pause.
const CONFLICTS_MAX: u32 = 5;
const AFTER_CONFLICT: Duration = Duration::from_millis(50);
/// How often it is told that one waits.
const TOLD_EVERY: Duration = Duration::from_mins(1);

/// Why a token was not saved.
enum NotSaved {
    /// The transaction gave way to another, with which it was deadlocked or in conflict.
    Conflict(DbError),
    Problem(Problem),
}

impl From<DbError> for NotSaved {
    fn from(error: DbError) -> Self {
        if error.is_conflict() { Self::Conflict(error) } else { Self::Problem(error.into()) }
    }
}

impl From<Problem> for NotSaved {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

/// Saves the new token before anybody uses it: a token that only this process knew would be lost with it. Nobody else has it, so
/// it is kept for as long as the database is away; whoever stops the program waits for it (`Stores::settled`). Callers are told
/// meanwhile that the database is away.
pub(super) async fn save(
    app: &App,
    stores: &Stores,
    scope: &TenantScope,
    current: &Store,
    token: Token,
) -> Result<Arc<Store>, Problem> {
    let used = current.opened()?.version();
    let credential = Credential::Token(token);
    let began = Instant::now();
    let mut told_at = None::<Instant>;
    let mut conflicts = 0;
    let saved = loop {
        match app.db.unless_away(save_once(app, scope, current, used, &credential)).await {
            Err(NotSaved::Conflict(_)) if conflicts < CONFLICTS_MAX => {
                conflicts += 1;
                tokio::time::sleep(AFTER_CONFLICT * conflicts).await;
            }
            Err(NotSaved::Problem(problem))
                if matches!(problem.code(), Code::DatabaseUnavailable | Code::KeysUnavailable) =>
            {
                if told_at.is_none_or(|at| at.elapsed() >= TOLD_EVERY) {
                    told_at = Some(Instant::now());
                    tracing::warn!(
                        connection = %current.id, seconds = began.elapsed().as_secs(),
                        "a new token waits in memory for the database or its keys: it is lost if the program ends before they are back"
                    );
                }
                tokio::time::sleep(AGAIN).await;
            }
            Err(NotSaved::Conflict(error)) => return Err(error.into()),
            Err(NotSaved::Problem(problem)) => return Err(problem),
            Ok(saved) => break saved,
        }
    };
    if told_at.is_some() {
        let seconds = began.elapsed().as_secs();
        tracing::info!(connection = %current.id, seconds, "the token that waited for the database is settled");
    }
    if saved {
        metrics::counter!("entrepot_token_refreshes_total").increment(1);
    } else {
        tracing::info!(connection = %current.id, "a new token is dropped: a newer one is stored");
    }
    stores.forget(current.organization, current.id);
    app.db.unless_away(stores.read(app, scope, current.id)).await?.ok_or_else(Problem::not_found)
}

/// False when a newer token is stored: its owner connected the store anew meanwhile, or another node was quicker.
async fn save_once(
    app: &App,
    scope: &TenantScope,
    current: &Store,
    used: Version,
    credential: &Credential,
) -> Result<bool, NotSaved> {
    let Credential::Token(token) = credential else {
        return Err(Problem::internal(&"what is not a token is not saved as one").into());
    };
    let mut tx = app.db.tenant(scope).await?;
    if !connections::lock(&mut tx, current.id).await? {
        return Err(Problem::not_found().into());
    }
    let (stored, key) = match store::active_identity(&mut tx, current.id).await? {
        // With the key held, so that a deletion of the organization is either seen here or destroys what is saved here.
        Some(row) => match data_keys::open_to_seal(&mut tx, &app.keyring, row.data_key_id.into()).await? {
            Some(key) => (row.id, key),
            None => return Err(taken_away().into()),
        },
        None => return Err(taken_away().into()),
    };
    let sealed = seal(&key, &context(scope.organization(), current.id, used.id), credential)?;
    let renewed = store::Renewed {
        sealed: &sealed,
        scopes: &token.scopes,
        expires_at: token.expires_at,
        refresh_expires_at: token.refresh_expires_at,
    };
    if stored != used.id || !store::update_token(&mut tx, used, renewed).await? {
        tx.rollback().await?;
        return Ok(false);
    }
    connections::set_scopes(&mut tx, current.id, &token.scopes).await?;
    let event = Event::info("credential.refreshed", "The access token was renewed.").of(current.id);
    trail::event(&mut tx, &app.clock, event.with(json!({ "expires_at": token.expires_at }))).await?;
    tx.commit().await?;
    Ok(true)
}

/// The new token is dropped: whoever took the old one away meant this one too.
fn taken_away() -> Problem {
    Problem::new(
        Code::StoreReauthorizationRequired,
        "The credential was revoked while it was being renewed. The store's owner must set a new one.",
    )
}
