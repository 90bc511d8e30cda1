//! Members: who has a seat in an organization, and as what.

pub mod api;
mod store;

use db::{DbError, TenantTx};
use kernel::{MemberId, Role, TenantScope};
use kit::{
    App, Code, Problem,
    retention::BATCH,
    trail::{self, Change, Event},
};
use serde_json::json;

use crate::{
    api_keys::{self, ApiKeys},
    grants,
    plans::{self, jobs::ApplyPlan},
};

pub use store::MemberRow;

/// What a change makes of a seat; None leaves it.
pub struct SeatChange {
    pub role: Option<Role>,
    /// Active, or suspended.
    pub is_active: Option<bool>,
    /// All of them.
    pub stations: Option<Vec<String>>,
}

/// An owner's seat is touched by owners alone.
fn may_touch(scope: &TenantScope, row: &MemberRow) -> Result<Role, Problem> {
    let role: Role = row.role.parse().map_err(|error| Problem::internal(&error))?;
    if role == Role::Owner && !scope.covers(Role::Owner.permissions()) {
        return Err(Problem::new(Code::Forbidden, "Only an owner of the organization may change an owner's seat."));
    }
    Ok(role)
}

/// A seat that the caller may touch, locked. One that they may not is refused in words before it is locked: the policies
/// would hide it.
pub(crate) async fn lock(tx: &mut TenantTx, scope: &TenantScope, id: MemberId) -> Result<MemberRow, Problem> {
    let seen = store::find(tx, id).await?.ok_or_else(Problem::not_found)?;
    may_touch(scope, &seen)?;
    store::find_for_update(tx, id).await?.ok_or_else(Problem::not_found)
}

/// A seat, to be looked at.
///
/// # Errors
/// When the database refuses or is gone.
pub(crate) async fn find(tx: &mut TenantTx, id: MemberId) -> Result<Option<MemberRow>, DbError> {
    store::find(tx, id).await
}

fn refusal(error: DbError) -> Problem {
    match error {
        DbError::Constraint { constraint } if constraint == "organization_members_owner_kept" => {
            Problem::new(Code::LastOwner, "Make another member an owner first.")
        }
        other => other.into(),
    }
}

/// Changes a member's role or stations, or suspends them or lets them back. It holds on every node within a second.
///
/// # Errors
/// [`Code::NotFound`] for one who is not there; [`Code::Forbidden`] for a role with more rights than the caller's, or an
/// owner's seat; [`Code::LastOwner`]; [`Code::PlanLimitReached`] for letting somebody back where there is no place.
pub async fn change(app: &App, scope: &TenantScope, id: MemberId, wanted: SeatChange) -> Result<MemberRow, Problem> {
    let now = app.clock.now();
    let mut tx = app.db.tenant(scope).await?;
    let subscription = plans::hold(&mut tx, now).await?;
    let before = lock(&mut tx, scope, id).await?;
    let old_role = may_touch(scope, &before)?;
    let role = wanted.role.unwrap_or(old_role);
    let status = match wanted.is_active {
        Some(true) => "active",
        Some(false) => "suspended",
        None => before.status.as_str(),
    };
    let stations = wanted.stations.unwrap_or_else(|| before.stations.clone());
    // Letting somebody back in gives them their role again, and what was allowed to them besides.
    let is_let_back = status == "active" && before.status != "active";
    if role != old_role || is_let_back {
        grants::may_give_role(&mut tx, scope, role).await?;
    }
    if is_let_back {
        grants::may_give_all_of(&mut tx, app, scope, id).await?;
        plans::take_seat(tx.conn(), scope.organization(), &subscription, now).await?;
    }
    if role == Role::Owner && old_role != Role::Owner {
        grants::refuse_denials(&mut tx, app, id).await?;
    }
    if role == old_role && status == before.status && stations == before.stations {
        return Ok(before);
    }
    store::update(&mut tx, id, role, status, &stations).await.map_err(refusal)?;
    let change = Change {
        action: "member.update",
        resource: "member",
        resource_id: Some(id.uuid()),
        before: Some(json!({ "role": before.role, "status": before.status, "stations": before.stations })),
        after: Some(json!({ "role": role, "status": status, "stations": stations })),
    };
    trail::audit(&mut tx, &app.clock, change).await?;
    let event = Event::warning("member.changed", format!("A member is now {} as {}.", status, role.as_str()));
    trail::event(&mut tx, &app.clock, event.with(json!({ "member_id": id }))).await?;
    // A seat that another takes no longer may be one that the plan has paused.
    ::jobs::enqueue(&mut tx, &app.clock, &ApplyPlan {}).await?;
    let after = store::find_for_update(&mut tx, id).await?.ok_or_else(Problem::not_found)?;
    tx.commit().await?;
    app.slice::<ApiKeys>().forget_organization(scope.organization());
    Ok(after)
}

/// Takes a member's seat away. The API keys that they made here end; the person, and their seats elsewhere, stay.
///
/// # Errors
/// [`Code::NotFound`] for one who is not there; [`Code::Forbidden`] for an owner's seat, [`Code::LastOwner`].
pub async fn remove(app: &App, scope: &TenantScope, id: MemberId) -> Result<(), Problem> {
    let mut tx = app.db.tenant(scope).await?;
    let before = lock(&mut tx, scope, id).await?;
    let keys =
        api_keys::end_all_of(&mut tx, before.user_id, "its creator left the organization", app.clock.now()).await?;
    store::delete(&mut tx, id).await.map_err(refusal)?;
    let change = Change {
        action: "member.remove",
        resource: "member",
        resource_id: Some(id.uuid()),
        before: Some(json!({ "user_id": before.user_id, "role": before.role, "status": before.status })),
        after: Some(json!({ "api_keys_revoked": keys })),
    };
    trail::audit(&mut tx, &app.clock, change).await?;
    let event = Event::warning("member.removed", "A member was removed, and the API keys that they made have ended.");
    trail::event(&mut tx, &app.clock, event.with(json!({ "member_id": id, "user_id": before.user_id }))).await?;
    ::jobs::enqueue(&mut tx, &app.clock, &ApplyPlan {}).await?;
    tx.commit().await?;
    app.slice::<ApiKeys>().forget_organization(scope.organization());
    Ok(())
}

/// Removes the seats of an organization that is gone, a batch of them. How many there were.
///
/// # Errors
/// When the database refuses or is gone.
pub async fn purge(tx: &mut TenantTx) -> Result<u64, DbError> {
    store::purge(tx, BATCH).await
}
