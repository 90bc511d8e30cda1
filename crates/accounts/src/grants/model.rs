//! Grants as they are stored, and what they come to.

use kernel::{
    ConnectionId, Effect, Grant, GrantId, OrganizationId, PermissionSet, Rights, Role, Time,
    permission::is_at_connections,
};
use kit::{
    Code, Problem,
    vault::{self, Context, DataKey, Kind, Scope},
};
use serde::Deserialize;

/// A row of `permission_grants`, as `app.grants_of` gives it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct StoredGrant {
    effect: String,
    resource: String,
    action: String,
    resource_id: Option<ConnectionId>,
    ends_at: Option<Time>,
}

/// What a member with this role and these grants may do at a moment.
///
/// # Errors
/// When the role, or what a grant does, is none.
pub(crate) fn rights(role: &str, stored: &[StoredGrant], now: Time) -> Result<Rights, Problem> {
    let role: Role = role.parse().map_err(|error| Problem::internal(&error))?;
    let mut grants = Vec::with_capacity(stored.len());
    for row in stored {
        let effect: Effect = row.effect.parse().map_err(|error| Problem::internal(&error))?;
        // A permission that this program does not know was granted by a newer one: there is nothing here that it opens or closes.
        let (Ok(resource), Ok(action)) = (row.resource.parse(), row.action.parse()) else { continue };
        grants.push(Grant { effect, resource, action, connection: row.resource_id, ends_at: row.ends_at });
    }
    Ok(Rights::of(role, &grants, now))
}

/// When the first of those that hold now ends by itself.
pub(crate) fn next_end(stored: &[StoredGrant], now: Time) -> Option<Time> {
    stored.iter().filter_map(|grant| grant.ends_at).filter(|end| *end > now).min()
}

/// Whether these rights hold a permission, at a connection or wherever it can be asked for.
pub(super) fn holds(rights: &Rights, grant: &Grant) -> bool {
    match grant.connection {
        Some(connection) => rights.at(connection).contains(grant.resource, grant.action),
        None => rights.cover(PermissionSet::of(&[(grant.resource, grant.action)])),
    }
}

/// The last moment at which a grant holds. Of two that hold now, the one that holds longer holds at the other's last moment.
pub(super) fn last_moment(grant: &Grant) -> Time {
    grant.ends_at.map_or(Time::MAX_UTC, |end| end - chrono::Duration::microseconds(1))
}

/// # Errors
/// [`Code::InvalidRequest`] for a permission that nobody can have, a connection where none is meant, an end that has passed.
pub(super) fn check(grant: &Grant, now: Time) -> Result<(), Problem> {
    let Grant { resource, action, connection, ends_at, .. } = grant;
    if !Role::Owner.permissions().contains(*resource, *action) {
        return Err(Problem::invalid(
            "/action",
            "is not an action of this resource; GET /api/roles lists those that are",
        ));
    }
    if connection.is_some() && !is_at_connections(*resource, *action) {
        return Err(Problem::invalid("/resource_id", "must be left out: this is not asked for at one connection"));
    }
    if ends_at.is_some_and(|end| end <= now) {
        return Err(Problem::invalid("/ends_at", "must be in the future"));
    }
    Ok(())
}

/// Nobody gives what they lack.
pub(super) fn lacking(grant: &Grant) -> Problem {
    let (resource, action) = (grant.resource, grant.action);
    Problem::new(
        Code::Forbidden,
        format!(
            "You can give {resource}:{action} only where you have it yourself, and for no longer than you have it."
        ),
    )
}

const REASON: Kind = Kind::new("grant_reason");

fn context(organization: OrganizationId, id: GrantId) -> Context {
    Context { organization, scope: Scope::Organization, kind: REASON, record: id.uuid() }
}

/// What somebody wrote may be about a person.
pub(super) fn seal_reason(
    key: &DataKey,
    organization: OrganizationId,
    id: GrantId,
    reason: &str,
) -> Result<Vec<u8>, Problem> {
    vault::seal(key, &context(organization, id), reason.as_bytes()).map_err(|error| Problem::internal(&error))
}

pub(super) fn open_reason(
    key: &DataKey,
    organization: OrganizationId,
    id: GrantId,
    sealed: &[u8],
) -> Result<String, Problem> {
    let opened = vault::open(key, &context(organization, id), sealed).map_err(|error| Problem::internal(&error))?;
    String::from_utf8(opened.to_vec()).map_err(|_| Problem::internal(&"a sealed reason is no text"))
}
