//! The listeners that all simulated hosts share: one for TLS, one for plain HTTP, both on loopback only.
//!
//! A request is given to the [`Site`] whose host pattern matches its `Host` header (`:authority` in HTTP/2); for TLS the
//! certificate is minted for the name in the handshake. A site sees where a request came in through the [`Origin`] extension.

mod ca;
mod calls;
mod listen;

pub(crate) use ca::Authority;
pub use calls::{Call, CallLog};
pub(crate) use listen::Listeners;

use axum::Router;
use std::collections::HashMap;

/// One simulated service: the hosts it answers for, and its routes.
pub trait Site: Send + Sync + 'static {
    /// Host patterns in lower case, without port: `kavebolt.example`, or `*.myshopify.com` for every name below it.
    fn hosts(&self) -> Vec<String>;

    /// The routes; the request's [`Origin`] is among its extensions.
    fn router(&self) -> Router;

    /// Whether its hosts speak TLS at all. Where not, the handshake fails, as if nothing listened.
    fn serves_https(&self) -> bool {
        true
    }
}

/// Whether a request came through TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Through the plain listener.
    Http,
    /// Through the TLS listener.
    Https,
}

impl Scheme {
    /// `http` or `https`.
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }
}

/// Where a request came in. An extension of every request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The listener that took it.
    pub scheme: Scheme,
    /// The host the client named, in lower case, without port.
    pub host: String,
}

/// An extension of a response: drop the connection instead of sending it.
#[derive(Debug, Clone, Copy)]
pub struct Abort;

/// Which site answers for which host.
#[derive(Debug, Default)]
pub(crate) struct HostPatterns {
    exact: HashMap<String, usize>,
    below: Vec<(String, usize)>,
}

impl HostPatterns {
    /// Adds a pattern, in any letter case.
    pub(crate) fn add(&mut self, pattern: &str, site: usize) {
        let pattern = pattern.to_ascii_lowercase();
        match pattern.strip_prefix('*') {
            Some(suffix) => self.below.push((suffix.to_owned(), site)),
            None => {
                self.exact.insert(pattern, site);
            }
        }
    }

    /// The site for `host` (lower case, without port). An exact pattern wins over a wildcard.
    pub(crate) fn find(&self, host: &str) -> Option<usize> {
        self.exact.get(host).copied().or_else(|| {
            let below = |suffix: &String| host.len() > suffix.len() && host.ends_with(suffix.as_str());
            self.below.iter().find(|(suffix, _)| below(suffix)).map(|(_, site)| *site)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::HostPatterns;

    #[test]
    fn a_wildcard_covers_names_below_it_but_not_itself_and_an_exact_name_wins() {
        let mut hosts = HostPatterns::default();
        hosts.add("*.myshopify.com", 0);
        hosts.add("special.myshopify.com", 1);
        assert_eq!(hosts.find("a.myshopify.com"), Some(0));
        assert_eq!(hosts.find("special.myshopify.com"), Some(1));
        assert_eq!(hosts.find("myshopify.com"), None);
        assert_eq!(hosts.find("amyshopify.com"), None);
        assert_eq!(hosts.find(".myshopify.com"), None);
    }
}
