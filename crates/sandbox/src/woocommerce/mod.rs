//! WooCommerce shops (REST API `wc/v3`), as their documents describe them; what was seen on a real shop (section
//! 20) wins over documentation. For reading only: no webhooks, no writes.
//!
//! | file | holds |
//! |---|---|
//! | `spec` | what each shop is like, keys |
//! | `shop` | a running shop, its data and indexes |
//! | `serve` | routes, pages outside the REST API, headers |
//! | `auth`, `oauth` | who is calling |
//! | `wc_auth` | a merchant's consent, and keys that are handed over |
//! | `query`, `params`, `dates` | what they ask |
//! | `orders`, `customers`, `products`, `facts` | what they get |
//! | `json`, `error` | how it is written |

mod auth;
mod customers;
mod dates;
mod error;
mod facts;
mod json;
mod oauth;
mod orders;
mod params;
mod products;
mod query;
mod serve;
mod shop;
mod spec;
mod wc_auth;

pub use shop::Shop;
pub use spec::{ApiKey, Permissions, ShopSpec, Transport, Version};
pub use wc_auth::{Carrier, Delivery};

use crate::Options;

/// All simulated WooCommerce shops.
#[derive(Debug)]
pub struct Simulator {
    shops: Vec<Shop>,
    post: wc_auth::Post,
}

impl Simulator {
    pub(crate) fn new(options: &Options) -> Simulator {
        let post = wc_auth::Post::default();
        let shop = |spec: &ShopSpec| Shop::new(spec.clone(), options, post.clone());
        Simulator { shops: options.woocommerce.iter().map(shop).collect(), post }
    }

    /// Has the keys that shops hand over carried by a test; else they go over loopback.
    pub fn carried_by(&self, carrier: Carrier) {
        self.post.carried_by(carrier);
    }

    /// All shops.
    pub fn shops(&self) -> &[Shop] {
        &self.shops
    }

    /// The shop at this host.
    pub fn shop(&self, host: &str) -> Option<&Shop> {
        self.shops.iter().find(|shop| shop.spec().host == host)
    }
}
