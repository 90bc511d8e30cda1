//! WooCommerce shops (REST API `wc/v3`), as their documents describe them; what was seen on a real shop (section
//! 20) wins over documentation. For reading only: no webhooks, no `wc-auth`, no writes.
//!
//! | file | holds |
//! |---|---|
//! | `spec` | what each shop is like, keys |
//! | `shop` | a running shop, its data and indexes |
//! | `serve` | routes, pages outside the REST API, headers |
//! | `auth`, `oauth` | who is calling |
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

pub use shop::Shop;
pub use spec::{ApiKey, Permissions, ShopSpec, Transport, Version};

use crate::Options;

/// All simulated WooCommerce shops.
#[derive(Debug)]
pub struct Simulator {
    shops: Vec<Shop>,
}

impl Simulator {
    pub(crate) fn new(options: &Options) -> Simulator {
        Simulator { shops: options.woocommerce.iter().map(|spec| Shop::new(spec.clone(), options)).collect() }
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
