//! WooCommerce shops (REST API `wc/v3`).

mod shop;

pub use shop::{Shop, ShopSpec};

use crate::Options;
use crate::server::Site;
use axum::Router;
use std::sync::Arc;

/// All simulated WooCommerce shops.
#[derive(Debug)]
pub struct Simulator {
    shops: Vec<Arc<Shop>>,
}

impl Simulator {
    pub(crate) fn new(options: &Options) -> Simulator {
        Simulator { shops: options.woocommerce.iter().map(|spec| Arc::new(Shop::new(spec.clone(), options))).collect() }
    }

    /// All shops.
    pub fn shops(&self) -> &[Arc<Shop>] {
        &self.shops
    }
}

impl Site for Simulator {
    fn hosts(&self) -> Vec<String> {
        self.shops.iter().map(|shop| shop.spec().host.clone()).collect()
    }

    fn router(&self) -> Router {
        Router::new()
    }
}
