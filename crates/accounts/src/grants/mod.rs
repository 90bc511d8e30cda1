//! Grants: what is allowed or denied to a member beside their role, in the organization or at one connection, for good or until a
//! moment.
//!
//! `kernel::Rights` decides what they come to. Whoever finds out who is calling reads the grants together with the role, so that
//! there is nothing to keep in step; what is remembered of it (`ApiKeys`) keeps the grants themselves and asks the clock.

pub mod api;
pub(crate) mod model;
mod store;

use std::collections::{HashMap, hash_map::Entry};

use db::{DbError, TenantTx};
use kernel::{Actor, DataKeyId, Effect, Grant, GrantId, MemberId, Role, TenantScope, UserId};
use kit::{
    App, Code, Problem, data_keys,
    page::Window,
    retention::{BATCH, Due},
    trail::{self, Change, Event},
};
use serde_json::{Value, json};

use crate::{api_keys::ApiKeys, members};

pub use store::GrantRow;

/// Grants that a member may have at once, those that have ended and are still listed among them.
const GRANTS_MAX: i64 = 100;

/// What is to be allowed or denied to a member.
pub struct NewGrant {
    pub grant: Grant,
    pub reason: Option<String>,
}

/// Allows or denies something to a member. It holds on every node within a second.
///
/// # Errors
/// [`Code::NotFound`] for a member who is not there; [`Code::Forbidden`] for what the caller lacks, for an owner's seat, and for
/// API keys; [`Code::Conflict`] for what is there already and for a denial to an owner; [`Code::InvalidRequest`].
pub async fn create(app: &App, scope: &TenantScope, member: MemberId, new: NewGrant) -> Result<GrantRow, Problem> {
    let user = person(scope)?;
    let (grant, now) = (&new.grant, app.clock.now());
    model::check(grant, now)?;
    let mut tx = app.db.tenant(scope).await?;
    let seat = members::lock(&mut tx, scope, member).await?;
    if let Some(connection) = grant.connection
        && !store::is_connection(&mut tx, connection).await?
    {
        return Err(Problem::invalid("/resource_id", "is not a connection of this organization"));
    }
    match grant.effect {
        Effect::Allow => may_give(&mut tx, app, scope, user, grant).await?,
        Effect::Deny if seat.role == Role::Owner.as_str() => {
            let detail = "Nothing can be denied to an owner, who could otherwise lose the organization. Change their role first.";
            return Err(Problem::new(Code::Conflict, detail));
        }
        Effect::Deny => {}
    }
    store::retire_ended(&mut tx, member, grant, user, now).await?;
    if store::count(&mut tx, member).await? >= GRANTS_MAX {
        return Err(Problem::new(
            Code::Conflict,
            "This member has a hundred grants. Take some back, or change their role.",
        ));
    }
    let id = GrantId::new(&app.clock);
    let reason = match &new.reason {
        Some(reason) => {
            let key = data_keys::of_organization(&mut tx, &app.keyring, &app.clock).await?;
            Some((model::seal_reason(&key, scope.organization(), id, reason)?, key.identity().id))
        }
        None => None,
    };
    let row = store::insert(&mut tx, id, member, grant, reason, user, now).await.map_err(|error| match error {
        DbError::Constraint { constraint } if constraint == "permission_grants_active" => {
            Problem::new(Code::Conflict, "This member has this grant already. Take it back first to change its end.")
        }
        other => other.into(),
    })?;
    let change = Change {
        action: "permission_grant.create",
        resource: "permission_grant",
        resource_id: Some(id.uuid()),
        before: None,
        after: Some(description(&row)),
    };
    trail::audit(&mut tx, &app.clock, change).await?;
    let (event_type, verb) = match grant.effect {
        Effect::Allow => ("permission.allowed", "was allowed"),
        Effect::Deny => ("permission.denied", "was denied"),
    };
    let mut event = Event::warning(event_type, format!("A member {verb} {}:{}.", grant.resource, grant.action));
    event.connection = grant.connection;
    trail::event(&mut tx, &app.clock, event.with(json!({ "member_id": member, "grant_id": id }))).await?;
    tx.commit().await?;
    app.slice::<ApiKeys>().forget_organization(scope.organization());
    Ok(GrantRow { reason: new.reason, ..row })
}

/// A page of a member's grants, newest first, with their reasons.
///
/// # Errors
/// [`Code::NotFound`] for a member who is not there.
pub(crate) async fn newest(
    app: &App,
    scope: &TenantScope,
    member: MemberId,
    window: Window,
) -> Result<Vec<GrantRow>, Problem> {
    let mut tx = app.db.tenant(scope).await?;
    members::find(&mut tx, member).await?.ok_or_else(Problem::not_found)?;
    let mut rows = store::newest(&mut tx, member, window).await?;
    let mut keys = HashMap::new();
    for row in &mut rows {
        let (Some(sealed), Some(key)) = (&row.sealed_reason, row.data_key_id.map(DataKeyId::from)) else { continue };
        if let Entry::Vacant(place) = keys.entry(key) {
            place.insert(data_keys::open(&mut tx, &app.keyring, key).await?.ok_or_else(Problem::not_found)?);
        }
        row.reason = Some(model::open_reason(&keys[&key], scope.organization(), row.id, sealed)?);
    }
    tx.commit().await?;
    Ok(rows)
}

/// Takes a grant back. To take back a denial is to give what it denied.
///
/// # Errors
/// [`Code::NotFound`] for one that is not there, or is about a connection that the caller does not know; [`Code::Forbidden`] as in
/// [`create`].
pub async fn remove(app: &App, scope: &TenantScope, member: MemberId, id: GrantId) -> Result<(), Problem> {
    let user = person(scope)?;
    let now = app.clock.now();
    let mut tx = app.db.tenant(scope).await?;
    members::lock(&mut tx, scope, member).await?;
    let row = store::find_for_update(&mut tx, member, id).await?.ok_or_else(Problem::not_found)?;
    if row.connection().is_some_and(|connection| scope.rights().is_hidden(connection)) {
        return Err(Problem::not_found());
    }
    if let Some(grant) = row.grant()?
        && grant.effect == Effect::Deny
        && grant.holds_at(now)
    {
        may_give(&mut tx, app, scope, user, &grant).await?;
    }
    store::delete(&mut tx, id, user, now).await?;
    let change = Change {
        action: "permission_grant.delete",
        resource: "permission_grant",
        resource_id: Some(id.uuid()),
        before: Some(description(&row)),
        after: None,
    };
    trail::audit(&mut tx, &app.clock, change).await?;
    let message = format!("That {}:{} was {} a member was taken back.", row.resource, row.action, past(&row.effect));
    let mut event = Event::warning("permission.taken_back", message);
    event.connection = row.connection();
    trail::event(&mut tx, &app.clock, event.with(json!({ "member_id": member, "grant_id": id }))).await?;
    tx.commit().await?;
    app.slice::<ApiKeys>().forget_organization(scope.organization());
    Ok(())
}

fn past(effect: &str) -> &'static str {
    if effect == Effect::Deny.as_str() { "denied to" } else { "allowed to" }
}

/// A grant for the audit log. What somebody wrote as its reason may be about a person.
fn description(row: &GrantRow) -> Value {
    json!({
        "member_id": row.member_id, "effect": row.effect, "resource": row.resource, "action": row.action,
        "resource_id": row.resource_id, "ends_at": row.ends_at,
    })
}

/// Nobody gives what they lack now, nor for longer than they have it. What is allowed and denied to the caller can only end, so
/// what they have now and at the end of what they give they have in between.
async fn may_give(
    tx: &mut TenantTx,
    app: &App,
    scope: &TenantScope,
    user: UserId,
    grant: &Grant,
) -> Result<(), Problem> {
    let own = store::seat_of(tx, user).await?.ok_or_else(Problem::not_found)?;
    let now = model::rights(&own.role, &own.grants, app.clock.now())?;
    let then = model::rights(&own.role, &own.grants, model::last_moment(grant))?;
    let has = [scope.rights(), &now, &then].into_iter().all(|rights| model::holds(rights, grant));
    if has { Ok(()) } else { Err(model::lacking(grant)) }
}

/// Nobody gives a role that may do more than they may, nor one that outlives what they may.
///
/// # Errors
/// [`Code::Forbidden`].
pub(crate) async fn may_give_role(tx: &mut TenantTx, scope: &TenantScope, role: Role) -> Result<(), Problem> {
    let own = store::seat_of(tx, person(scope)?).await?.ok_or_else(Problem::not_found)?;
    let for_good = model::rights(&own.role, &own.grants, kernel::Time::MAX_UTC)?;
    if scope.covers(role.permissions()) && for_good.cover(role.permissions()) {
        return Ok(());
    }
    Err(Problem::new(
        Code::Forbidden,
        "This role may do more than you may, or may do it for longer. Ask an owner of the organization.",
    ))
}

/// Whether the caller may let a member have what was allowed to them: for one who was suspended.
///
/// # Errors
/// [`Code::Forbidden`].
pub(crate) async fn may_give_all_of(
    tx: &mut TenantTx,
    app: &App,
    scope: &TenantScope,
    member: MemberId,
) -> Result<(), Problem> {
    let now = app.clock.now();
    for row in store::all_of(tx, member).await? {
        let Some(grant) = row.grant()?.filter(|grant| grant.effect == Effect::Allow && grant.holds_at(now)) else {
            continue;
        };
        may_give(tx, app, scope, person(scope)?, &grant).await?;
    }
    Ok(())
}

/// Nothing is denied to owners.
///
/// # Errors
/// [`Code::Conflict`] where something is denied to a member who is to become one.
pub(crate) async fn refuse_denials(tx: &mut TenantTx, app: &App, member: MemberId) -> Result<(), Problem> {
    let now = app.clock.now();
    let is_denial = |row: &GrantRow| row.effect == Effect::Deny.as_str() && row.ends_at.is_none_or(|end| end > now);
    if store::all_of(tx, member).await?.iter().any(is_denial) {
        return Err(Problem::new(Code::Conflict, "Something is denied to this member. Take that back first."));
    }
    Ok(())
}

/// A stolen key could otherwise outlive its revocation in what it granted.
fn person(scope: &TenantScope) -> Result<UserId, Problem> {
    match scope.actor() {
        Actor::Person { user, .. } => Ok(user),
        Actor::Key { .. } | Actor::System { .. } => {
            Err(Problem::new(Code::Forbidden, "API keys cannot manage grants. Sign in as a person."))
        }
    }
}

/// Removes grants that are over, a batch of them. How many there were.
///
/// # Errors
/// When the database refuses or is gone.
pub async fn purge(tx: &mut TenantTx, due: Due) -> Result<u64, DbError> {
    store::purge(tx, due, BATCH).await
}

/// Seals reasons that a program before this one has written in clear, a batch of them. How many there were.
///
/// # Errors
/// When the database or the key store refuses.
pub async fn seal_reasons(tx: &mut TenantTx, app: &App) -> Result<u64, Problem> {
    let clear = store::clear_reasons(tx, BATCH).await?;
    if clear.is_empty() {
        return Ok(0);
    }
    let key = data_keys::of_organization(tx, &app.keyring, &app.clock).await?;
    let organization = tx.organization();
    for (id, reason) in &clear {
        let sealed = model::seal_reason(&key, organization, *id, reason)?;
        store::set_reason(tx, *id, &sealed, key.identity().id).await?;
    }
    Ok(u64::try_from(clear.len()).unwrap_or(u64::MAX))
}
