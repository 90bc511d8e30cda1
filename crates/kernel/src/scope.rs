//! Who is calling ([`Principal`]) and the proof that they may touch a tenant's rows ([`TenantScope`]).
//!
//! Rows are reached through `db::TenantTx` only, a `TenantTx` is opened with a `TenantScope` only, and a scope comes from
//! [`Principal::allow`] and its kin or from one of the few places that a test lists (`docs/TENANCY.md`).

use std::sync::Arc;

use crate::{
    Action, Permission, PermissionSet, Reach, Resource, Rights,
    id::{ApiKeyId, ConnectionId, OrganizationId, SessionId, UserId},
    permission::is_exception,
    plan::{ReadOnly, Standing},
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
    standing: Standing,
}

#[derive(Clone, Debug)]
struct Granted {
    rights: Arc<Rights>,
    /// What may be done, as SQL reads it, made once per authentication and not once per transaction.
    text: Arc<str>,
}

impl Granted {
    fn new(rights: Rights) -> Self {
        let text = text(rights.everywhere(), &rights);
        Self { rights: Arc::new(rights), text }
    }

    /// The same where one connection is meant.
    fn at(&self, connection: ConnectionId) -> Self {
        let may = self.rights.at(connection);
        if may == self.rights.everywhere() {
            return self.clone();
        }
        Self { rights: self.rights.clone(), text: text(may, &self.rights) }
    }

    /// The same with nothing that may be written.
    fn reading(&self, at: Option<ConnectionId>) -> Self {
        let may = at.map_or(self.rights.everywhere(), |connection| self.rights.at(connection));
        Self { rights: self.rights.clone(), text: text(may.of_reading(), &self.rights) }
    }
}

/// `,orders:read,!0198…,`: what `app.can` finds, and the connections that `app.hidden_connections` hides.
fn text(may: PermissionSet, rights: &Rights) -> Arc<str> {
    let mut text = may.to_string();
    for connection in rights.hidden() {
        text.push_str(&format!("!{connection},"));
    }
    text.into()
}

/// The caller may not do this here. What is missing is named, so that a person can ask for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{resource}:{action} is not granted")]
pub struct Denied {
    pub resource: Resource,
    pub action: Action,
}

/// Why no scope is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is as unknown as one of another organization.
    #[error("not there")]
    Unknown,
    #[error(transparent)]
    Denied(#[from] Denied),
    /// They may, and it cannot be written at the moment.
    #[error("read-only")]
    ReadOnly(ReadOnly),
}

impl Principal {
    /// For `accounts`, once it has verified a session or a key. A test lists the callers.
    pub fn authenticated(
        actor: Actor,
        organization: OrganizationId,
        rights: impl Into<Rights>,
        standing: Standing,
    ) -> Self {
        Self { actor, organization, granted: Granted::new(rights.into()), standing }
    }

    pub fn actor(&self) -> Actor {
        self.actor
    }

    pub fn organization(&self) -> OrganizationId {
        self.organization
    }

    pub fn rights(&self) -> &Rights {
        &self.granted.rights
    }

    /// What may be done where nothing else is said of a connection.
    pub fn permissions(&self) -> PermissionSet {
        self.granted.rights.everywhere()
    }

    /// Nothing is written in an organization that is read-only: what only reads gets a scope that policies let write nothing.
    fn scope<P: Permission>(&self, at: Option<ConnectionId>) -> Result<TenantScope, Refused> {
        let granted = match self.standing {
            Standing::ReadOnly(why) if !P::WHILE_READ_ONLY => return Err(Refused::ReadOnly(why)),
            Standing::ReadOnly(_) if !is_exception::<P>() => self.granted.reading(at),
            Standing::ReadOnly(_) | Standing::Writable => match at {
                Some(connection) => self.granted.at(connection),
                None => self.granted.clone(),
            },
        };
        Ok(TenantScope { organization: self.organization, actor: self.actor, granted })
    }

    /// The check itself, of what is asked for in the organization as a whole.
    ///
    /// # Errors
    /// [`Refused::Denied`] with what is missing; [`Refused::ReadOnly`] for what they may write, and cannot.
    pub fn allow<P: Permission>(&self) -> Result<TenantScope, Refused> {
        if self.permissions().contains(P::RESOURCE, P::ACTION) {
            self.scope::<P>(None)
        } else {
            Err(Denied { resource: P::RESOURCE, action: P::ACTION }.into())
        }
    }

    /// The check of what is asked for at one connection.
    ///
    /// # Errors
    /// [`Refused::Denied`] with what is missing, the same for a connection that is not there; [`Refused::Unknown`] where the
    /// connection is hidden from somebody who could do it at others; [`Refused::ReadOnly`].
    pub fn allow_at<P: Permission>(&self, connection: ConnectionId) -> Result<TenantScope, Refused> {
        if self.rights().at(connection).contains(P::RESOURCE, P::ACTION) {
            return self.scope::<P>(Some(connection));
        }
        match self.permissions().contains(P::RESOURCE, P::ACTION) && self.rights().is_hidden(connection) {
            true => Err(Refused::Unknown),
            false => Err(Denied { resource: P::RESOURCE, action: P::ACTION }.into()),
        }
    }

    /// The check of what is asked for at all connections: the scope to look at them in, and which they are.
    ///
    /// # Errors
    /// [`Refused::Denied`] when it may be done at none; [`Refused::ReadOnly`].
    pub fn allow_across<P: Permission>(&self) -> Result<(TenantScope, Reach), Refused> {
        if !self.rights().somewhere(P::RESOURCE, P::ACTION) {
            return Err(Denied { resource: P::RESOURCE, action: P::ACTION }.into());
        }
        Ok((self.scope::<P>(None)?, self.rights().reach(P::RESOURCE, P::ACTION)))
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
            granted: Granted::new(PermissionSet::of(T::PERMISSIONS).into()),
        }
    }

    pub fn organization(&self) -> OrganizationId {
        self.organization
    }

    pub fn actor(&self) -> Actor {
        self.actor
    }

    pub fn rights(&self) -> &Rights {
        &self.granted.rights
    }

    /// Whether the scope has all of these permissions: nobody gives what they do not have.
    pub fn covers(&self, permissions: PermissionSet) -> bool {
        self.granted.rights.cover(permissions)
    }

    /// For `db`, which hands it to `app.can` and `app.hidden_connections` of the policies.
    pub fn permissions_text(&self) -> &str {
        &self.granted.text
    }
}
