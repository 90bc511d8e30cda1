//! What somebody may do in an organization: their role, what was granted and denied them besides, and at which connections.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use serde::{Deserialize, Serialize};

use crate::{
    Action, ConnectionId, PermissionSet, Resource, Role, Time,
    permission::{Unknown, words},
};

words! {
    /// What a grant does to a permission.
    Effect {
        Allow = "allow",
        Deny = "deny",
    }
}

/// One row of `permission_grants` of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    pub effect: Effect,
    pub resource: Resource,
    pub action: Action,
    /// None: of the organization as a whole.
    pub connection: Option<ConnectionId>,
    /// None: until it is taken back.
    pub ends_at: Option<Time>,
}

impl Grant {
    pub fn holds_at(&self, moment: Time) -> bool {
        self.ends_at.is_none_or(|end| end > moment)
    }
}

/// The result: role ∪ what is allowed − what is denied, in the organization and, where that differs, at single connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights {
    everywhere: PermissionSet,
    exceptions: BTreeMap<ConnectionId, Exception>,
    /// The connections that an API key is limited to.
    only: Option<BTreeSet<ConnectionId>>,
}

/// What holds at one connection in place of what holds everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Exception {
    may: PermissionSet,
    is_hidden: bool,
}

/// The connections at which something may be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// None: all of the organization.
    pub only: Option<Vec<ConnectionId>>,
    pub except: Vec<ConnectionId>,
}

impl From<PermissionSet> for Rights {
    fn from(everywhere: PermissionSet) -> Self {
        Self { everywhere, exceptions: BTreeMap::new(), only: None }
    }
}

impl Rights {
    /// A denial beats a grant, whichever was there first and whichever names a connection. Who is denied `connections:read` at a
    /// connection does not know it: nothing else is left of it. Nothing is denied to owners, who could otherwise lose the
    /// organization.
    pub fn of(role: Role, grants: &[Grant], now: Time) -> Self {
        #[derive(Default)]
        struct Change {
            allowed: PermissionSet,
            denied: PermissionSet,
        }
        let mut general = Change::default();
        let mut single: BTreeMap<ConnectionId, Change> = BTreeMap::new();
        for grant in grants.iter().filter(|grant| grant.holds_at(now)) {
            let change = match grant.connection {
                None => &mut general,
                Some(connection) => single.entry(connection).or_default(),
            };
            match grant.effect {
                Effect::Allow => change.allowed = change.allowed.with(grant.resource, grant.action),
                Effect::Deny if role == Role::Owner => {}
                Effect::Deny => change.denied = change.denied.with(grant.resource, grant.action),
            }
        }
        let everywhere = role.permissions().union(general.allowed).difference(general.denied);
        let exception = |change: Change| {
            let is_hidden = change.denied.contains(Resource::Connections, Action::Read);
            let allowed = change.allowed.difference(general.denied);
            let may = match is_hidden {
                true => PermissionSet::EMPTY,
                false => everywhere.union(allowed).difference(change.denied),
            };
            Exception { may, is_hidden }
        };
        let exceptions = single.into_iter().map(|(connection, change)| (connection, exception(change))).collect();
        Self { everywhere, exceptions, only: None }
    }

    /// What is left of them for an API key: its scopes, at its connections.
    #[must_use]
    pub fn limited_to(mut self, scopes: PermissionSet, only: Option<&[ConnectionId]>) -> Self {
        self.everywhere = self.everywhere.intersection(scopes);
        for exception in self.exceptions.values_mut() {
            exception.may = exception.may.intersection(scopes);
        }
        self.only = only.map(|only| only.iter().copied().collect());
        self
    }

    /// What may be done where nothing else is said of a connection.
    pub fn everywhere(&self) -> PermissionSet {
        self.everywhere
    }

    /// What may be done at a connection.
    pub fn at(&self, connection: ConnectionId) -> PermissionSet {
        if !self.is_within(connection) {
            return PermissionSet::EMPTY;
        }
        self.exceptions.get(&connection).map_or(self.everywhere, |exception| exception.may)
    }

    fn is_within(&self, connection: ConnectionId) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(&connection))
    }

    /// Whether the connection is as unknown to them as one of another organization.
    pub fn is_hidden(&self, connection: ConnectionId) -> bool {
        !self.is_within(connection) || self.exceptions.get(&connection).is_some_and(|exception| exception.is_hidden)
    }

    /// The connections that were taken from them as a whole.
    pub fn hidden(&self) -> impl Iterator<Item = ConnectionId> {
        self.exceptions.iter().filter(|(_, exception)| exception.is_hidden).map(|(connection, _)| *connection)
    }

    /// The connections that they know at which something else holds than everywhere.
    pub fn exceptions(&self) -> impl Iterator<Item = (ConnectionId, PermissionSet)> {
        let known = self.exceptions.iter().filter(|(connection, _)| !self.is_hidden(**connection));
        known.map(|(connection, exception)| (*connection, exception.may)).filter(|(_, may)| *may != self.everywhere)
    }

    /// Where this may be done.
    pub fn reach(&self, resource: Resource, action: Action) -> Reach {
        let may = |connection: &ConnectionId| self.at(*connection).contains(resource, action);
        if !self.everywhere.contains(resource, action) {
            let only = self.exceptions.keys().filter(|connection| may(connection)).copied().collect();
            return Reach { only: Some(only), except: vec![] };
        }
        let only = self.only.as_ref().map(|only| only.iter().filter(|connection| may(connection)).copied().collect());
        Reach { only, except: self.exceptions.keys().filter(|connection| !may(connection)).copied().collect() }
    }

    /// Whether this may be done at some connection: at one that is named, or at any that there may be.
    pub fn somewhere(&self, resource: Resource, action: Action) -> bool {
        self.everywhere.contains(resource, action)
            || self.reach(resource, action).only.is_some_and(|only| !only.is_empty())
    }

    /// Whether they have all of these, at every connection: nobody gives what they do not have, not for one store either.
    pub fn cover(&self, permissions: PermissionSet) -> bool {
        let at_connections = permissions.of_connections();
        let everywhere = self.everywhere.intersection(permissions) == permissions;
        let is_whole = |exception: &Exception| exception.may.intersection(at_connections) == at_connections;
        everywhere
            && self.exceptions.values().all(is_whole)
            && (self.only.is_none() || at_connections == PermissionSet::EMPTY)
    }
}
