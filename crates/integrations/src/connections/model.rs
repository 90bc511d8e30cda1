//! The states of a connection.

use connector::{provider::Established, provider::Provider};
use kit::{App, Code, Problem};

use crate::data_access::model::DataAccess;

pub struct NewConnection {
    pub provider_key: &'static str,
    /// What the person calls it; the account's own name otherwise.
    pub display_name: Option<String>,
    pub established: Established,
    pub enabled_capabilities: Vec<String>,
    pub data_access: DataAccess,
}

/// Where a connection stands (`docs/ARCHITECTURE.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Pending,
    Connected,
    /// No background work; live reads go on.
    Paused,
    /// Nothing, but webhooks are kept.
    Disabled,
    NeedsReauth,
    /// Switched off by the provider.
    Suspended,
    Disconnected,
}

impl Status {
    const ALL: [Self; 7] = [
        Self::Pending,
        Self::Connected,
        Self::Paused,
        Self::Disabled,
        Self::NeedsReauth,
        Self::Suspended,
        Self::Disconnected,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Connected => "connected",
            Self::Paused => "paused",
            Self::Disabled => "disabled",
            Self::NeedsReauth => "needs_reauth",
            Self::Suspended => "suspended",
            Self::Disconnected => "disconnected",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Whether the shop may be asked. A suspended one may: asking is how its return is noticed.
    ///
    /// # Errors
    /// The problem that says what to do.
    pub fn allow_live_reads(self) -> Result<(), Problem> {
        match self {
            Self::Connected | Self::Paused | Self::Suspended => Ok(()),
            Self::NeedsReauth => Err(Problem::new(
                Code::StoreReauthorizationRequired,
                "The store's owner must connect it again, or set a new credential.",
            )),
            Self::Pending | Self::Disabled | Self::Disconnected => Err(Problem::new(
                Code::StoreNotConnected,
                format!("The store is {}. Its owner can change that under connections.", self.as_str()),
            )),
        }
    }
}

/// The capabilities that a new connection starts with.
pub fn default_capabilities(provider: &dyn Provider) -> Vec<String> {
    let capabilities = provider.manifest().capabilities.iter();
    capabilities.filter(|capability| capability.default_enabled).map(|capability| capability.key.to_owned()).collect()
}

pub(super) fn refuse_unknown_capabilities(app: &App, provider_key: &str, given: &[String]) -> Result<(), Problem> {
    let provider = app.providers.get(provider_key);
    let known = |key: &str| {
        provider.is_some_and(|provider| provider.manifest().capabilities.iter().any(|capability| capability.key == key))
    };
    match given.iter().position(|key| !known(key)) {
        None => Ok(()),
        Some(index) => Err(Problem::invalid(
            format!("/enabled_capabilities/{index}"),
            "is not a capability of this provider; see GET /api/integrations/providers/",
        )),
    }
}
