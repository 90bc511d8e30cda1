//! Which addresses may be called: pure functions over URLs and IP addresses.
//!
//! Shops' addresses are typed by people and sent by shops, so every one of them may be an attempt to reach what only this
//! machine can reach (server-side request forgery). Three checks follow one another: the URL with its literal address here
//! before the call, each name in the resolver ([`super::resolve`]), each hop of a redirect again. Ranges are those of the
//! IANA special-purpose registries (RFC 6890 and its updates) and what clouds hide behind public addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use url::{Host, Url};

use crate::error::ProviderError;

/// The longest URL that is called, in bytes.
pub const URL_BYTES_MAX: usize = 2048;

/// The ports that shops are served on.
pub const PORTS: &[u16] = &[80, 443, 8080, 8443];

/// Why an address is not called. The words are for the person who typed it; they never quote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the address is not a URL")]
    Unreadable,
    #[error("the address is longer than {URL_BYTES_MAX} characters")]
    TooLong,
    #[error("the address contains characters that a web address cannot have")]
    Characters,
    #[error("the address must begin with https:// or http://")]
    Scheme,
    #[error("the address must not contain a user name or password")]
    Userinfo,
    #[error("the address has no complete host name, such as shop.example.com")]
    HostName,
    #[error("the address has a port that shops are not called on")]
    Port,
    #[error("the address leads into an internal network")]
    Internal,
}

impl From<Refusal> for ProviderError {
    fn from(refusal: Refusal) -> Self {
        Self::Rejected { detail: refusal.to_string() }
    }
}

/// Reads an address that a person or a shop gave. `Url::parse` alone forgives what nobody honest writes: it drops line
/// breaks and tabs and takes backslashes for slashes. The fragment is not kept.
///
/// # Errors
/// [`Refusal`], in the words for the person who typed it.
pub fn parse_url(text: &str) -> Result<Url, Refusal> {
    if text.len() > URL_BYTES_MAX {
        return Err(Refusal::TooLong);
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
        return Err(Refusal::Characters);
    }
    let mut url = Url::parse(text).map_err(|_| Refusal::Unreadable)?;
    url.set_fragment(None);
    check_url(&url)?;
    Ok(url)
}

/// Whether this URL may be called on one of the usual [`PORTS`]. A name still has to pass the resolver.
///
/// # Errors
/// The first reason found.
pub fn check_url(url: &Url) -> Result<(), Refusal> {
    check_url_with_ports(url, PORTS)
}

/// [`check_url`] with other ports.
///
/// # Errors
/// The first reason found.
pub fn check_url_with_ports(url: &Url, ports: &[u16]) -> Result<(), Refusal> {
    check_form(url)?;
    match url.host() {
        Some(Host::Domain(name)) => check_name(name)?,
        Some(Host::Ipv4(address)) => check_address(address.into())?,
        Some(Host::Ipv6(address)) => check_address(address.into())?,
        None => return Err(Refusal::HostName),
    }
    match url.port_or_known_default() {
        Some(port) if ports.contains(&port) => Ok(()),
        _ => Err(Refusal::Port),
    }
}

/// The part of the check that holds for simulated hosts too.
pub(super) fn check_form(url: &Url) -> Result<(), Refusal> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Refusal::Scheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Refusal::Userinfo);
    }
    if url.as_str().len() > URL_BYTES_MAX {
        return Err(Refusal::TooLong);
    }
    if url.as_str().bytes().any(|byte| byte.is_ascii_control()) {
        return Err(Refusal::Characters);
    }
    Ok(())
}

/// Names that mean "here" or "inside" by definition (RFC 6761, RFC 6762, RFC 8375, RFC 9476, ICANN's `.internal`).
const INTERNAL_NAMES: &[&str] = &["localhost", "local", "internal", "home.arpa", "alt", "onion"];

fn check_name(name: &str) -> Result<(), Refusal> {
    // The root's dot at the end makes another name of the same host for certificates and for our own tables.
    if name.split('.').any(str::is_empty) {
        return Err(Refusal::HostName);
    }
    let lower = name.to_ascii_lowercase();
    let is_below = |suffix: &str| lower.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    if INTERNAL_NAMES.iter().any(|suffix| is_below(suffix)) {
        return Err(Refusal::Internal);
    }
    // A name without a dot is completed by the resolver's search list, which is the internal network's.
    if !name.contains('.') {
        return Err(Refusal::HostName);
    }
    Ok(())
}

fn check_address(address: IpAddr) -> Result<(), Refusal> {
    if is_public(address) { Ok(()) } else { Err(Refusal::Internal) }
}

/// Whether the address belongs to the public internet.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const INTERNAL_V4: &[Ipv4Net] = &[
    v4(0, 0, 0, 0, 8),        // this network, RFC 791
    v4(10, 0, 0, 0, 8),       // private, RFC 1918
    v4(100, 64, 0, 0, 10),    // carrier-grade NAT, RFC 6598; Alibaba's metadata 100.100.100.200
    v4(127, 0, 0, 0, 8),      // loopback, RFC 1122
    v4(168, 63, 129, 16, 32), // Azure's wire server, reachable from inside only
    v4(169, 254, 0, 0, 16),   // link-local, RFC 3927; the clouds' metadata 169.254.169.254
    v4(172, 16, 0, 0, 12),    // private, RFC 1918
    v4(192, 0, 0, 0, 24),     // IETF protocol assignments, RFC 6890; Oracle's metadata 192.0.0.192
    v4(192, 0, 2, 0, 24),     // documentation, RFC 5737
    v4(192, 88, 99, 0, 24),   // 6to4 relay anycast, RFC 7526
    v4(192, 168, 0, 0, 16),   // private, RFC 1918
    v4(198, 18, 0, 0, 15),    // benchmarks, RFC 2544
    v4(198, 51, 100, 0, 24),  // documentation, RFC 5737
    v4(203, 0, 113, 0, 24),   // documentation, RFC 5737
    v4(224, 0, 0, 0, 4),      // multicast, RFC 5771
    v4(240, 0, 0, 0, 4),      // reserved, RFC 1112, with the broadcast address
];

fn is_public_v4(address: Ipv4Addr) -> bool {
    !INTERNAL_V4.iter().any(|net| net.contains(&address))
}

const fn v6(segments: [u16; 8], prefix: u8) -> Ipv6Net {
    let [a, b, c, d, e, f, g, h] = segments;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), prefix)
}

/// The only block that addresses for everybody are given from (RFC 4291, section 2.4, and IANA's registry). All that lies
/// outside is internal: the unspecified and loopback addresses and the v4-compatible, -mapped (`::ffff:0:0/96`) and
/// -translated (`::ffff:0:0:0/96`) ones in `::/8`, NAT64 (`64:ff9b::/96`, `64:ff9b:1::/48`), discard (`100::/64`), SRv6
/// (`5f00::/16`), unique local (`fc00::/7`), link-local (`fe80::/10`), site-local (`fec0::/10`), multicast (`ff00::/8`).
const GLOBAL_UNICAST: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

const INTERNAL_V6: &[Ipv6Net] = &[
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), // protocol assignments, RFC 2928: Teredo, benchmarks, ORCHID
    v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), // documentation, RFC 3849
    v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), // 6to4, RFC 3056: any v4 address inside
    v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), // documentation, RFC 9637
];

fn is_public_v6(address: Ipv6Addr) -> bool {
    GLOBAL_UNICAST.contains(&address) && !INTERNAL_V6.iter().any(|net| net.contains(&address))
}
