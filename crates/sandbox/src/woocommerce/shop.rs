//! One WooCommerce shop.

use crate::Options;
use crate::world::{Market, World};
use std::sync::{OnceLock, RwLock};

/// What one shop is like.
#[derive(Debug, Clone)]
pub struct ShopSpec {
    /// Its host.
    pub host: String,
    /// Where it sells.
    pub market: Market,
}

impl ShopSpec {
    /// The shops of the demo.
    pub fn standard() -> Vec<ShopSpec> {
        vec![ShopSpec { host: "kavebolt.example".to_owned(), market: Market::HUNGARY }]
    }
}

/// A running shop.
#[derive(Debug)]
pub struct Shop {
    spec: ShopSpec,
    seed: u64,
    size: crate::world::Size,
    world: OnceLock<RwLock<World>>,
}

impl Shop {
    pub(crate) fn new(spec: ShopSpec, options: &Options) -> Shop {
        Shop { spec, seed: options.seed, size: options.size, world: OnceLock::new() }
    }

    /// What it is like.
    pub fn spec(&self) -> &ShopSpec {
        &self.spec
    }

    /// Its data, made at first use.
    pub fn world(&self) -> &RwLock<World> {
        self.world.get_or_init(|| RwLock::new(World::generate(self.seed, self.size, self.spec.market)))
    }
}
