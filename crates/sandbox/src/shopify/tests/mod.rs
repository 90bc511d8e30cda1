//! The simulator from outside: over TLS and plain HTTP, as apps and browsers meet it.

mod faults;
mod graphql;
mod limits;
mod oauth;
mod privacy;
mod search;

use super::{App, Installed, Shop, ShopSpec, ShopifyOptions, Simulator};
use crate::world::{self, Market, Size};
use crate::{Clock, Options, Sandbox};
use chrono::TimeDelta;
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) const APP: &str = "client-id-1";
pub(super) const SECRET: &str = "shhh-secret";
pub(super) const CALLBACK: &str = "https://hub.example/callback?via=shopify";
pub(super) const SCOPES: &str =
    "write_products,read_orders,read_all_orders,read_customers,read_inventory,read_locations";
pub(super) const READS: &str = include_str!("reads.graphql");

/// A running sandbox with one app, and a client that trusts it.
pub(super) struct Harness {
    pub(super) sandbox: Sandbox,
    pub(super) client: reqwest::Client,
}

impl Harness {
    /// Three shops: euros, forints, yen. It is the day after the world's end.
    pub(super) async fn start() -> Harness {
        let clock = Clock::default();
        clock.set_now(world::epoch_end() + TimeDelta::days(1));
        let shop = |handle: &str, market| ShopSpec::new(handle, handle, market);
        let shops = vec![shop("euro", Market::GERMANY), shop("forint", Market::HUNGARY), shop("yen", Market::JAPAN)];
        let app = App::new(APP, SECRET, "https://hub.example/app", CALLBACK, SCOPES);
        let shopify = ShopifyOptions { shops, apps: vec![app] };
        let size = Size { people: 80, products: 60, orders: 400 };
        let options = Options { clock, size, shopify, woocommerce: vec![], ..Options::default() };
        let sandbox = Sandbox::start(options).await.unwrap();
        #[expect(
            clippy::disallowed_methods,
            reason = "a test of the sandbox speaks to loopback with a client of its own"
        )]
        let client = reqwest::Client::builder()
            .tls_certs_only([reqwest::Certificate::from_der(&sandbox.ca_certificate_der()).unwrap()])
            .resolve("euro.myshopify.com", sandbox.tls_addr())
            .resolve("forint.myshopify.com", sandbox.tls_addr())
            .resolve("yen.myshopify.com", sandbox.tls_addr())
            .resolve("nobody.myshopify.com", sandbox.tls_addr())
            .resolve("admin.shopify.com", sandbox.tls_addr())
            .resolve("euro.shopify.localhost", sandbox.http_addr())
            .resolve("admin.shopify.localhost", sandbox.http_addr())
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Harness { sandbox, client }
    }

    pub(super) fn shopify(&self) -> &Simulator {
        self.sandbox.shopify()
    }

    pub(super) fn shop(&self, handle: &str) -> &Arc<Shop> {
        self.shopify().shop(handle).unwrap()
    }

    /// An address at `{shop}.myshopify.com`.
    pub(super) fn url(&self, shop: &str, path: &str) -> String {
        format!("https://{shop}.myshopify.com:{}{path}", self.sandbox.tls_addr().port())
    }

    pub(super) fn installed(&self, shop: &str) -> Installed {
        self.shopify().install(shop, APP, true).unwrap()
    }

    /// Posts to the Admin API.
    pub(super) async fn send(&self, shop: &str, token: &str, body: &Value) -> reqwest::Result<reqwest::Response> {
        let url = self.url(shop, "/admin/api/2026-10/graphql.json");
        self.client.post(url).header("X-Shopify-Access-Token", token).json(body).send().await
    }

    /// Runs a query and returns the whole body.
    pub(super) async fn query(&self, shop: &str, token: &str, query: &str, variables: Value) -> Value {
        let response = self.send(shop, token, &json!({"query": query, "variables": variables})).await.unwrap();
        assert_eq!(response.status(), 200);
        response.json().await.unwrap()
    }

    /// Runs one of the recommended reads and returns its data; there must be no error.
    pub(super) async fn read(&self, shop: &str, token: &str, operation: &str, variables: Value) -> Value {
        let body = json!({"query": READS, "operationName": operation, "variables": variables});
        let response: Value = self.send(shop, token, &body).await.unwrap().json().await.unwrap();
        assert_eq!(response.get("errors"), None, "{operation}: {response:#}");
        response["data"].clone()
    }
}

/// The query string of an address as pairs.
pub(super) fn params(url: &str) -> Vec<(String, String)> {
    url::Url::parse(url).unwrap().query_pairs().into_owned().collect()
}

pub(super) fn param(url: &str, name: &str) -> Option<String> {
    params(url).into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
}
