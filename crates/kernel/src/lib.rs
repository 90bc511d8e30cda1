//! Layer 0: the words every other crate speaks. No I/O, no `async`, no SQL.
//!
//! - [`id`]: typed ids, [`clock`]: time that tests can move, [`random`]: secrets and nonces
//! - [`permission`]: what may be done, [`role`]: who usually may, [`rights`]: who may at all and where, [`scope`]: the proof that
//!   it was checked
//! - [`plan`]: what an organization has subscribed to, and what that allows
//! - [`personal`] and [`secret`]: values that cannot be printed, logged or stored by accident
//! - [`money`]: exact amounts with their currency

pub mod clock;
pub mod id;
pub mod money;
pub mod permission;
pub mod personal;
pub mod plan;
pub mod random;
pub mod rights;
pub mod role;
pub mod scope;
pub mod secret;

pub use clock::Clock;
pub use id::{
    AccessReceiptId, ApiKeyId, ConnectionId, CredentialId, DataKeyId, EventId, GrantId, Id, InvitationId, JobId,
    MemberId, NotificationId, OrganizationId, SessionId, TeamMemberId, UserId,
};
pub use money::Money;
pub use permission::{Action, Permission, PermissionSet, Resource};
pub use personal::{Exit, Personal};
pub use plan::{Limit, Plan, Standing, Subscription, SubscriptionStatus};
pub use rights::{Effect, Grant, Reach, Rights};
pub use role::Role;
pub use scope::{Actor, Denied, Principal, TenantScope};
pub use secret::Secret;

/// RFC 3339 UTC wherever it leaves the program.
pub type Time = chrono::DateTime<chrono::Utc>;
