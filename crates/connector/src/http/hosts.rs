//! Where the hosts of providers are: in the world, or simulated on this machine.

use std::{net::SocketAddr, sync::Arc};

use url::Url;

/// The map from providers' hosts to where they are served. Cheap to clone.
///
/// Connectors never take a base URL: they call `https://some-shop.myshopify.com`, and in sandbox mode the name leads to a
/// simulator. Host patterns, signatures and the https rules stay what they are, and no connector bends for a test.
#[derive(Clone, Debug, Default)]
pub struct Hosts(Option<Arc<Sandbox>>);

#[derive(Debug)]
struct Sandbox {
    certificate: Option<Vec<u8>>,
    routes: Vec<(Pattern, Route)>,
    links: Vec<(Pattern, Url)>,
}

/// Where the hosts of one pattern are simulated.
#[derive(Clone, Debug)]
pub struct Route {
    /// An exact host, or `*.` before one; the star stands for exactly one label.
    pub pattern: String,
    /// Where URLs with `https` and the usual port are served, with a certificate of the sandbox's authority.
    pub https: SocketAddr,
    /// Where URLs with `http` and the usual port are served.
    pub http: SocketAddr,
}

/// Where a person finds the hosts of one pattern, since a browser knows nothing of [`Route`]s.
#[derive(Clone, Debug)]
pub struct Link {
    /// As in [`Route::pattern`].
    pub pattern: String,
    /// Scheme, host and port, with a star for what the pattern's star stands for: `http://*.shopify.localhost:4010`.
    pub origin: String,
}

/// A sandbox that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHosts {
    #[error("{0} is neither a host name nor `*.` and a host name")]
    Pattern(String),
    #[error("{0} is not simulated on this machine: only loopback addresses are taken")]
    NotLoopback(SocketAddr),
    #[error("{0} is not an http or https origin whose stars its pattern has")]
    Origin(String),
}

impl Hosts {
    /// Every host is where the world's name service says.
    pub fn production() -> Self {
        Self(None)
    }

    /// The hosts of `routes` are simulated. `certificate` (DER) is the authority that signs for them, trusted for them
    /// alone; without one they are reached by http only. Only they are exempt from the guard, and only they are reachable on this machine.
    ///
    /// # Errors
    /// [`InvalidHosts`] names the entry.
    pub fn sandbox(certificate: Option<Vec<u8>>, routes: Vec<Route>, links: Vec<Link>) -> Result<Self, InvalidHosts> {
        let routes = routes
            .into_iter()
            .map(|route| {
                if let Some(far) = [route.https, route.http].into_iter().find(|to| !to.ip().is_loopback()) {
                    return Err(InvalidHosts::NotLoopback(far));
                }
                Ok((Pattern::parse(&route.pattern)?, route))
            })
            .collect::<Result<_, _>>()?;
        let links = links
            .into_iter()
            .map(|link| {
                let pattern = Pattern::parse(&link.pattern)?;
                let origin = parse_origin(&link.origin, matches!(pattern, Pattern::Below(_)))?;
                Ok((pattern, origin))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self(Some(Arc::new(Sandbox { certificate, routes, links }))))
    }

    pub fn is_sandbox(&self) -> bool {
        self.0.is_some()
    }

    /// The URL to show to a person: the same in production, a simulator's own in the sandbox.
    pub fn public(&self, url: &Url) -> Url {
        self.simulated_link(url).unwrap_or_else(|| url.clone())
    }

    fn simulated_link(&self, url: &Url) -> Option<Url> {
        let host = url.host_str()?;
        let (star, origin) =
            self.0.as_ref()?.links.iter().find_map(|(pattern, origin)| Some((pattern.matches(host)?, origin)))?;
        let mut shown = url.clone();
        shown.set_scheme(origin.scheme()).ok()?;
        shown.set_host(Some(&origin.host_str()?.replace(STAR, star))).ok()?;
        shown.set_port(origin.port()).ok()?;
        Some(shown)
    }

    pub(super) fn certificate(&self) -> Option<&[u8]> {
        self.0.as_deref()?.certificate.as_deref()
    }

    pub(super) fn route(&self, host: &str) -> Option<&Route> {
        self.0.as_ref()?.routes.iter().find(|(pattern, _)| pattern.matches(host).is_some()).map(|(_, route)| route)
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Pattern {
    Exactly(String),
    /// One label before this, which begins with a dot.
    Below(String),
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, InvalidHosts> {
        let invalid = || InvalidHosts::Pattern(text.to_owned());
        let name = text.strip_prefix("*.").unwrap_or(text);
        let is_name = name.split('.').all(|label| {
            !label.is_empty() && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        });
        // An address of numbers is no name, and `*.com` would be half of the world.
        let is_usable = is_name && name.contains('.') && name.bytes().any(|b| b.is_ascii_lowercase());
        if !is_usable {
            return Err(invalid());
        }
        Ok(if name == text { Self::Exactly(name.to_owned()) } else { Self::Below(format!(".{name}")) })
    }

    /// What the star stands for, or an empty text where there is no star.
    fn matches<'h>(&self, host: &'h str) -> Option<&'h str> {
        match self {
            Self::Exactly(name) => (host == name).then_some(""),
            Self::Below(suffix) => {
                host.strip_suffix(suffix.as_str()).filter(|label| !label.is_empty() && !label.contains('.'))
            }
        }
    }
}

/// Stands in for the star in a parsed origin, where a star is no character of a host. No shop's label contains it, since
/// the label is put in after the origin has been parsed.
const STAR: &str = "entrepot-star";

fn parse_origin(text: &str, has_star: bool) -> Result<Url, InvalidHosts> {
    let invalid = || InvalidHosts::Origin(text.to_owned());
    let stars = text.matches('*').count();
    if stars > usize::from(has_star) {
        return Err(invalid());
    }
    let origin = Url::parse(&text.replace('*', STAR)).map_err(|_| invalid())?;
    let is_origin = matches!(origin.scheme(), "http" | "https")
        && origin.path() == "/"
        && origin.query().is_none()
        && origin.fragment().is_none()
        && origin.username().is_empty()
        && origin.password().is_none();
    if is_origin { Ok(origin) } else { Err(invalid()) }
}
