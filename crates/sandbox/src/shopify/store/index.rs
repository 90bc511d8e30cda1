//! What is derived from a store's lists: positions by id, and lists in the order of a sort key. Made when first needed.

use super::Store;
use super::model::Id;
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// A value that lists are sorted by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::shopify) enum Key {
    /// Sorts before everything else.
    Missing,
    Time(DateTime<Utc>),
    Number(Decimal),
    Text(String),
}

impl From<DateTime<Utc>> for Key {
    fn from(time: DateTime<Utc>) -> Key {
        Key::Time(time)
    }
}

impl From<Decimal> for Key {
    fn from(number: Decimal) -> Key {
        Key::Number(number)
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Key {
        Key::Text(text.to_lowercase())
    }
}

impl<T: Into<Key>> From<Option<T>> for Key {
    fn from(value: Option<T>) -> Key {
        value.map_or(Key::Missing, Into::into)
    }
}

/// Something that the store lists.
pub(in crate::shopify) trait Listed: Sized {
    /// Name of the list, which tells its indexes apart.
    const LIST: &'static str;

    /// Its id.
    fn id(&self) -> Id;

    /// What it is sorted by for a `sortKey`.
    fn key(&self, sort: &str) -> Key;
}

pub(in crate::shopify) type Sorted = Arc<Vec<(Key, Id, usize)>>;

#[derive(Debug, Default)]
pub(super) struct Indexes {
    positions: OnceLock<Positions>,
    sorted: Mutex<HashMap<(&'static str, String), Sorted>>,
}

#[derive(Debug, Default)]
pub(super) struct Positions {
    pub(super) products: HashMap<Id, usize>,
    pub(super) variants: HashMap<Id, (usize, usize)>,
    pub(super) items: HashMap<Id, (usize, usize)>,
    pub(super) customers: HashMap<Id, usize>,
    pub(super) orders: HashMap<Id, usize>,
    pub(super) orders_of: HashMap<Id, Vec<usize>>,
}

impl Store {
    pub(super) fn positions(&self) -> &Positions {
        self.indexes.positions.get_or_init(|| {
            let mut positions = Positions::default();
            for (at, product) in self.products.iter().enumerate() {
                positions.products.insert(product.id, at);
                for (nth, variant) in product.variants.iter().enumerate() {
                    positions.variants.insert(variant.id, (at, nth));
                    positions.items.insert(variant.item_id, (at, nth));
                }
            }
            for (at, customer) in self.customers.iter().enumerate() {
                positions.customers.insert(customer.id, at);
            }
            for (at, order) in self.orders.iter().enumerate() {
                positions.orders.insert(order.id, at);
                if let Some(customer) = order.customer_id {
                    positions.orders_of.entry(customer).or_default().push(at);
                }
            }
            positions
        })
    }

    /// The positions of `items`, ordered by the sort key and then by id.
    pub(in crate::shopify) fn sorted<T: Listed>(&self, items: &[T], sort: &str) -> Sorted {
        let mut sorted = self.indexes.sorted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = sorted.get(&(T::LIST, sort.to_owned())) {
            return known.clone();
        }
        let keyed = items.iter().enumerate().map(|(at, item)| (item.key(sort), item.id(), at));
        let mut keyed: Vec<_> = keyed.collect();
        keyed.sort();
        let keyed = Arc::new(keyed);
        sorted.insert((T::LIST, sort.to_owned()), keyed.clone());
        keyed
    }
}
