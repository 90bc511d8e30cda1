//! The closed sets of words that more than one part of the API answers with, for its document. The database has the same,
//! as checks of its columns.

use kernel::{Action, Effect, Limit, Plan, Resource, Role, SubscriptionStatus as Subscribed};

use crate::notifications::Kind;

use crate::{factors::Method, organizations::RequiredOf};

kit::vocabulary! {
    /// A member's role in an organization.
    pub(crate) MemberRole = Role::ALL.iter().map(|role| role.as_str());
    /// Whether a member may do anything: only while `active`.
    pub(crate) MemberStatus = ["active", "invited", "suspended"];
    /// What a permission is about.
    pub(crate) PermissionResource = Resource::ALL.iter().map(|resource| resource.as_str());
    /// What is done.
    pub(crate) PermissionAction = Action::ALL.iter().map(|action| action.as_str());
    /// What a grant does to a permission. `deny` beats `allow`.
    pub(crate) GrantEffect = Effect::ALL.iter().map(|effect| effect.as_str());
    /// What a team member does.
    pub(crate) TeamMemberType = ["sales", "support", "operations"];
    /// What a commission is counted by: a share of each sale in percent, an amount for each sale, or shares that grow.
    pub(crate) CommissionType = ["percentage", "flat", "tiered"];
    /// What a member's status can be set to.
    pub(crate) SettableMemberStatus = ["active", "suspended"];
    /// What somebody proved who they are by.
    pub(crate) ProofMethod = Method::ALL.iter().map(|method| method.as_str());
    /// Of whom an organization asks that they have a second factor.
    pub(crate) SecondFactorRequirement = RequiredOf::ALL.iter().map(|of| of.as_str());
    /// What became of an invitation.
    pub(crate) InvitationStatus = ["pending", "accepted", "revoked", "expired"];
    /// What an organization has subscribed to.
    pub(crate) SubscriptionPlan = Plan::ALL.iter().map(|plan| plan.as_str());
    /// Whether its subscription runs. `inactive` and `cancelled` are read-only.
    pub(crate) SubscriptionStatus = Subscribed::ALL.iter().map(|status| status.as_str());
    /// What a plan limits.
    pub(crate) PlanLimit = Limit::ALL.iter().map(|limit| limit.as_str());
    /// What a notification tells of.
    pub(crate) NotificationKind = Kind::ALL.iter().map(|kind| kind.as_str());
    /// `info` is good to know, of `warning` something follows by itself, with `error` something does not work until somebody acts.
    pub(crate) NotificationSeverity = ["info", "warning", "error"];
    /// Whose it is that is kept: an organization's, that of a person with an account, or of whoever calls.
    pub(crate) KeptFor = kit::retention::Of::ALL.map(kit::retention::Of::as_str);
    /// Whether an API key works: only while it is `active`.
    pub(crate) ApiKeyState = ["active", "suspended", "revoked", "expired"];
}
