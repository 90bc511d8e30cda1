//! Tokens of OpenID Connect issuers, such as Supabase Auth: whose keys they are checked with, and what they prove. Who that
//! person is here is for [`crate::identities`] to say.
//!
//! | file | holds |
//! |---|---|
//! | `settings` | what the operator says of an issuer |
//! | `keys` | an issuer's keys, each for one algorithm |
//! | `discovery` | where an issuer's keys are, and fetching them |
//! | `memory` | the keys that a node knows, and when it asks again |
//! | `token` | a token's form, its signature, its claims |

mod discovery;
#[cfg(test)]
mod fuzz;
mod keys;
mod memory;
mod settings;
mod token;

use std::{sync::Arc, time::Duration};

use connector::http::Http;
use kernel::Clock;
use kit::{Code, Problem};

pub use self::{
    discovery::{Unreachable, reach},
    settings::{IssuerSettings, SettingsError},
};
use self::{memory::Issuer, token::Refused};
pub(crate) use self::{settings::UnknownPersons, token::Proved};

/// When to come back while an issuer's keys cannot be had.
const COME_BACK_AFTER: Duration = Duration::from_secs(5);

/// The issuers whose tokens are taken. Cheap to clone; clones share what they know of keys.
#[derive(Clone)]
pub struct Issuers(Arc<Inner>);

struct Inner {
    all: Vec<Arc<Issuer>>,
    clock: Clock,
}

/// A token that holds: who issued it, and what it proves.
pub(crate) struct Checked {
    pub(crate) issuer: Arc<Issuer>,
    pub(crate) proved: Proved,
}

/// Why nothing is known of a token's person.
pub(crate) enum NotChecked {
    Refused(Refused),
    /// The issuer's keys cannot be had just now.
    Away,
}

impl Issuers {
    /// `inside` reaches private networks too; it is used for the issuers of which the operator says that they are in one.
    pub fn new(settings: Vec<IssuerSettings>, http: &Http, inside: Option<&Http>, clock: Clock) -> Self {
        let issuer = |settings: IssuerSettings| {
            let http = if settings.private_network { inside.unwrap_or(http) } else { http };
            Arc::new(Issuer::new(settings, http.clone()))
        };
        Self(Arc::new(Inner { all: settings.into_iter().map(issuer).collect(), clock }))
    }

    /// Whether a text is for [`Self::check`] to look at.
    pub(crate) fn are_claimed_by(&self, text: &str) -> bool {
        !self.0.all.is_empty() && token::is_claimed(text)
    }

    /// What an issuer is called, by the text of its `iss`; itself, where it is configured no longer.
    pub(crate) fn label<'a>(&'a self, issuer: &'a str) -> &'a str {
        let known = self.0.all.iter().map(|known| known.settings()).find(|known| known.issuer == issuer);
        known.map_or(issuer, |known| known.label.as_str())
    }

    /// Checks a token: its form, whose it says it is, the issuer's key for it, the signature, the claims.
    ///
    /// # Errors
    /// [`NotChecked`].
    pub(crate) async fn check(&self, text: &str) -> Result<Checked, NotChecked> {
        let checked = self.look(text).await;
        match &checked {
            Ok(_) => {}
            Err(NotChecked::Refused(refused)) => {
                metrics::counter!("entrepot_oidc_tokens_refused_total", "reason" => refused.label()).increment(1);
            }
            Err(NotChecked::Away) => {
                metrics::counter!("entrepot_oidc_tokens_refused_total", "reason" => "issuer_away").increment(1);
            }
        }
        checked
    }

    async fn look(&self, text: &str) -> Result<Checked, NotChecked> {
        let refuse = NotChecked::Refused;
        let token = token::parse(text).map_err(refuse)?;
        let issuer = self.0.all.iter().find(|known| known.settings().issuer == token.issuer);
        let issuer = issuer.ok_or(refuse(Refused::Issuer))?;
        if !issuer.settings().algorithms.contains(&token.algorithm) {
            return Err(refuse(Refused::Algorithm));
        }
        let keys = issuer.keys(&self.0.clock, token.kid.as_deref()).await?;
        let key = keys.find(token.kid.as_deref(), token.algorithm).ok_or(refuse(Refused::Key))?;
        let proved = token.prove(key, issuer.settings(), self.0.clock.now()).map_err(refuse)?;
        Ok(Checked { issuer: issuer.clone(), proved })
    }
}

impl NotChecked {
    /// For a token that was sent to say who calls.
    pub(crate) fn at_the_door(self) -> Problem {
        match self {
            Self::Refused(refused) => {
                Problem::new(Code::Unauthenticated, format!("The token is not taken: {refused}."))
            }
            Self::Away => away(),
        }
    }

    /// For a token that was sent in a body.
    pub(crate) fn in_field(self, pointer: &'static str) -> Problem {
        match self {
            Self::Refused(refused) => Problem::invalid(pointer, format!("is not taken: {refused}")),
            Self::Away => away(),
        }
    }
}

fn away() -> Problem {
    Problem::new(
        Code::IssuerUnavailable,
        "The keys of the token's issuer cannot be had, so nobody can say whether the token is genuine. Sessions and API keys go on working.",
    )
    .with_retry_after(COME_BACK_AFTER)
}
