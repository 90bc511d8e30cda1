//! The data of a simulated shop: people, products, orders. Made from a seed, so that it is the same on every machine.
//!
//! It is no provider's shape: each simulator renders it as its provider does. Amounts are in the shop's currency
//! ([`Currency::decimals`] digits), times are UTC in whole seconds and end at [`epoch_end`], whatever the date is today.

mod catalog;
mod edge;
mod generate;
mod market;
mod names;
mod order;
mod plant;
mod product;
mod purchases;
mod rng;

pub use market::{Currency, Market};
pub use order::{ChargeLine, Coupon, Order, OrderLine, OrderStatus, Refund, RefundLine};
pub use plant::{CanaryPerson, Planted};
pub use product::{Image, Product, ProductKind, ProductOption, ProductStatus, Term, Variant};
pub use rng::Rng;

use chrono::{DateTime, TimeZone, Utc};

/// Ids of people, products, variants, images, orders and so on. Unique within a world across all kinds, and rising with
/// the time of creation within a kind.
pub type Id = u64;

/// The last moment of every generated world: nothing in it is younger.
pub fn epoch_end() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 15, 12, 0, 0).single().unwrap_or_default()
}

/// How much of everything a world has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// People, with and without account.
    pub people: usize,
    /// Products; some have several variants.
    pub products: usize,
    /// Orders in all states.
    pub orders: usize,
}

impl Size {
    /// Enough for every peculiarity to occur, quick to make: for tests.
    pub const fn small() -> Size {
        Size { people: 60, products: 40, orders: 150 }
    }

    /// A shop of some years: for the demo and for benches.
    pub const fn large() -> Size {
        Size { people: 2500, products: 400, orders: 6000 }
    }
}

/// One shop's data.
#[derive(Debug, Clone)]
pub struct World {
    /// Its currency, time zone and country.
    pub market: Market,
    /// Everyone who has an account or has ordered, oldest first; some are staff.
    pub people: Vec<Person>,
    /// Oldest first; some in the trash. Deleted ones are not here: only order lines remember them.
    pub products: Vec<Product>,
    /// Oldest first; some in the trash.
    pub orders: Vec<Order>,
    next_id: Id,
    rng: Rng,
}

/// Someone with an account, or a guest.
#[derive(Debug, Clone)]
pub struct Person {
    /// The account's id, where there is one.
    pub id: Id,
    /// `None`: a guest, known only from orders.
    pub account: Option<Account>,
    /// May be empty.
    pub first_name: String,
    /// May be empty.
    pub last_name: String,
    /// Missing for some guests.
    pub email: Option<String>,
    /// As written by the person; may be empty.
    pub phone: String,
    /// Where invoices go.
    pub billing: Address,
    /// Where parcels go, if it was ever given.
    pub shipping: Option<Address>,
    /// Whether they want the newsletter.
    pub accepts_marketing: bool,
    /// Free words of the merchant.
    pub tags: Vec<String>,
    /// The merchant's note about the person; may be empty.
    pub note: String,
    /// When the account was made, or the first order placed.
    pub created_at: DateTime<Utc>,
    /// Not known for accounts never edited.
    pub modified_at: Option<DateTime<Utc>>,
}

/// A login at the shop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Unique in the shop.
    pub username: String,
    /// What it may do.
    pub role: Role,
}

/// What an account may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A buyer.
    Customer,
    /// A reader of the blog who may also have bought something.
    Subscriber,
    /// Staff that runs the shop.
    ShopManager,
    /// Staff that may do anything.
    Administrator,
}

/// A postal address with its addressee. Any field may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Address {
    /// Addressee.
    pub first_name: String,
    /// Addressee.
    pub last_name: String,
    /// Addressee.
    pub company: String,
    /// Street and number.
    pub address_1: String,
    /// Floor, door.
    pub address_2: String,
    /// City.
    pub city: String,
    /// Code of the state or county, where the country has them.
    pub state: String,
    /// Postal code.
    pub postcode: String,
    /// ISO 3166-1 alpha-2.
    pub country: String,
    /// As written by the person.
    pub phone: String,
}

impl World {
    /// The person with this id.
    pub fn person(&self, id: Id) -> Option<&Person> {
        self.people.iter().find(|person| person.id == id)
    }

    /// An id not used yet.
    pub fn new_id(&mut self) -> Id {
        self.next_id += 1;
        self.next_id
    }

    /// Deletes a product as a shop does: order lines keep its title, and forget its id and SKU.
    pub fn delete_product(&mut self, id: Id) {
        self.products.retain(|product| product.id != id);
        for line in self.orders.iter_mut().flat_map(|order| &mut order.lines) {
            if line.product_id == Some(id) {
                (line.product_id, line.variant_id, line.sku) = (None, None, None);
            }
        }
    }

    /// Deletes a person: their orders stay, as orders of nobody.
    pub fn delete_person(&mut self, id: Id) {
        self.people.retain(|person| person.id != id);
        for order in self.orders.iter_mut().filter(|order| order.person_id == Some(id)) {
            (order.person_id, order.with_account) = (None, false);
        }
    }
}
