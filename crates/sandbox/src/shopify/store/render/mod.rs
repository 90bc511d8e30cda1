//! From a [`World`] to a Shopify shop. What the world has no word for follows from each record's id, so that the same seed
//! gives the same shop.

mod catalog;
mod orders;
mod people;

use super::model::{AbandonedCheckout, Address, Id, Location};
use super::{Profile, Store};
use crate::world::{self, World};
use chrono::{DateTime, Utc};
use std::collections::HashMap;

/// Where the ids of each kind begin. Orders and what hangs on them are above 2^53, which no double can hold exactly.
mod base {
    pub(super) const PRODUCT: u64 = 8_123_000_000_000;
    pub(super) const VARIANT: u64 = 44_456_000_000_000;
    pub(super) const ITEM: u64 = 46_789_000_000_000;
    pub(super) const LEVEL: u64 = 113_000_000_000;
    pub(super) const MEDIA: u64 = 33_321_000_000_000;
    pub(super) const OPTION: u64 = 10_200_000_000_000;
    pub(super) const OPTION_VALUE: u64 = 3_400_000_000_000;
    pub(super) const METAFIELD: u64 = 36_500_000_000_000;
    pub(super) const CUSTOMER: u64 = 7_065_000_000_000;
    pub(super) const ADDRESS: u64 = 8_730_000_000_000;
    pub(super) const LOCATION: u64 = 70_270_000_000;
    pub(super) const ORDER: u64 = (1 << 53) + 1;
    pub(super) const LINE: u64 = 14_300_000_000_000_001;
    pub(super) const SHIPPING_LINE: u64 = 15_100_000_000_000_001;
    pub(super) const TRANSACTION: u64 = 16_200_000_000_000_001;
    pub(super) const REFUND: u64 = 17_400_000_000_000_001;
    pub(super) const FULFILLMENT: u64 = 18_500_000_000_000_001;
    pub(super) const FULFILLMENT_LINE: u64 = 19_700_000_000_000_001;
    pub(super) const CHECKOUT: u64 = 29_600_000_000_000_001;
}

/// The order with this id in the world: odd, above 2^53.
pub(in crate::shopify) fn order_id(id: world::Id) -> Id {
    base::ORDER + 2 * id
}

/// The customer made from this person.
pub(in crate::shopify) fn customer_id(id: world::Id) -> Id {
    base::CUSTOMER + id
}

/// The product with this id in the world.
pub(super) fn product_id(id: world::Id) -> Id {
    base::PRODUCT + id
}

impl Store {
    /// The shop that a world makes.
    pub(in crate::shopify) fn render(profile: Profile, world: &World) -> Store {
        let mut store = Store {
            locations: locations(&profile),
            profile,
            products: Vec::new(),
            customers: Vec::new(),
            orders: Vec::new(),
            abandoned: Vec::new(),
            indexes: Default::default(),
        };
        store.products = catalog::products(world, &store.profile, &store.locations);
        let (customers, by_person) = people::customers(world);
        store.customers = customers;
        let renderer = orders::Renderer::new(world, &store.profile, &store.products, by_person);
        for order in world.orders.iter().filter(|order| !order.trashed) {
            match order.status {
                world::OrderStatus::CheckoutDraft => store.abandoned.push(renderer.abandoned(order)),
                _ => store.orders.push(renderer.order(order, 1001 + store.orders.len() as u32)),
            }
        }
        store.abandoned.extend(left_behind(world, &renderer));
        store.abandoned.sort_by_key(|checkout| checkout.id);
        store
    }
}

/// Carts left behind are few in a world: some of its orders began as one.
fn left_behind(world: &World, renderer: &orders::Renderer<'_>) -> Vec<AbandonedCheckout> {
    let orders = world.orders.iter().filter(|order| !order.trashed && order.id.is_multiple_of(19));
    let drafts = orders.filter(|order| order.status != world::OrderStatus::CheckoutDraft);
    drafts.map(|order| renderer.abandoned(order)).collect()
}

fn locations(profile: &Profile) -> Vec<Location> {
    let location = |number: u64, name: &str, active: bool| Location {
        id: base::LOCATION + number,
        name: name.to_owned(),
        active,
        address: Address {
            id: base::LOCATION + number,
            address1: Some("Main street 1".to_owned()),
            country_code: Some(profile.market.country.to_owned()),
            ..Address::default()
        },
        created_at: profile.created_at,
    };
    vec![location(1, "Warehouse", true), location(2, "Shop floor", true), location(3, "Old cellar", false)]
}

/// `None` for an empty text.
fn text(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn address(address: &world::Address, id: Id) -> Address {
    Address {
        id: base::ADDRESS + id,
        first_name: text(&address.first_name),
        last_name: text(&address.last_name),
        company: text(&address.company),
        address1: text(&address.address_1),
        address2: text(&address.address_2),
        city: text(&address.city),
        zip: text(&address.postcode),
        province_code: text(&address.state),
        country_code: text(&address.country),
        phone: text(&address.phone),
    }
}

/// E.164, if it can be made of what a person wrote.
fn e164(phone: &str) -> Option<String> {
    let digits: String = phone.chars().filter(char::is_ascii_digit).collect();
    (phone.starts_with('+') && digits.len() >= 8).then(|| format!("+{digits}"))
}

/// The customer that each person became, and when the youngest record is from.
type ByPerson = HashMap<world::Id, Id>;

/// `time`, but not after the end of the world.
fn not_after_end(time: DateTime<Utc>) -> DateTime<Utc> {
    time.min(world::epoch_end())
}
