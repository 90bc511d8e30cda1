//! Where simulated platforms are, as a file: what whoever runs a sandbox writes, and `entrepot serve --sandbox FILE` reads.

use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
};

use anyhow::Context;
use connector::http::{Hosts, Link, Route};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use sandbox::Sandbox;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// The simulated platforms of one sandbox. `entrepot sandbox` writes more into its file, for other programs.
#[derive(Serialize, Deserialize)]
pub struct Simulated {
    /// Of the private authority that signs for the simulated hosts, as PEM. Trusted for them alone.
    certificate: String,
    /// Where programs find them.
    routes: Vec<SimulatedRoute>,
    /// Where browsers find them.
    links: Vec<SimulatedLink>,
}

/// As [`Route`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SimulatedRoute {
    pattern: String,
    https: SocketAddr,
    http: SocketAddr,
}

/// As [`Link`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SimulatedLink {
    pattern: String,
    origin: String,
}

impl Simulated {
    /// Those of a running sandbox.
    pub fn of(sandbox: &Sandbox) -> Self {
        let routes = sandbox.routes().into_iter();
        let port = sandbox.http_addr().port();
        let shopify = [("*.myshopify.com", "*"), ("admin.shopify.com", "admin")];
        let shopify = shopify.map(|(pattern, label)| (pattern.to_owned(), format!("{label}.shopify.localhost")));
        let woocommerce = sandbox.woocommerce().shops().iter();
        let woocommerce = woocommerce.map(|shop| (shop.spec().host.clone(), shop.browser_host()));
        let links = shopify.into_iter().chain(woocommerce);
        let links = links.map(|(pattern, host)| SimulatedLink { pattern, origin: format!("http://{host}:{port}") });
        Self {
            certificate: sandbox.ca_certificate_pem(),
            routes: routes
                .map(|route| SimulatedRoute { pattern: route.pattern, https: route.https, http: route.http })
                .collect(),
            links: links.collect(),
        }
    }

    /// # Errors
    /// When the file cannot be read or is of another form.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} does not describe a sandbox", path.display()))
    }

    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        std::fs::write(path, serde_json::to_vec_pretty(self)?)
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// # Errors
    /// Unless everything is simulated on this machine.
    pub fn hosts(self) -> anyhow::Result<Hosts> {
        let certificate = CertificateDer::from_pem_slice(self.certificate.as_bytes())
            .map_err(|_| anyhow::anyhow!("the sandbox's certificate is not PEM"))?;
        let routes = self.routes.into_iter();
        let links = self.links.into_iter();
        Ok(Hosts::sandbox(
            Some(certificate.to_vec()),
            routes.map(|SimulatedRoute { pattern, https, http }| Route { pattern, https, http }).collect(),
            links.map(|SimulatedLink { pattern, origin }| Link { pattern, origin }).collect(),
        )?)
    }
}

/// A program that others reach must not take a simulator for a platform: whoever can listen on a port of this machine would
/// be handed the app's secret and the shops' tokens.
///
/// # Errors
/// Unless the program is for this machine only.
pub fn refuse_beyond_this_machine(listen: SocketAddr, public_url: &Url) -> anyhow::Result<()> {
    let is_here = match public_url.host() {
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    };
    if is_here && listen.ip().is_loopback() {
        return Ok(());
    }
    anyhow::bail!(
        "--sandbox is for trying out and testing on this machine: it needs loopback to listen on and in ENTREPOT_PUBLIC_URL, \
         not {listen} and {public_url}"
    )
}
