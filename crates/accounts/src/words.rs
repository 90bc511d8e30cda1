//! The closed sets of words that more than one part of the API answers with, for its document. The database has the same,
//! as checks of its columns.

kit::vocabulary! {
    /// What an organization has subscribed to.
    pub(crate) SubscriptionPlan = ["free", "starter", "professional", "enterprise"];
    /// Whether its subscription runs.
    pub(crate) SubscriptionStatus = ["trial", "active", "inactive", "cancelled"];
    /// Whether an API key works: only while it is `active`.
    pub(crate) ApiKeyState = ["active", "suspended", "revoked", "expired"];
}
