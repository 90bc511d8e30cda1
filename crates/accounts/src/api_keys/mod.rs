//! API keys: how programs call. A key belongs to one organization and acts with its scopes ∩ its creator's rights now.

pub mod api;
pub mod jobs;
pub mod model;
mod store;
mod suspicion;
mod verify;

use chrono::{Duration, SecondsFormat};
use db::{DbError, TenantTx};
use kernel::{Actor, ApiKeyId, Clock, Limit, Secret, TenantScope, Time, UserId};
use kit::{
    App, Code, Problem,
    retention::{BATCH, Due},
    trail::{self, Change, Event},
};
use serde_json::{Value, json};
use uuid::Uuid;

pub use verify::ApiKeys;

use crate::plans;
use model::{KeyText, NewKey};
use store::KeyRow;

/// The reason of the state of keys that have expired.
const EXPIRED: &str = "reached its expiry";

/// A key that was just made, with its text, which is never shown again.
pub struct CreatedKey {
    pub row: KeyRow,
    pub text: Secret,
}

/// Makes a key.
///
/// # Errors
/// [`Code::PlanLimitReached`] for one more than the plan allows.
pub async fn create(app: &App, scope: &TenantScope, new: NewKey) -> Result<CreatedKey, Problem> {
    let user = person(scope)?;
    // Asked before the hash, which is dear, and again under the lock.
    let mut tx = app.db.tenant(scope).await?;
    take_place(&mut tx, user, app.clock.now()).await?;
    refuse_unknown_stores(&mut tx, new.stores.as_deref()).await?;
    tx.rollback().await?;
    let (text, hash) = app.slice::<ApiKeys>().generate().await?;
    let mut tx = app.db.tenant(scope).await?;
    store::lock_user(&mut tx, user).await?;
    take_place(&mut tx, user, app.clock.now()).await?;
    refuse_unknown_stores(&mut tx, new.stores.as_deref()).await?;
    let row = insert(&mut tx, &app.clock, user, &new, &text, hash, None).await?;
    let change = Change {
        action: "api_key.create",
        resource: "api_key",
        resource_id: Some(row.id.uuid()),
        before: None,
        after: Some(description(&row)),
    };
    trail::audit(&mut tx, &app.clock, change).await?;
    let event = Event::info("api_key.created", format!("The API key \"{}\" was created.", row.key_name));
    trail::event(&mut tx, &app.clock, event.with(json!({ "key_id": row.id, "lookup": row.lookup }))).await?;
    tx.commit().await?;
    Ok(CreatedKey { row, text: text.full })
}

async fn take_place(tx: &mut TenantTx, user: UserId, now: Time) -> Result<(), Problem> {
    let subscription = plans::subscription(tx, now).await?;
    let used = count_live(tx, user, now).await?;
    plans::take_place(&subscription, Limit::ApiKeysPerUser, None, used, now)
}

/// The keys of a person that work, but for those that were rotated.
///
/// # Errors
/// When the database refuses or is gone.
pub(crate) async fn count_live(tx: &mut TenantTx, user: UserId, now: Time) -> Result<u64, DbError> {
    Ok(u64::try_from(store::count_live(tx, user, now).await?).unwrap_or(0))
}

async fn insert(
    tx: &mut TenantTx,
    clock: &Clock,
    user: UserId,
    new: &NewKey,
    text: &KeyText,
    hash: String,
    rotated_from: Option<ApiKeyId>,
) -> Result<KeyRow, Problem> {
    let id = ApiKeyId::new(clock);
    let row = store::insert_key(tx, id, user, new, &text.lookup, &hash, rotated_from, clock.now()).await?;
    store::insert_prefix(tx, &text.lookup, id).await?;
    Ok(row)
}

/// A key for the audit log.
fn description(row: &KeyRow) -> Value {
    json!({ "name": row.key_name, "lookup": row.lookup, "expires_at": row.expires_at, "stores": row.stores })
}

/// Ends a key, on every node within a second. Ending an ended one changes nothing.
///
/// # Errors
/// [`Code::NotFound`] for a key that is not there.
pub async fn revoke(app: &App, scope: &TenantScope, id: ApiKeyId) -> Result<KeyRow, Problem> {
    let mut tx = app.db.tenant(scope).await?;
    let before = store::find_for_update(&mut tx, id).await?.ok_or_else(Problem::not_found)?;
    if before.state == "revoked" {
        return Ok(before);
    }
    let row = store::set_state(&mut tx, id, "revoked", "revoked by a member", app.clock.now()).await?;
    let change = Change {
        action: "api_key.revoke",
        resource: "api_key",
        resource_id: Some(id.uuid()),
        before: Some(json!({ "state": before.state_at(app.clock.now()) })),
        after: Some(json!({ "state": "revoked" })),
    };
    trail::audit(&mut tx, &app.clock, change).await?;
    let event = Event::warning("api_key.revoked", format!("The API key \"{}\" was revoked.", row.key_name));
    trail::event(&mut tx, &app.clock, event.with(json!({ "key_id": id }))).await?;
    tx.commit().await?;
    app.slice::<ApiKeys>().forget(scope.organization(), id);
    Ok(row)
}

/// Lets a suspended key work again. What it was suspected of is not held against it any more.
///
/// # Errors
/// [`Code::NotFound`] for a key that is not there; [`Code::Conflict`] for one that is not suspended.
pub async fn clear(app: &App, scope: &TenantScope, id: ApiKeyId) -> Result<KeyRow, Problem> {
    person(scope)?;
    let now = app.clock.now();
    let mut tx = app.db.tenant(scope).await?;
    let before = store::find_for_update(&mut tx, id).await?.ok_or_else(Problem::not_found)?;
    let cleared = match before.state_at(now) {
        "suspended" => store::clear(&mut tx, id, now).await?,
        _ => None,
    };
    let Some(row) = cleared else {
        return Err(Problem::new(Code::Conflict, format!("This key is {}, not suspended.", before.state_at(now))));
    };
    let change = Change {
        action: "api_key.clear",
        resource: "api_key",
        resource_id: Some(id.uuid()),
        before: Some(json!({ "state": "suspended", "reason": before.state_reason })),
        after: Some(json!({ "state": "active" })),
    };
    trail::audit(&mut tx, &app.clock, change).await?;
    let event =
        Event::info("api_key.cleared", format!("The API key \"{}\" was cleared and works again.", row.key_name));
    trail::event(&mut tx, &app.clock, event.with(json!({ "key_id": id }))).await?;
    tx.commit().await?;
    app.slice::<ApiKeys>().forget(scope.organization(), id);
    Ok(row)
}

/// A new key in place of an old one, which goes on for the overlap so that programs can change over. What the old one had
/// itself replaced ends at once: of keys that replaced one another, two work at most.
///
/// # Errors
/// [`Code::Conflict`] for a key that no longer works.
pub async fn rotate(app: &App, scope: &TenantScope, id: ApiKeyId, overlap: Duration) -> Result<CreatedKey, Problem> {
    let user = person(scope)?;
    let now = app.clock.now();
    // Asked before the hash, which is dear, and again with the row locked.
    let mut tx = app.db.tenant(scope).await?;
    rotatable(&mut tx, id, user, now).await?;
    tx.rollback().await?;
    let (text, hash) = app.slice::<ApiKeys>().generate().await?;
    let mut tx = app.db.tenant(scope).await?;
    let old = rotatable(&mut tx, id, user, now).await?;
    let new = NewKey {
        name: old.key_name.clone(),
        // As long again as the old one was given.
        expires_at: now + (old.expires_at - old.created_at),
        permissions: old.permissions.0,
        stores: old.stores.clone(),
        allowed_origins: old.allowed_origins.clone(),
    };
    let row = insert(&mut tx, &app.clock, user, &new, &text, hash, Some(id)).await?;
    let old_ends = old.expires_at.min(now + overlap);
    store::set_expiry(&mut tx, id, old_ends, now).await?;
    let ended = match old.rotated_from {
        Some(before) if store::end_now(&mut tx, before, now).await? => Some(before),
        _ => None,
    };
    let change = Change {
        action: "api_key.rotate",
        resource: "api_key",
        resource_id: Some(row.id.uuid()),
        before: Some(json!({ "key_id": id, "expires_at": old.expires_at })),
        after: Some(json!({ "key": description(&row), "old_key_ends_at": old_ends, "ended_key_id": ended })),
    };
    trail::audit(&mut tx, &app.clock, change).await?;
    let mut message = format!(
        "The API key \"{}\" was rotated; the old key ends at {}.",
        row.key_name,
        old_ends.to_rfc3339_opts(SecondsFormat::Secs, true)
    );
    if ended.is_some() {
        message.push_str(" The one before it ended at once.");
    }
    let meta = json!({
        "key_id": row.id, "lookup": row.lookup, "old_key_id": id, "old_key_ends_at": old_ends, "ended_key_id": ended,
    });
    trail::event(&mut tx, &app.clock, Event::info("api_key.rotated", message).with(meta)).await?;
    tx.commit().await?;
    for changed in std::iter::once(id).chain(ended.map(ApiKeyId::from)) {
        app.slice::<ApiKeys>().forget(scope.organization(), changed);
    }
    Ok(CreatedKey { row, text: text.full })
}

/// The key, locked, if this person may rotate it.
async fn rotatable(tx: &mut TenantTx, id: ApiKeyId, user: UserId, now: Time) -> Result<KeyRow, Problem> {
    let old = store::find_for_update(tx, id).await?.ok_or_else(Problem::not_found)?;
    if old.state_at(now) != "active" {
        return Err(Problem::new(Code::Conflict, "This key no longer works. Create a new one."));
    }
    if store::was_rotated(tx, id).await? {
        return Err(Problem::new(Code::Conflict, "This key was rotated already. Rotate the key that replaced it."));
    }
    if old.user_id != user {
        return Err(Problem::new(
            Code::Forbidden,
            "A key acts with the rights of the person who made it, so only they can rotate it. You can revoke it.",
        ));
    }
    Ok(old)
}

/// Ends all keys of an organization that is going.
///
/// # Errors
/// When the database refuses or is gone.
pub(crate) async fn end_all(tx: &mut TenantTx, reason: &str, now: Time) -> Result<(), Problem> {
    Ok(store::revoke_all(tx, reason, now).await?)
}

/// Ends the keys that a person made, when their seat is taken away: should they come back, they make new ones.
pub(crate) async fn end_all_of(tx: &mut TenantTx, user: UserId, reason: &str, now: Time) -> Result<u64, Problem> {
    Ok(store::revoke_all_of(tx, user, reason, now).await?)
}

/// Removes keys that ended, a batch of them. How many there were.
///
/// # Errors
/// When the database refuses or is gone.
pub async fn purge(tx: &mut TenantTx, due: Due) -> Result<u64, DbError> {
    store::purge(tx, due, BATCH).await
}

/// Keys cannot manage keys: a stolen one could otherwise outlive its revocation.
fn person(scope: &TenantScope) -> Result<UserId, Problem> {
    match scope.actor() {
        Actor::Person { user, .. } => Ok(user),
        Actor::Key { .. } | Actor::System { .. } => {
            Err(Problem::new(Code::Forbidden, "API keys cannot manage API keys. Sign in as a person."))
        }
    }
}

/// A store that is not there is a mistake to be told now, not a key that reaches nothing.
async fn refuse_unknown_stores(tx: &mut TenantTx, stores: Option<&[Uuid]>) -> Result<(), Problem> {
    let Some(stores) = stores else { return Ok(()) };
    match store::unknown_store(tx, stores).await? {
        None => Ok(()),
        Some(index) => Err(Problem::invalid(format!("/stores/{index}"), "is not a store of this organization")),
    }
}

impl KeyRow {
    /// The state at a moment. A key ends when it expires, whether or not a job has marked it since.
    pub fn state_at(&self, now: Time) -> &str {
        match self.state.as_str() {
            "active" | "suspended" if self.expires_at <= now => "expired",
            state => state,
        }
    }
}
