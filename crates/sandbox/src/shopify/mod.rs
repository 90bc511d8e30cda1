//! Shopify: installation with consent, expiring tokens, and the GraphQL Admin API 2026-10 over invented shops.
//!
//! | file | holds |
//! |---|---|
//! | `app`, `scopes` | apps as the Dev Dashboard knows them |
//! | `shop` | a running shop: data, limits, status, counts |
//! | `store` | a shop's data, made from a world |
//! | `tokens`, `signature` | lives of codes and tokens; HMACs |
//! | `oauth` | install page, consent page, token endpoint |
//! | `graphql` | schema, search, cost, access, resolvers |
//! | `serve` | hosts and routes |
//!
//! Hosts: `{handle}.myshopify.com` and `admin.shopify.com`; for browsers also `{handle}.shopify.localhost` and
//! `admin.shopify.localhost` on the plain port. Generated data ends at [`epoch_end`](crate::world::epoch_end): to have
//! orders within the 60 days that every app may read, set the [`Clock`] near it.

mod app;
mod graphql;
mod oauth;
mod scopes;
mod serve;
mod shop;
pub mod signature;
pub mod store;
mod tokens;

#[cfg(test)]
mod tests;

pub use app::{App, DataAccess};
pub use graphql::bucket::Rate;
pub use scopes::Scopes;
pub use shop::{Counts, Planted, Shop, ShopSpec, ShopStatus};
pub use tokens::{ACCESS_LIFE, REFRESH_LIFE};

use crate::faults::Faults;
use crate::server::Site;
use crate::{Clock, Options};
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokens::{Grant, Tokens};

/// Which shops and apps there are.
#[derive(Debug, Clone)]
pub struct ShopifyOptions {
    /// The shops.
    pub shops: Vec<ShopSpec>,
    /// The apps; more can be registered later.
    pub apps: Vec<App>,
}

impl Default for ShopifyOptions {
    fn default() -> ShopifyOptions {
        ShopifyOptions { shops: ShopSpec::standard(), apps: Vec::new() }
    }
}

/// The simulated Shopify: what tests turn and read.
#[derive(Debug)]
pub struct Simulator {
    state: Arc<State>,
}

/// What the endpoints share.
#[derive(Debug)]
struct State {
    clock: Clock,
    shops: Vec<Arc<Shop>>,
    apps: Mutex<BTreeMap<String, App>>,
    access: Mutex<Access>,
    documents: graphql::Documents,
    admin_faults: Faults,
}

#[derive(Debug, Default)]
struct Access {
    tokens: Tokens,
    /// Client id and shop domain.
    installed: HashSet<(String, String)>,
}

/// A token pair as the token endpoint gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// For the `X-Shopify-Access-Token` header.
    pub access_token: String,
    /// `None`: the access token does not expire.
    pub refresh_token: Option<String>,
    /// When the access token expires.
    pub expires_at: Option<DateTime<Utc>>,
    /// The granted scopes.
    pub scopes: Scopes,
}

impl Simulator {
    pub(crate) fn new(options: &Options) -> Simulator {
        let specs = options.shopify.shops.iter().enumerate();
        let shops = specs.map(|(place, spec)| Arc::new(Shop::new(spec.clone(), place, options))).collect();
        let apps = options.shopify.apps.iter().map(|app| (app.client_id.clone(), app.clone())).collect();
        let state = State {
            clock: options.clock.clone(),
            shops,
            apps: Mutex::new(apps),
            access: Mutex::default(),
            documents: graphql::Documents::default(),
            admin_faults: Faults::default(),
        };
        Simulator { state: Arc::new(state) }
    }

    /// Adds an app, or replaces the one with the same client id; tokens it has keep working.
    pub fn register(&self, app: App) {
        lock(&self.state.apps).insert(app.client_id.clone(), app);
    }

    /// All shops.
    pub fn shops(&self) -> &[Arc<Shop>] {
        &self.state.shops
    }

    /// The shop with this handle or `myshopify.com` domain.
    pub fn shop(&self, name: &str) -> Option<&Arc<Shop>> {
        self.state.shop(name)
    }

    /// What time it is for Shopify.
    pub fn clock(&self) -> &Clock {
        &self.state.clock
    }

    /// What goes wrong at `admin.shopify.com`.
    pub fn admin_faults(&self) -> &Faults {
        &self.state.admin_faults
    }

    /// Installs an app without any consent page and gives it tokens with all its scopes. `expiring`: with a refresh token.
    /// `None`: no such shop or app.
    pub fn install(&self, shop: &str, client_id: &str, expiring: bool) -> Option<Installed> {
        let shop = self.shop(shop)?.domain();
        let scopes = lock(&self.state.apps).get(client_id)?.scopes.clone();
        let now = self.state.clock.now();
        let mut access = lock(&self.state.access);
        access.installed.insert((client_id.to_owned(), shop.clone()));
        let grant = Grant { client_id: client_id.to_owned(), shop, scopes };
        let issued = access.tokens.issue(grant, expiring, None, now);
        Some(Installed {
            access_token: issued.access_token,
            refresh_token: issued.refresh_token,
            expires_at: expiring.then(|| now + ACCESS_LIFE),
            scopes: issued.scopes,
        })
    }

    /// Whether an app is installed in a shop.
    pub fn is_installed(&self, shop: &str, client_id: &str) -> bool {
        let Some(shop) = self.shop(shop) else { return false };
        lock(&self.state.access).installed.contains(&(client_id.to_owned(), shop.domain()))
    }

    /// Removes an app from a shop, as its merchant does: every token of it dies at once.
    pub fn uninstall(&self, shop: &str, client_id: &str) {
        if let Some(shop) = self.shop(shop) {
            self.state.uninstall(&shop.domain(), client_id);
        }
    }

    /// Ends all access tokens of a shop now, as if their hour were over; refresh tokens keep working.
    pub fn expire_tokens(&self, shop: &str) {
        if let Some(shop) = self.shop(shop) {
            lock(&self.state.access).tokens.expire_access(&shop.domain(), self.state.clock.now());
        }
    }

    /// Ends all refresh tokens of a shop: the next use is `invalid_grant`. Access tokens keep working.
    pub fn expire_refresh_tokens(&self, shop: &str) {
        if let Some(shop) = self.shop(shop) {
            lock(&self.state.access).tokens.expire_refresh(&shop.domain());
        }
    }

    /// Ends every token of a shop; its apps stay installed.
    pub fn revoke(&self, shop: &str) {
        if let Some(shop) = self.shop(shop) {
            lock(&self.state.access).tokens.revoke(&shop.domain(), None);
        }
    }

    /// How often a shop was asked for a GraphQL operation of this name.
    pub fn calls(&self, shop: &str, operation: &str) -> u64 {
        self.shop(shop).and_then(|shop| shop.counts().operations.get(operation).copied()).unwrap_or(0)
    }

    /// Gives a shop other limits.
    pub fn set_rate(&self, shop: &str, rate: Rate) {
        if let Some(shop) = self.shop(shop) {
            shop.set_rate(rate);
        }
    }
}

impl State {
    fn shop(&self, name: &str) -> Option<&Arc<Shop>> {
        let handle = name.strip_suffix(".myshopify.com").unwrap_or(name);
        self.shops.iter().find(|shop| shop.spec().handle == handle)
    }

    fn app(&self, client_id: &str) -> Option<App> {
        lock(&self.apps).get(client_id).cloned()
    }

    fn access(&self) -> MutexGuard<'_, Access> {
        lock(&self.access)
    }

    fn uninstall(&self, domain: &str, client_id: &str) {
        let mut access = self.access();
        access.installed.remove(&(client_id.to_owned(), domain.to_owned()));
        access.tokens.revoke(domain, Some(client_id));
    }
}

impl Site for Simulator {
    fn hosts(&self) -> Vec<String> {
        ["*.myshopify.com", "admin.shopify.com", "*.shopify.localhost"].map(str::to_owned).to_vec()
    }

    fn router(&self) -> axum::Router {
        serve::router(&self.state)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
