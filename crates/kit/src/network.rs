//! Where a request comes from: the network that is counted when somebody guesses.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use axum::{extract::ConnectInfo, http::request::Parts};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Entries of `X-Forwarded-For` that are looked at, from its end: chains of proxies are short.
const HOPS_MAX: usize = 16;

/// The proxies in front of us, whose word on who asked them is believed. Anybody else could write there what they like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

/// A text that is no list of networks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither an address nor a network such as 10.0.0.0/8; write them with commas between, or none")]
pub struct NotANetwork(String);

impl Default for TrustedProxies {
    /// This machine: the documented proxy is in front of us on it.
    fn default() -> Self {
        Self(vec![
            Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8).into(),
            Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128).into(),
        ])
    }
}

impl FromStr for TrustedProxies {
    type Err = NotANetwork;

    /// Addresses and networks with commas between; `none` believes nobody.
    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        if text.trim() == "none" {
            return Ok(Self::nobody());
        }
        let network = |word: &str| {
            let word = word.trim();
            let address = || word.parse::<IpAddr>().map(IpNet::from);
            word.parse::<IpNet>().or_else(|_| address()).map_err(|_| NotANetwork(word.to_owned()))
        };
        text.split(',').map(network).collect::<Result<_, _>>().map(Self)
    }
}

impl TrustedProxies {
    /// An empty list.
    pub fn nobody() -> Self {
        Self(vec![])
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The address that a request comes from: the peer's, or what the trusted proxies say of it. Each proxy adds to the end
    /// of `X-Forwarded-For` who asked it, so the list is read from its end for as long as those are trusted who wrote it. None
    /// without a peer, as in a test.
    pub fn address(&self, parts: &Parts) -> Option<IpAddr> {
        let mut address = parts.extensions.get::<ConnectInfo<SocketAddr>>()?.0.ip().to_canonical();
        let lines: Vec<&str> =
            parts.headers.get_all("x-forwarded-for").iter().filter_map(|line| line.to_str().ok()).collect();
        let hops = lines.iter().rev().flat_map(|line| line.rsplit(',')).take(HOPS_MAX);
        for hop in hops {
            if !self.contains(address) {
                break;
            }
            let Some(before) = hop_address(hop.trim()) else { break };
            address = before.to_canonical();
        }
        Some(address)
    }
}

/// Some proxies write the port too.
pub(crate) fn hop_address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

/// What one guesser has for sure: an address of IPv4, or the 2⁶⁴ addresses around one of IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network(IpAddr);

impl Network {
    /// None for this machine itself, which is not counted.
    pub fn of(address: IpAddr) -> Option<Self> {
        let address = address.to_canonical();
        if address.is_loopback() {
            return None;
        }
        Some(Self(match address {
            IpAddr::V4(_) => address,
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
            }
        }))
    }

    /// As counters know it: different networks have different bytes.
    pub fn bytes(self) -> Vec<u8> {
        match self.0 {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets()[..8].to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn from(peer: &str, forwarded: &[&str]) -> Parts {
        let mut request = Request::builder();
        for line in forwarded {
            request = request.header("x-forwarded-for", *line);
        }
        let (mut parts, ()) = request.body(()).expect("a request").into_parts();
        let peer = SocketAddr::new(peer.parse().expect("an address"), 443);
        parts.extensions.insert(ConnectInfo(peer));
        parts
    }

    #[track_caller]
    fn comes_from(trusted: &str, peer: &str, forwarded: &[&str], expected: &str) {
        let trusted: TrustedProxies = trusted.parse().expect("networks");
        let address = trusted.address(&from(peer, forwarded));
        assert_eq!(address.map(|address| address.to_string()).as_deref(), Some(expected), "{peer} {forwarded:?}");
    }

    #[test]
    fn only_trusted_proxies_are_believed_and_from_the_end_of_what_they_say() {
        let near = "127.0.0.0/8,::1";
        comes_from(near, "203.0.113.9", &[], "203.0.113.9");
        comes_from(near, "203.0.113.9", &["198.51.100.1"], "203.0.113.9");
        comes_from(near, "127.0.0.1", &["198.51.100.1"], "198.51.100.1");
        comes_from(near, "::1", &["198.51.100.1"], "198.51.100.1");
        comes_from(near, "::ffff:127.0.0.1", &["198.51.100.1"], "198.51.100.1");
        // What the caller wrote itself stands before what the proxy added.
        comes_from(near, "127.0.0.1", &["10.1.1.1, 198.51.100.1"], "198.51.100.1");
        comes_from(near, "127.0.0.1", &["10.1.1.1", "198.51.100.1"], "198.51.100.1");
        comes_from(near, "127.0.0.1", &["127.0.0.1, 198.51.100.1"], "198.51.100.1");
        // A chain of two that are both trusted.
        comes_from("127.0.0.1,10.0.0.0/8", "127.0.0.1", &["6.6.6.6, 198.51.100.1, 10.0.0.7"], "198.51.100.1");
        comes_from("127.0.0.1", "127.0.0.1", &["6.6.6.6, 198.51.100.1, 10.0.0.7"], "10.0.0.7");
        comes_from("127.0.0.1,10.0.0.0/8", "127.0.0.1", &["10.0.0.8, 10.0.0.7"], "10.0.0.8");
        // With ports and brackets, and with what is no address.
        comes_from(near, "127.0.0.1", &["198.51.100.1:5000"], "198.51.100.1");
        comes_from(near, "127.0.0.1", &["[2001:db8::1]:5000"], "2001:db8::1");
        comes_from(near, "127.0.0.1", &["[2001:db8::1]"], "2001:db8::1");
        comes_from(near, "127.0.0.1", &["unknown"], "127.0.0.1");
        comes_from(near, "127.0.0.1", &["198.51.100.1, unknown"], "127.0.0.1");
        comes_from("none", "127.0.0.1", &["198.51.100.1"], "127.0.0.1");
        let endless = vec!["127.0.0.1"; 10_000].join(",");
        comes_from(near, "127.0.0.1", &[&endless], "127.0.0.1");
    }

    #[test]
    fn a_list_of_proxies_is_read_or_refused_with_the_word_that_is_wrong() {
        assert_eq!("127.0.0.0/8, ::1/128".parse(), Ok(TrustedProxies::default()));
        for wrong in ["", "10.0.0.0/33", "proxy.example", "10.0.0.1,", "10.0.0.1;10.0.0.2"] {
            assert!(wrong.parse::<TrustedProxies>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn one_address_of_ipv6_stands_for_those_around_it_and_this_machine_for_nobody() {
        let network = |text: &str| Network::of(text.parse().expect("an address"));
        assert_eq!(network("2001:db8:1:2::3"), network("2001:db8:1:2:ffff::4"));
        assert_ne!(network("2001:db8:1:2::3"), network("2001:db8:1:3::3"));
        assert_eq!(network("::ffff:198.51.100.1"), network("198.51.100.1"));
        assert_ne!(network("198.51.100.1"), network("198.51.100.2"));
        assert_eq!(network("127.0.0.1"), None);
        assert_eq!(network("::1"), None);
    }
}
