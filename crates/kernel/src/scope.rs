//! Who is calling ([`Principal`]) and the proof that they may touch a tenant's rows ([`TenantScope`]).
//!
//! Rows are reached through `db::TenantTx` only, a `TenantTx` is opened with a `TenantScope` only, and a scope comes from
//! [`Principal::allow`] or from one of the few places that a test lists (`docs/TENANCY.md`).

use std::sync::Arc;

use crate::{
    Action, Permission, PermissionSet, Resource,
    id::{ApiKeyId, OrganizationId, SessionId, UserId},
};

/// Who did it: the actor of events, the audit log and rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A person with a session.
    Person { user: UserId, session: SessionId },
    /// A program with an API key, which acts for the user who made it.
    Key { key: ApiKeyId, user: UserId },
    /// Entrepot itself, in a named task.
    System { task: &'static str },
}

impl Actor {
    pub fn user(self) -> Option<UserId> {
        match self {
            Self::Person { user, .. } | Self::Key { user, .. } => Some(user),
            Self::System { .. } => None,
        }
    }

    /// As it is written into logs: `user:…`, `key:…`, `system:key_expiry`.
    pub fn label(self) -> String {
        match self {
            Self::Person { user, .. } => format!("user:{user}"),
            Self::Key { key, .. } => format!("key:{key}"),
            Self::System { task } => format!("system:{task}"),
        }
    }
}

/// A caller whose identity and rights in one organization are known.
#[derive(Clone, Debug)]
pub struct Principal {
    actor: Actor,
    organization: OrganizationId,
    granted: Granted,
}

#[derive(Clone, Debug)]
struct Granted {
    set: PermissionSet,
    /// The set as SQL reads it, made once per authentication and not once per transaction.
    text: Arc<str>,
}

impl Granted {
    fn new(set: PermissionSet) -> Self {
        Self { set, text: set.to_string().into() }
    }
}

/// The caller may not do this here. What is missing is named, so that a person can ask for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{resource}:{action} is not granted")]
pub struct Denied {
    pub resource: Resource,
    pub action: Action,
}

impl Principal {
    /// For `accounts`, once it has verified a session or a key. A test lists the callers.
    pub fn authenticated(actor: Actor, organization: OrganizationId, permissions: PermissionSet) -> Self {
        Self { actor, organization, granted: Granted::new(permissions) }
    }

    pub fn actor(&self) -> Actor {
        self.actor
    }

    pub fn organization(&self) -> OrganizationId {
        self.organization
    }

    pub fn permissions(&self) -> PermissionSet {
        self.granted.set
    }

    /// The check itself.
    ///
    /// # Errors
    /// [`Denied`] with what is missing.
    pub fn allow<P: Permission>(&self) -> Result<TenantScope, Denied> {
        if self.granted.set.contains(P::RESOURCE, P::ACTION) {
            Ok(TenantScope { organization: self.organization, actor: self.actor, granted: self.granted.clone() })
        } else {
            Err(Denied { resource: P::RESOURCE, action: P::ACTION })
        }
    }
}

/// The right to open a transaction in one organization, with what may be written there.
#[derive(Clone, Debug)]
pub struct TenantScope {
    organization: OrganizationId,
    actor: Actor,
    granted: Granted,
}

/// A task of the machine itself, with exactly the permissions that it needs.
pub trait InternalTask {
    const NAME: &'static str;
    const PERMISSIONS: &'static [(Resource, Action)];
}

impl TenantScope {
    /// A scope without a person: the job runner, token refresh, a consumed single-use token. A test lists the callers.
    pub fn internal<T: InternalTask>(organization: OrganizationId) -> Self {
        Self {
            organization,
            actor: Actor::System { task: T::NAME },
            granted: Granted::new(PermissionSet::of(T::PERMISSIONS)),
        }
    }

    pub fn organization(&self) -> OrganizationId {
        self.organization
    }

    pub fn actor(&self) -> Actor {
        self.actor
    }

    /// Whether the scope has all of these permissions: nobody gives what they do not have.
    pub fn covers(&self, permissions: PermissionSet) -> bool {
        self.granted.set.intersection(permissions) == permissions
    }

    /// For `db`, which hands it to `app.can` of the policies.
    pub fn permissions_text(&self) -> &str {
        &self.granted.text
    }
}
