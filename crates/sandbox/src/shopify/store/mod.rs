//! The data of one simulated shop, made from a [`World`](crate::world::World) and open to change by tests.

mod derived;
mod index;
pub mod model;
mod render;
pub mod values;

use crate::world::Market;
use chrono::{DateTime, Utc};
use index::Indexes;
pub(super) use index::{Key, Listed};
use model::{AbandonedCheckout, Customer, Id, Location, Order, Product, Variant};
pub(super) use render::{customer_id, order_id};

/// Facts about the shop itself.
#[derive(Debug, Clone)]
pub struct Profile {
    /// `shop.id`.
    pub id: Id,
    /// For people.
    pub name: String,
    /// The first label of its `myshopify.com` domain.
    pub handle: String,
    /// The owner's address.
    pub email: String,
    /// The domain that buyers see.
    pub primary_host: String,
    /// Country, currency, time zone, tax.
    pub market: Market,
    /// What buyers may pay in: ISO 4217.
    pub presentment_currencies: Vec<&'static str>,
    /// For example `Basic`.
    pub plan: &'static str,
    /// When the shop was opened.
    pub created_at: DateTime<Utc>,
}

impl Profile {
    /// `{handle}.myshopify.com`.
    pub fn domain(&self) -> String {
        format!("{}.myshopify.com", self.handle)
    }
}

/// A shop's data. Lists are in order of creation; after a change through
/// [`Shop::edit`](super::Shop::edit) they may be in any order.
#[derive(Debug)]
pub struct Store {
    /// Facts about the shop itself.
    pub profile: Profile,
    /// Where stock is.
    pub locations: Vec<Location>,
    /// The catalog.
    pub products: Vec<Product>,
    /// Everyone with a customer record.
    pub customers: Vec<Customer>,
    /// Placed orders, cancelled and test ones among them.
    pub orders: Vec<Order>,
    /// Carts left behind.
    pub abandoned: Vec<AbandonedCheckout>,
    indexes: Indexes,
}

impl Store {
    /// Forgets what was derived from the data; to be called after every change.
    pub(super) fn changed(&mut self) {
        self.indexes = Indexes::default();
    }

    /// The product with this id.
    pub fn product(&self, id: Id) -> Option<&Product> {
        self.positions().products.get(&id).and_then(|at| self.products.get(*at))
    }

    /// The variant with this id, and its product.
    pub fn variant(&self, id: Id) -> Option<(&Product, &Variant)> {
        let (product, variant) = self.positions().variants.get(&id)?;
        let product = self.products.get(*product)?;
        Some((product, product.variants.get(*variant)?))
    }

    /// The variant whose inventory item has this id, and its product.
    pub fn item(&self, id: Id) -> Option<(&Product, &Variant)> {
        let (product, variant) = self.positions().items.get(&id)?;
        let product = self.products.get(*product)?;
        Some((product, product.variants.get(*variant)?))
    }

    /// The customer with this id.
    pub fn customer(&self, id: Id) -> Option<&Customer> {
        self.positions().customers.get(&id).and_then(|at| self.customers.get(*at))
    }

    /// The order with this id.
    pub fn order(&self, id: Id) -> Option<&Order> {
        self.positions().orders.get(&id).and_then(|at| self.orders.get(*at))
    }

    /// The orders of a customer, oldest first.
    pub fn orders_of(&self, customer: Id) -> Vec<&Order> {
        let positions = self.positions().orders_of.get(&customer);
        positions.into_iter().flatten().filter_map(|at| self.orders.get(*at)).collect()
    }
}
