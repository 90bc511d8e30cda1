//! Simulated commerce platforms on loopback, for the demo, for tests, and for the tests of those who build on the hub.
//!
//! Each provider is a folder with a `Simulator`: seeded data ([`world`]), the provider's endpoints, and [`faults`] to switch on.
//! The hosts are those of the real services (`*.myshopify.com`) or reserved names (`kavebolt.example`), served over TLS with
//! certificates of a private authority; a client resolves them to loopback with [`Sandbox::routes`] and trusts
//! [`Sandbox::ca_certificate_der`].
//!
//! The crate uses none of the others: it is written from the providers' documents alone, so that a mistake in a connector
//! is not repeated in its simulator. To add a provider: its folder, and its lines in [`Options`] and [`Sandbox::start`].

mod clock;
pub mod faults;
pub mod mailbox;
pub mod oidc;
mod pages;
pub mod server;
pub mod shopify;
pub mod woocommerce;
pub mod world;

pub use clock::Clock;

use server::{Authority, Listeners, Site};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// What to simulate, and where.
#[derive(Debug, Clone)]
pub struct Options {
    /// Decides all data: the same seed gives the same shops on every machine.
    pub seed: u64,
    /// Loopback port of the TLS listener; `None`: any free one.
    pub tls_port: Option<u16>,
    /// Loopback port of the plain HTTP listener; `None`: any free one.
    pub http_port: Option<u16>,
    /// Loopback port of the mail server; `None`: any free one.
    pub smtp_port: Option<u16>,
    /// Where the private CA is kept between runs; `None`: a new one in memory.
    pub data_dir: Option<PathBuf>,
    /// How much data each shop has.
    pub size: world::Size,
    /// The time for all simulated services.
    pub clock: Clock,
    /// The simulated WooCommerce shops.
    pub woocommerce: Vec<woocommerce::ShopSpec>,
    /// The simulated Shopify: shops and apps.
    pub shopify: shopify::ShopifyOptions,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            seed: 1,
            tls_port: None,
            http_port: None,
            smtp_port: None,
            data_dir: None,
            size: world::Size::small(),
            clock: Clock::default(),
            woocommerce: woocommerce::ShopSpec::standard(),
            shopify: shopify::ShopifyOptions::default(),
        }
    }
}

/// A host that a client must resolve to loopback to reach its simulator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRoute {
    /// A host name, or `*.` and the domain above all names meant.
    pub pattern: String,
    /// Where its `https` is.
    pub https: SocketAddr,
    /// Where its `http` is.
    pub http: SocketAddr,
}

/// All simulators, running. Dropping it stops them.
#[derive(Debug)]
pub struct Sandbox {
    authority: Arc<Authority>,
    listeners: Listeners,
    patterns: Vec<String>,
    clock: Clock,
    woocommerce: woocommerce::Simulator,
    shopify: Arc<shopify::Simulator>,
    issuer: oidc::Simulator,
    mailbox: mailbox::Mailbox,
    smtp: mailbox::Smtp,
}

impl Sandbox {
    /// Binds all listeners on `127.0.0.1` and returns when they listen.
    ///
    /// # Errors
    /// If a port is taken, or the data directory cannot be used.
    pub async fn start(options: Options) -> anyhow::Result<Sandbox> {
        let authority = Arc::new(Authority::open(options.data_dir.as_deref())?);
        let woocommerce = woocommerce::Simulator::new(&options);
        let shopify = Arc::new(shopify::Simulator::new(&options));
        let issuer = oidc::Simulator::new(&options)?;
        let mut sites: Vec<Arc<dyn Site>> = vec![shopify.clone(), Arc::new(issuer.clone())];
        sites.extend(woocommerce.shops().iter().map(|shop| Arc::new(shop.clone()) as Arc<dyn Site>));
        let patterns = sites.iter().flat_map(|site| site.hosts()).collect();
        let mut services: Vec<_> =
            woocommerce.shops().iter().map(|shop| (shop.hosts(), shop.faults().clone())).collect();
        services.extend(shopify.shops().iter().map(|shop| (vec![shop.domain()], shop.faults().clone())));
        services.push((vec!["admin.shopify.com".to_owned()], shopify.admin_faults().clone()));
        services.push((issuer.hosts(), issuer.faults().clone()));
        // Not among the patterns: people look at them, and no client is led to them.
        let mailbox = mailbox::Mailbox::default();
        let board = faults::board::Board::new(services);
        sites.push(Arc::new(pages::Pages { mailbox: mailbox.clone(), board }));
        let smtp = mailbox::Smtp::start(mailbox.clone(), options.smtp_port).await?;
        let listeners = Listeners::start(&sites, authority.clone(), options.tls_port, options.http_port).await?;
        Ok(Sandbox {
            authority,
            listeners,
            patterns,
            clock: options.clock,
            woocommerce,
            shopify,
            issuer,
            mailbox,
            smtp,
        })
    }

    /// The certificate (DER) of the private authority that signs every simulated host's certificate.
    pub fn ca_certificate_der(&self) -> Vec<u8> {
        self.authority.der().to_vec()
    }

    /// The same certificate as PEM.
    pub fn ca_certificate_pem(&self) -> String {
        self.authority.pem().to_owned()
    }

    /// Where the TLS listener is.
    pub fn tls_addr(&self) -> SocketAddr {
        self.listeners.tls_addr
    }

    /// Where the plain HTTP listener is.
    pub fn http_addr(&self) -> SocketAddr {
        self.listeners.http_addr
    }

    /// What a client must resolve to loopback.
    pub fn routes(&self) -> Vec<HostRoute> {
        let route =
            |pattern: &String| HostRoute { pattern: pattern.clone(), https: self.tls_addr(), http: self.http_addr() };
        self.patterns.iter().map(route).collect()
    }

    /// The time for all simulated services.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The WooCommerce shops: data, faults, what they were asked.
    pub fn woocommerce(&self) -> &woocommerce::Simulator {
        &self.woocommerce
    }

    /// The simulated Shopify: apps, shops, tokens, faults, what was asked.
    pub fn shopify(&self) -> &shopify::Simulator {
        &self.shopify
    }

    /// The issuer of OpenID Connect tokens: tokens, keys, faults, what it was asked.
    pub fn issuer(&self) -> &oidc::Simulator {
        &self.issuer
    }

    /// Where the mail server is. It speaks without TLS and asks for no login.
    pub fn smtp_addr(&self) -> SocketAddr {
        self.smtp.address
    }

    /// The mails that were sent to it. People find them at `/sandbox/mail`, on the plain HTTP listener.
    pub fn mailbox(&self) -> &mailbox::Mailbox {
        &self.mailbox
    }

    /// Stops all simulators; open connections are closed.
    pub async fn shutdown(self) {
        self.smtp.stop().await;
        self.listeners.stop().await;
    }
}
