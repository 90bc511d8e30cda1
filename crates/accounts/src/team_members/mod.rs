//! Team members: the people of an organization, with or without a login: who sells, supports and runs things there.
//!
//! Their names and addresses are personal data of staff that the organization keeps on purpose. They are sealed with the
//! organization's data key, are read by those who may read members, and are gone some time after a deletion (`kit::retention`).

pub mod api;
pub mod model;
mod store;

use std::collections::{HashMap, hash_map::Entry};

use db::{DbError, TenantTx};
use kernel::{Clock, Personal, TeamMemberId, TenantScope};
use kit::{
    App, Code, Problem, data_keys,
    input::Patch,
    page::Window,
    retention::{BATCH, Due, Kind},
    trail::{self, Change, Event},
};
use serde_json::{Value, json};

use model::{Person, Work};
pub use store::TeamMemberRow;

pub struct NewTeamMember {
    /// None: the next number of ours.
    pub external_id: Option<String>,
    pub person: Person,
    pub work: Work,
}

/// What to change; what is left out stays.
pub struct Edit {
    pub external_id: Option<String>,
    pub full_name: Option<Personal<String>>,
    pub email: Patch<Personal<String>>,
    pub work: Work,
}

fn refusal(error: DbError) -> Problem {
    match error {
        DbError::Constraint { constraint } => match constraint.as_str() {
            "team_members_organization_id_external_id_key" => Problem::new(
                Code::Conflict,
                "Another team member has this external_id, which may have been deleted lately.",
            ),
            "team_members_by_user" => {
                Problem::new(Code::Conflict, "This login belongs to another team member already.")
            }
            "team_members_organization_id_user_id_fkey" => {
                Problem::invalid("/user_id", "is not a member of this organization")
            }
            _ => DbError::Constraint { constraint }.into(),
        },
        other => other.into(),
    }
}

async fn record(
    tx: &mut TenantTx,
    app: &App,
    (action, event_type, verb): (&'static str, &'static str, &str),
    (id, external_id): (TeamMemberId, &str),
    (before, after): (Option<Value>, Option<Value>),
) -> Result<(), Problem> {
    let change = Change { action, resource: "team_member", resource_id: Some(id.uuid()), before, after };
    trail::audit(tx, &app.clock, change).await?;
    let event = Event::info(event_type, format!("The team member {external_id} was {verb}."));
    Ok(trail::event(tx, &app.clock, event.with(json!({ "team_member_id": id }))).await?)
}

/// Adds a team member, and says under which external id.
///
/// # Errors
/// [`Code::Conflict`] for an external id or a login that another has; [`Code::InvalidRequest`] for a login without a seat here.
pub async fn create(app: &App, scope: &TenantScope, new: NewTeamMember) -> Result<(TeamMemberId, String), Problem> {
    let (id, now) = (TeamMemberId::new(&app.clock), app.clock.now());
    let mut tx = app.db.tenant(scope).await?;
    let key = data_keys::of_organization(&mut tx, &app.keyring, &app.clock).await?;
    let person = model::seal(&key, scope.organization(), id, &new.person)?;
    let external_id = match new.external_id {
        Some(given) => given,
        None => model::numbered(store::next_number(&mut tx).await?),
    };
    let row = store::NewRow {
        id,
        external_id: &external_id,
        data_key: key.identity().id,
        person: &person,
        work: &new.work,
        created_by: scope.actor().user(),
        now,
    };
    store::insert(&mut tx, &row).await.map_err(refusal)?;
    let after = model::description(&external_id, &new.work, person.email.is_some());
    let what = ("team_member.create", "team_member.created", "added");
    record(&mut tx, app, what, (id, &external_id), (None, Some(after))).await?;
    tx.commit().await?;
    Ok((id, external_id))
}

/// A page of team members, opened: those that are there, or those that were deleted.
///
/// # Errors
/// When the database refuses or is gone.
pub async fn newest(
    app: &App,
    scope: &TenantScope,
    window: Window,
    deleted: bool,
) -> Result<Vec<(TeamMemberRow, Person)>, Problem> {
    let mut tx = app.db.tenant(scope).await?;
    let rows = store::newest(&mut tx, window, deleted).await?;
    let mut keys = HashMap::new();
    for row in &rows {
        if let Entry::Vacant(place) = keys.entry(row.data_key_id) {
            let key = data_keys::open(&mut tx, &app.keyring, row.data_key_id).await?;
            place.insert(key.ok_or_else(Problem::not_found)?);
        }
    }
    tx.commit().await?;
    let open = |row: TeamMemberRow| Ok((model::open(&keys[&row.data_key_id], scope.organization(), &row)?, row));
    rows.into_iter().map(|row| open(row).map(|(person, row)| (row, person))).collect()
}

/// A team member that is not deleted, opened.
///
/// # Errors
/// [`Code::NotFound`].
pub async fn find(app: &App, scope: &TenantScope, id: TeamMemberId) -> Result<(TeamMemberRow, Person), Problem> {
    let mut tx = app.db.tenant(scope).await?;
    let row = store::find(&mut tx, id).await?.filter(|row| row.deleted_at.is_none()).ok_or_else(Problem::not_found)?;
    let person = open(app, &mut tx, &row).await?;
    tx.commit().await?;
    Ok((row, person))
}

async fn open(app: &App, tx: &mut TenantTx, row: &TeamMemberRow) -> Result<Person, Problem> {
    let key = data_keys::open(tx, &app.keyring, row.data_key_id).await?.ok_or_else(Problem::not_found)?;
    model::open(&key, tx.organization(), row)
}

/// Changes a team member.
///
/// # Errors
/// [`Code::NotFound`], and those of [`create`].
pub async fn edit(
    app: &App,
    scope: &TenantScope,
    id: TeamMemberId,
    edit: impl FnOnce(&TeamMemberRow) -> Result<Edit, Problem>,
) -> Result<(TeamMemberRow, Person), Problem> {
    let mut tx = app.db.tenant(scope).await?;
    let before = store::find_for_update(&mut tx, id)
        .await?
        .filter(|row| row.deleted_at.is_none())
        .ok_or_else(Problem::not_found)?;
    let edit = edit(&before)?;
    let key =
        data_keys::open_to_seal(&mut tx, &app.keyring, before.data_key_id).await?.ok_or_else(Problem::not_found)?;
    let mut person = model::open(&key, scope.organization(), &before)?;
    let (is_renamed, is_readdressed) = (edit.full_name.is_some(), edit.email != Patch::Absent);
    if let Some(name) = edit.full_name {
        person.full_name = name;
    }
    match edit.email {
        Patch::Absent => {}
        Patch::Null => person.email = None,
        Patch::Value(email) => person.email = Some(email),
    }
    let external_id = edit.external_id.unwrap_or_else(|| before.external_id.clone());
    let sealed = model::seal(&key, scope.organization(), id, &person)?;
    store::update(&mut tx, id, &external_id, &sealed, &edit.work, app.clock.now()).await.map_err(refusal)?;
    let old = model::description(&before.external_id, &before.work(), before.sealed_email.is_some());
    let mut new = model::description(&external_id, &edit.work, sealed.email.is_some());
    // Values that are masked look alike before and after.
    new["changed"] = json!({ "full_name": is_renamed, "email": is_readdressed });
    let what = ("team_member.update", "team_member.changed", "changed");
    record(&mut tx, app, what, (id, &external_id), (Some(old), Some(new))).await?;
    let row = store::find(&mut tx, id).await?.ok_or_else(Problem::not_found)?;
    tx.commit().await?;
    Ok((row, person))
}

/// Deletes a team member, who leaves the list at once and can be restored for as long as the installation keeps them.
///
/// # Errors
/// [`Code::NotFound`].
pub async fn delete(app: &App, scope: &TenantScope, id: TeamMemberId) -> Result<(), Problem> {
    let now = app.clock.now();
    let mut tx = app.db.tenant(scope).await?;
    let row = store::find_for_update(&mut tx, id)
        .await?
        .filter(|row| row.deleted_at.is_none())
        .ok_or_else(Problem::not_found)?;
    store::set_deleted(&mut tx, id, Some(now), scope.actor().user(), now).await?;
    let before = model::description(&row.external_id, &row.work(), row.sealed_email.is_some());
    let what = ("team_member.delete", "team_member.deleted", "deleted");
    record(&mut tx, app, what, (id, &row.external_id), (Some(before), None)).await?;
    Ok(tx.commit().await?)
}

/// Brings back a team member that was deleted. One that is there stays as it is.
///
/// # Errors
/// [`Code::NotFound`] also for one that is past its retention; [`Code::Conflict`] when their login has become another's.
pub async fn restore(app: &App, scope: &TenantScope, id: TeamMemberId) -> Result<(TeamMemberRow, Person), Problem> {
    let now = app.clock.now();
    let mut tx = app.db.tenant(scope).await?;
    let row = store::find_for_update(&mut tx, id).await?.ok_or_else(Problem::not_found)?;
    match row.deleted_at {
        None => {}
        Some(deleted) if deleted < app.config.retention.before(Kind::TeamMembers, now) => {
            return Err(Problem::not_found());
        }
        Some(_) => {
            store::set_deleted(&mut tx, id, None, None, now).await.map_err(refusal)?;
            let after = model::description(&row.external_id, &row.work(), row.sealed_email.is_some());
            let what = ("team_member.restore", "team_member.restored", "restored");
            record(&mut tx, app, what, (id, &row.external_id), (None, Some(after))).await?;
        }
    }
    let row = store::find(&mut tx, id).await?.ok_or_else(Problem::not_found)?;
    let person = open(app, &mut tx, &row).await?;
    tx.commit().await?;
    Ok((row, person))
}

/// Removes team members who were deleted, a batch of them. How many there were.
///
/// # Errors
/// When the database refuses or is gone.
pub async fn purge(tx: &mut TenantTx, clock: &Clock, due: Due) -> Result<u64, DbError> {
    let ids = store::purge(tx, due, BATCH).await?;
    for id in &ids {
        let change = Change {
            action: "team_member.purge",
            resource: "team_member",
            resource_id: Some(*id),
            before: None,
            after: None,
        };
        trail::audit(tx, clock, change).await?;
    }
    Ok(u64::try_from(ids.len()).unwrap_or(u64::MAX))
}
