//! Ids of our own records: UUIDv7 (RFC 9562), so that newest-first pages stay in index order.

use std::{cmp::Ordering, fmt, hash, marker::PhantomData, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::{NoContext, Timestamp, Uuid};

use crate::Clock;

/// An id that knows what it identifies: an `Id<Connection>` cannot be passed where an `Id<User>` is due.
pub struct Id<K>(Uuid, PhantomData<fn() -> K>);

impl<K> Id<K> {
    pub fn new(clock: &Clock) -> Self {
        let now = clock.now();
        let seconds = u64::try_from(now.timestamp()).unwrap_or(0);
        Self::from(Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, now.timestamp_subsec_nanos())))
    }

    pub fn uuid(self) -> Uuid {
        self.0
    }
}

impl<K> From<Uuid> for Id<K> {
    fn from(uuid: Uuid) -> Self {
        Self(uuid, PhantomData)
    }
}

impl<K> From<Id<K>> for Uuid {
    fn from(id: Id<K>) -> Self {
        id.0
    }
}

impl<K> FromStr for Id<K> {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::from_str(text).map(Self::from)
    }
}

impl<K> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<K> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

// By hand, not derived: a derive would ask the same of `K`, which is only a name.
impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}
impl<K> hash::Hash for Id<K> {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<K> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, K> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Uuid::deserialize(deserializer).map(Self::from)
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident => $id:ident),+ $(,)?) => {$(
        $(#[$doc])*
        pub enum $kind {}
        pub type $id = Id<$kind>;
    )+};
}

kinds! {
    /// The tenant.
    Organization => OrganizationId,
    User => UserId,
    /// A user's seat in an organization.
    Member => MemberId,
    /// Something that is allowed or denied to a member beside their role.
    PermissionGrant => GrantId,
    /// A person of the organization, with or without a login.
    TeamMember => TeamMemberId,
    Session => SessionId,
    /// A seat that is offered to an address.
    Invitation => InvitationId,
    ApiKey => ApiKeyId,
    /// One external account of one organization. A webshop connection is a *store* in the API.
    Connection => ConnectionId,
    Credential => CredentialId,
    /// A data key of the vault.
    DataKey => DataKeyId,
    /// Something that one person is told.
    Notification => NotificationId,
    /// One line of the organization's activity log.
    Event => EventId,
    /// One line of the access log, shown to callers as the answer's receipt.
    AccessReceipt => AccessReceiptId,
    Job => JobId,
}
