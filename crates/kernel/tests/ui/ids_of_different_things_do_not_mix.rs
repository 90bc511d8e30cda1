//! An id of one kind is refused where another kind is due.

use kernel::id::{ConnectionId, OrganizationId, UserId};

fn connect(_organization: OrganizationId, _connection: ConnectionId) {}

fn swapped(organization: OrganizationId, connection: ConnectionId, user: UserId) {
    connect(connection, organization);
    let _ = user == organization;
    let _: UserId = organization.into();
}

fn main() {}
