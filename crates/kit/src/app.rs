//! The state that every handler and job shares.

use std::{ops::Deref, str::FromStr, sync::Arc};

use async_trait::async_trait;
use axum::http::{self, Extensions};
use connector::{AppCredentials, Registry, http::Http};
use db::{Db, listener::Freshness};
use kernel::{Actor, Clock, OrganizationId, Principal, UserId};
use url::Url;

use crate::{Problem, mail::SmtpSettings, network::TrustedProxies, retention::Retention, vault::Keyring};

/// What the operator decides.
pub struct Config {
    /// Where people and providers reach us; https unless it is loopback.
    pub public_url: Url,
    /// Our identity at each provider, by provider key.
    pub apps: Vec<(String, AppCredentials)>,
    /// Requests a minute that an API key may make, and a person to the live API.
    pub live_requests_per_minute: u32,
    pub trusted_proxies: TrustedProxies,
    /// Whose `traceparent` is continued. Anybody else could decide which of our traces are kept, and what they are part of.
    pub traced_callers: TrustedProxies,
    pub api_key_prefix: ApiKeyPrefix,
    /// Without it mails wait in the outbox.
    pub mail: Option<SmtpSettings>,
    /// How long what is kept; the same on all nodes.
    pub retention: Retention,
}

impl Config {
    /// Cookies are `Secure` and `__Host-` but on loopback http, where a browser would drop them.
    pub fn is_https(&self) -> bool {
        self.public_url.scheme() == "https"
    }

    pub fn app_credentials(&self, provider: &str) -> Option<&AppCredentials> {
        self.apps.iter().find(|(key, _)| key == provider).map(|(_, app)| app)
    }
}

/// How the API keys of this installation begin, so that people and secret scanners know them. Keys with another prefix are not
/// keys here: choose it before the first key is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeyPrefix(Arc<str>);

/// The prefix is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a prefix of API keys has 3 to 24 of a-z, 0-9 and _, ends with _, and does not begin with entrepot_, as sessions do"
)]
pub struct NotAPrefix;

impl ApiKeyPrefix {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for ApiKeyPrefix {
    /// Seed document 002's.
    fn default() -> Self {
        Self("api_shopcall_".into())
    }
}

impl FromStr for ApiKeyPrefix {
    type Err = NotAPrefix;

    fn from_str(text: &str) -> Result<Self, NotAPrefix> {
        let is_prefix = (3..=24).contains(&text.len())
            && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
            && text.ends_with('_')
            && !text.starts_with("entrepot_");
        if is_prefix { Ok(Self(text.into())) } else { Err(NotAPrefix) }
    }
}

/// Cheap to clone, one counter; handed to every handler by axum and to every job by the runner.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// What an [`App`] is made of.
pub struct Parts {
    pub db: Db,
    pub clock: Clock,
    pub keyring: Arc<Keyring>,
    pub http: Http,
    pub providers: Registry,
    pub freshness: Freshness,
    pub config: Config,
    pub authenticate: Arc<dyn Authenticate>,
    /// State of single slices, by type: their caches and writers.
    pub slices: Extensions,
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl App {
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// The state of a slice, put there by `entrepot::assembly`.
    ///
    /// # Panics
    /// When the assembly forgot it, which every test of the slice shows.
    pub fn slice<T: Clone + Send + Sync + 'static>(&self) -> &T {
        self.slices.get::<T>().unwrap_or_else(|| panic!("{} is not assembled", std::any::type_name::<T>()))
    }
}

/// Finds out who is calling. `accounts` implements it; kit only knows that somebody does.
#[async_trait]
pub trait Authenticate: Send + Sync {
    /// Who presents these headers.
    ///
    /// # Errors
    /// [`crate::Code::Unauthenticated`] when nobody is known by them.
    async fn identify(&self, app: &App, parts: &http::request::Parts) -> Result<Identity, Problem>;

    /// What they may do in an organization. None asks for the only one they belong to.
    ///
    /// # Errors
    /// [`crate::Code::OrganizationRequired`] with several memberships; [`crate::Code::NotFound`] for a foreign organization.
    async fn principal(
        &self,
        app: &App,
        identity: &Identity,
        organization: Option<OrganizationId>,
    ) -> Result<Principal, Problem>;

    /// Whether a person has proved who they are lately enough for what they are about to do. Keys do nothing that asks for it.
    ///
    /// # Errors
    /// [`crate::Code::StepUpRequired`], with what they can prove themself by; [`crate::Code::Forbidden`] for a key.
    async fn has_proved(&self, app: &App, actor: Actor, step_up: StepUp) -> Result<(), Problem>;

    /// What somebody who was identified may do in the organization now, if what they presented then still is good: for answers that
    /// took a while.
    ///
    /// # Errors
    /// As [`Authenticate::identify`] and [`Authenticate::principal`] would fail now.
    async fn again(&self, app: &App, identity: &Identity, organization: OrganizationId) -> Result<Principal, Problem>;

    /// Learns that somebody it has identified asked for what is not there or not allowed. Many of these are a suspicion.
    fn refused(&self, organization: OrganizationId, actor: Actor);
}

/// Of whom an operation asks that they proved who they are a moment ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepUp {
    /// Of those who have a second factor, or need one in the organization: with it.
    SecondFactor,
    /// Of everybody: with the second factor where there is one, with the password otherwise.
    Always,
}

impl StepUp {
    /// As the OpenAPI document has it, at the answer 403 (`x-step-up`).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SecondFactor => "second_factor",
            Self::Always => "always",
        }
    }
}

/// Somebody whose credentials were verified.
#[derive(Clone, Debug)]
pub struct Identity {
    pub actor: Actor,
    pub user: UserId,
    /// The organization that a key belongs to; a session chooses one with each request.
    pub organization: Option<OrganizationId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_of_api_keys_is_plain_and_unlike_a_session() {
        for good in ["ab_", "api_shopcall_", "shop24_live_", &format!("{}_", "a".repeat(23))] {
            assert_eq!(good.parse::<ApiKeyPrefix>().unwrap().as_str(), good);
        }
        let long = format!("{}_", "a".repeat(24));
        for bad in [
            "",
            "_",
            "a_",
            "abc",
            "Api_",
            "api-",
            "a b_",
            "é_é_",
            "entrepot_",
            "entrepot_session_",
            "entrepot_key_",
            &long,
        ] {
            assert_eq!(bad.parse::<ApiKeyPrefix>(), Err(NotAPrefix), "{bad}");
        }
    }
}
