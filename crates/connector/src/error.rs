//! How a provider can fail: few ways, closed, each of which says what the caller can do.

use std::time::Duration;

/// The one table that decides three things: whether to try again, the connection's health, and the line in the event
/// log. Details are of our own wording or codes of the provider, never text that could quote a customer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ProviderError {
    /// The credential is dead: revoked, expired, or never valid. Only the account's owner can mend it.
    #[error("the shop refuses the credential ({detail})")]
    Unauthorized { detail: &'static str },
    /// The provider refuses our own app: its id and secret are wrong, or it does not know the app there. Only the operator of
    /// this installation can mend it; the account's owner has done nothing.
    #[error("the provider refuses our app ({detail})")]
    AppRefused { detail: &'static str },
    /// The credential lives but may not do this.
    #[error("the shop does not allow this ({detail})")]
    Forbidden { missing_scopes: Vec<String>, detail: &'static str },
    /// The provider has switched the account off (unpaid, locked, uninstalled).
    #[error("the account is suspended by its provider ({detail})")]
    Suspended { detail: &'static str },
    /// Ask again after this long.
    #[error("the shop limits how often it may be asked")]
    RateLimited { retry_after: Duration },
    /// The shop did not answer in time.
    #[error("the shop took longer than {}s", after.as_secs())]
    TimedOut { after: Duration },
    /// Not reachable, or failing on its own.
    #[error("the shop is not available ({detail})")]
    Unavailable { detail: &'static str },
    /// The connection broke after the request had been sent: whether the provider did what it says is not known.
    #[error("the shop is not available ({detail})")]
    Cut { detail: &'static str },
    /// The shop has no way to apply this filter with this value; it was not asked.
    #[error("the shop cannot filter by {filter} ({detail})")]
    FilterUnsupported { filter: &'static str, detail: &'static str },
    /// The provider understood the request and says that it is wrong.
    #[error("the shop rejects the request ({detail})")]
    Rejected { detail: String },
    /// The answer is not what the provider documents. `path` names where, without the value.
    #[error("the shop's answer cannot be read (at {path})")]
    Malformed { path: String },
}

impl ProviderError {
    /// Whether the same request can succeed later without anybody doing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::RateLimited { .. } | Self::TimedOut { .. } | Self::Unavailable { .. } | Self::Cut { .. })
    }

    /// The stable word for logs, metrics and problem types.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unauthorized { .. } => "unauthorized",
            Self::AppRefused { .. } => "app_refused",
            Self::Forbidden { .. } => "forbidden",
            Self::Suspended { .. } => "suspended",
            Self::RateLimited { .. } => "rate_limited",
            Self::TimedOut { .. } => "timed_out",
            Self::Unavailable { .. } | Self::Cut { .. } => "unavailable",
            Self::FilterUnsupported { .. } => "filter_unsupported",
            Self::Rejected { .. } => "rejected",
            Self::Malformed { .. } => "malformed",
        }
    }
}
