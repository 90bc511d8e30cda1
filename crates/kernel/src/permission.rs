//! What may be done: an [`Action`] on a [`Resource`], as a type ([`Permission`]) and as a set ([`PermissionSet`]).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant),+ }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name in SQL, in the API and in the dashboard.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = Unknown;
            fn from_str(text: &str) -> Result<Self, Unknown> {
                match text { $($text => Ok(Self::$variant),)+ _ => Err(Unknown(stringify!($name))) }
            }
        }
    };
}
pub(crate) use words;

/// A word that is not in the vocabulary.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a known {0}")]
pub struct Unknown(pub &'static str);

words! {
    /// What a permission is about: a column of the roles table in `docs/ARCHITECTURE.md`.
    Resource {
        /// Customers, read live from a shop.
        Customers = "customers",
        /// Orders, read live from a shop.
        Orders = "orders",
        /// Products, read live from a shop.
        Products = "products",
        Organization = "organization",
        /// Members, invitations, grants and team members.
        Members = "members",
        /// Connections with their credentials and store permissions.
        Connections = "connections",
        ApiKeys = "api_keys",
        /// The activity log.
        Events = "events",
        /// The trail of every change.
        Audit = "audit",
        /// Who read what kind of data when.
        AccessLog = "access_log",
    }
}

words! {
    Action {
        Create = "create",
        Read = "read",
        Update = "update",
        Delete = "delete",
        Approve = "approve",
        Run = "run",
    }
}

impl Resource {
    /// Whether a connection has it, so that it can be granted or denied for one of them.
    pub const fn is_of_connections(self) -> bool {
        matches!(self, Self::Customers | Self::Orders | Self::Products | Self::Connections)
    }

    /// For people.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Customers => "Customers, live",
            Self::Orders => "Orders, live",
            Self::Products => "Products, live",
            Self::Organization => "Organization",
            Self::Members => "Members, invitations, grants, team members",
            Self::Connections => "Connections, credentials, store permissions",
            Self::ApiKeys => "API keys",
            Self::Events => "Activity log",
            Self::Audit => "Audit trail",
            Self::AccessLog => "Access log",
        }
    }
}

impl Action {
    /// For people.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Create => "Create",
            Self::Read => "Read",
            Self::Update => "Change",
            Self::Delete => "Delete",
            Self::Approve => "Approve",
            Self::Run => "Run",
        }
    }
}

/// Whether a permission is asked for at one connection: all that connections have, but making new ones.
pub const fn is_at_connections(resource: Resource, action: Action) -> bool {
    resource.is_of_connections() && !matches!(action, Action::Create)
}

/// A permission as a type, so that a handler can ask for it in its signature.
pub trait Permission: Send + Sync + 'static {
    const RESOURCE: Resource;
    const ACTION: Action;
    /// Whether it can be used while the organization is read-only. Reading can; besides, what takes access away.
    const WHILE_READ_ONLY: bool = matches!(Self::ACTION, Action::Read);
}

/// Whether something is written that can be written while the organization is read-only.
pub const fn is_exception<P: Permission>() -> bool {
    P::WHILE_READ_ONLY && !matches!(P::ACTION, Action::Read)
}

/// The third word in [`permissions!`](crate::permissions!) of what can be used while the organization is read-only.
pub const WHILE_READ_ONLY: bool = true;

/// Declares permission types: `permissions! { ReadOrders = (Orders, Read); }`. With a third word, `WHILE_READ_ONLY`, the type can
/// also be used in an organization that is read-only: a second type for the same permission, for handlers that take access
/// away.
#[macro_export]
macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident = ($resource:ident, $action:ident $(, $exception:ident)?);)+) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $name {}
        impl $crate::Permission for $name {
            const RESOURCE: $crate::Resource = $crate::Resource::$resource;
            const ACTION: $crate::Action = $crate::Action::$action;
            $(const WHILE_READ_ONLY: bool = $crate::permission::$exception;)?
        }
    )+};
}

/// A set of (resource, action) pairs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PermissionSet(u128);

// Twenty-one resources fit; the twenty-second must widen the set, and the compiler says so.
const _: () = assert!(Resource::ALL.len() * Action::ALL.len() <= 128);

impl PermissionSet {
    pub const EMPTY: Self = Self(0);

    const fn bit(resource: Resource, action: Action) -> u128 {
        1 << (resource as usize * Action::ALL.len() + action as usize)
    }

    pub const fn of(pairs: &[(Resource, Action)]) -> Self {
        let mut bits = 0;
        let mut at = 0;
        while at < pairs.len() {
            bits |= Self::bit(pairs[at].0, pairs[at].1);
            at += 1;
        }
        Self(bits)
    }

    pub const fn contains(self, resource: Resource, action: Action) -> bool {
        self.0 & Self::bit(resource, action) != 0
    }

    #[must_use]
    pub const fn with(self, resource: Resource, action: Action) -> Self {
        Self(self.0 | Self::bit(resource, action))
    }

    #[must_use]
    pub const fn without(self, resource: Resource, action: Action) -> Self {
        Self(self.0 & !Self::bit(resource, action))
    }

    /// What both sets hold: a key acts with its scopes ∩ its creator's rights.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What this set holds and the other does not.
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The part of it that only reads.
    #[must_use]
    pub fn of_reading(self) -> Self {
        self.iter().filter(|(_, action)| *action == Action::Read).collect()
    }

    /// The part of it that is asked for at single connections.
    #[must_use]
    pub fn of_connections(self) -> Self {
        self.iter().filter(|(resource, action)| is_at_connections(*resource, *action)).collect()
    }

    pub fn iter(self) -> impl Iterator<Item = (Resource, Action)> {
        Resource::ALL
            .iter()
            .flat_map(|resource| Action::ALL.iter().map(|action| (*resource, *action)))
            .filter(move |(resource, action)| self.contains(*resource, *action))
    }
}

impl FromIterator<(Resource, Action)> for PermissionSet {
    fn from_iter<I: IntoIterator<Item = (Resource, Action)>>(pairs: I) -> Self {
        pairs.into_iter().fold(Self::EMPTY, |set, (resource, action)| set.with(resource, action))
    }
}

/// As SQL reads it in `app.can`: `,orders:read,events:read,`. The commas on both ends keep `orders:read` from matching
/// inside another word.
impl fmt::Display for PermissionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(",")?;
        self.iter().try_for_each(|(resource, action)| write!(f, "{resource}:{action},"))
    }
}
