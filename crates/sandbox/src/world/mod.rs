//! The data of a simulated shop: people, products, orders. Made from a seed, so that it is the same on every machine.
//!
//! It is no provider's shape: each simulator renders it as its provider does. Amounts are in the shop's currency
//! ([`Currency::decimals`] digits), times are UTC in whole seconds and end at [`epoch_end`], whatever the date is today.

mod catalog;
mod edge;
mod generate;
mod market;
mod names;
mod orders;
mod plant;
mod rng;

pub use market::{Currency, Market};
pub use plant::{CanaryPerson, Planted};
pub use rng::Rng;

use chrono::{DateTime, TimeZone, Utc};
use rust_decimal::Decimal;

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

/// A category or tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// Its id.
    pub id: Id,
    /// Plain text.
    pub name: String,
    /// For addresses.
    pub slug: String,
}

/// A picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its id.
    pub id: Id,
    /// File name without folder.
    pub file: String,
    /// Alternative text; may be empty.
    pub alt: String,
    /// When it was uploaded.
    pub created_at: DateTime<Utc>,
}

/// Something sold, in one or more variants.
#[derive(Debug, Clone)]
pub struct Product {
    /// Its id.
    pub id: Id,
    /// Its kind.
    pub kind: ProductKind,
    /// As the merchant wrote it: may hold markup.
    pub title: String,
    /// For addresses; unique.
    pub slug: String,
    /// HTML; may be empty.
    pub description: String,
    /// HTML; may be empty.
    pub short_description: String,
    /// Whether it can be seen.
    pub status: ProductStatus,
    /// Shown first.
    pub featured: bool,
    /// Not shipped.
    pub is_virtual: bool,
    /// Maker; may be empty.
    pub vendor: String,
    /// The SKU of a simple product, or of a variable product as a whole.
    pub sku: Option<String>,
    /// Where it belongs.
    pub categories: Vec<Term>,
    /// Free words.
    pub tags: Vec<Term>,
    /// What variants differ by: name and values. Empty for products of one variant.
    pub options: Vec<ProductOption>,
    /// At least one. Of a product that is not variable, exactly one with no option values.
    pub variants: Vec<Variant>,
    /// May be empty; the first is the main one.
    pub images: Vec<Image>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed; a change of a variant need not count.
    pub modified_at: DateTime<Utc>,
}

/// The kind of a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProductKind {
    /// One variant.
    Simple,
    /// Several variants.
    Variable,
    /// Sold elsewhere, at this address.
    External(String),
    /// A set of other products, by id; has no price.
    Grouped(Vec<Id>),
}

/// Whether a product can be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProductStatus {
    /// Anyone sees it.
    Published,
    /// Not finished.
    Draft,
    /// Waits for review.
    Pending,
    /// Only staff sees it.
    Private,
    /// Thrown away, not yet deleted.
    Trashed,
}

/// Something that variants of a product differ by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductOption {
    /// Id of the shop-wide attribute; `None` if it is the product's own.
    pub attribute_id: Option<Id>,
    /// For example `Color`.
    pub name: String,
    /// For example `Black`.
    pub values: Vec<String>,
}

/// One thing that can be put in a cart.
#[derive(Debug, Clone)]
pub struct Variant {
    /// Its id. A product that is not variable has a variant with an id of its own all the same.
    pub id: Id,
    /// `None`: it has none of its own.
    pub sku: Option<String>,
    /// EAN or the like.
    pub barcode: Option<String>,
    /// The usual price; `None`: not set, cannot be bought.
    pub regular_price: Option<Decimal>,
    /// The price now, if on sale.
    pub sale_price: Option<Decimal>,
    /// Pieces in stock, negative when oversold; `None`: not counted.
    pub stock: Option<i64>,
    /// Whether it can be bought when none is in stock.
    pub backorders: bool,
    /// One value per option of the product, in the same order.
    pub option_values: Vec<String>,
    /// Grams; `None`: not known.
    pub weight_grams: Option<u32>,
    /// Its picture: an index into the product's.
    pub image: Option<usize>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub modified_at: DateTime<Utc>,
}

impl Variant {
    /// What it costs now.
    pub fn price(&self) -> Option<Decimal> {
        self.sale_price.or(self.regular_price)
    }
}

/// A purchase.
#[derive(Debug, Clone)]
pub struct Order {
    /// Its id.
    pub id: Id,
    /// What people call it; need not be the id.
    pub number: String,
    /// Who ordered: an entry of [`World::people`]. `None` when that person was deleted.
    pub person_id: Option<Id>,
    /// Whether the person was logged in; otherwise it is a guest order even if they have an account.
    pub with_account: bool,
    /// As typed at the checkout: any letter case, or missing.
    pub email: Option<String>,
    /// Billing address as given then.
    pub billing: Address,
    /// Shipping address as given then; `None`: nothing is shipped.
    pub shipping: Option<Address>,
    /// Where it stands.
    pub status: OrderStatus,
    /// In the trash.
    pub trashed: bool,
    /// ISO 4217; not always the shop's.
    pub currency: Currency,
    /// Whether prices were shown with tax.
    pub prices_include_tax: bool,
    /// The tax rate in percent; zero: no tax.
    pub tax_percent: Decimal,
    /// At least one.
    pub lines: Vec<OrderLine>,
    /// Usually one.
    pub shipping_lines: Vec<ChargeLine>,
    /// Payment fees and the like.
    pub fee_lines: Vec<ChargeLine>,
    /// Discounts; their amounts are already taken off the lines' totals.
    pub coupons: Vec<Coupon>,
    /// Oldest first.
    pub refunds: Vec<Refund>,
    /// Id of the tax row.
    pub tax_line_id: Id,
    /// Code of the payment method, for example `bacs`.
    pub payment_method: String,
    /// Its name for people.
    pub payment_title: String,
    /// The payment provider's reference; may be empty.
    pub transaction_id: String,
    /// The buyer's words; may be empty.
    pub note: String,
    /// Where it was made: `checkout`, `admin`, `rest-api`.
    pub created_via: String,
    /// The buyer's address; may be empty.
    pub ip: String,
    /// The buyer's browser; may be empty.
    pub user_agent: String,
    /// Secret part of the order's links.
    pub key: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub modified_at: DateTime<Utc>,
    /// When it was paid.
    pub paid_at: Option<DateTime<Utc>>,
    /// When it was done.
    pub completed_at: Option<DateTime<Utc>>,
    /// When it was called off.
    pub cancelled_at: Option<DateTime<Utc>>,
}

/// Where an order stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum OrderStatus {
    /// Not even an order yet: a checkout begun.
    CheckoutDraft,
    /// Waits for payment.
    Pending,
    /// Paid, to be sent.
    Processing,
    /// Waits for something: a bank transfer.
    OnHold,
    /// Done.
    Completed,
    /// Called off.
    Cancelled,
    /// All money given back.
    Refunded,
    /// The payment failed.
    Failed,
    /// One that a plug-in made up.
    Custom(String),
}

/// A product in an order, as it was then.
#[derive(Debug, Clone)]
pub struct OrderLine {
    /// Its id.
    pub id: Id,
    /// `None`: the product was deleted.
    pub product_id: Option<Id>,
    /// `None`: not a variant of a variable product, or deleted.
    pub variant_id: Option<Id>,
    /// As it was then; `None` also when the product was deleted.
    pub sku: Option<String>,
    /// The product's title then.
    pub title: String,
    /// Option names and values of the variant.
    pub options: Vec<(String, String)>,
    /// Pieces.
    pub quantity: u32,
    /// Without tax, before discounts.
    pub subtotal: Decimal,
    /// Tax on `subtotal`.
    pub subtotal_tax: Decimal,
    /// Without tax, after discounts.
    pub total: Decimal,
    /// Tax on `total`.
    pub total_tax: Decimal,
}

/// A shipping cost or a fee.
#[derive(Debug, Clone)]
pub struct ChargeLine {
    /// Its id.
    pub id: Id,
    /// For people.
    pub title: String,
    /// Code of the method, for example `flat_rate`; empty for fees.
    pub method: String,
    /// Without tax.
    pub total: Decimal,
    /// Tax on it.
    pub total_tax: Decimal,
}

/// A discount code used in an order.
#[derive(Debug, Clone)]
pub struct Coupon {
    /// Its id.
    pub id: Id,
    /// What was typed.
    pub code: String,
    /// Off the price without tax.
    pub discount: Decimal,
    /// Off the tax.
    pub discount_tax: Decimal,
    /// Percent off.
    pub percent: u32,
}

/// Money given back.
#[derive(Debug, Clone)]
pub struct Refund {
    /// Its id.
    pub id: Id,
    /// Positive, with tax.
    pub amount: Decimal,
    /// May be empty.
    pub reason: String,
    /// Which lines it is for; empty: just an amount.
    pub lines: Vec<RefundLine>,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// A line given back, in whole or in part.
#[derive(Debug, Clone)]
pub struct RefundLine {
    /// Its own id.
    pub id: Id,
    /// The line of the order.
    pub line_id: Id,
    /// Pieces.
    pub quantity: u32,
    /// Positive, without tax.
    pub total: Decimal,
    /// Positive.
    pub total_tax: Decimal,
}

impl Order {
    /// Total of the lines without tax, before discounts.
    pub fn subtotal(&self) -> Decimal {
        self.lines.iter().map(|line| line.subtotal).sum()
    }

    /// What discounts took off, without tax.
    pub fn discount(&self) -> Decimal {
        self.lines.iter().map(|line| line.subtotal - line.total).sum()
    }

    /// What discounts took off the tax.
    pub fn discount_tax(&self) -> Decimal {
        self.lines.iter().map(|line| line.subtotal_tax - line.total_tax).sum()
    }

    /// Shipping without tax.
    pub fn shipping_total(&self) -> Decimal {
        self.shipping_lines.iter().map(|line| line.total).sum()
    }

    /// Tax on shipping.
    pub fn shipping_tax(&self) -> Decimal {
        self.shipping_lines.iter().map(|line| line.total_tax).sum()
    }

    /// Tax on lines and fees.
    pub fn cart_tax(&self) -> Decimal {
        let lines: Decimal = self.lines.iter().map(|line| line.total_tax).sum();
        lines + self.fee_lines.iter().map(|line| line.total_tax).sum::<Decimal>()
    }

    /// What the buyer pays; refunds do not reduce it.
    pub fn total(&self) -> Decimal {
        let lines: Decimal = self.lines.iter().map(|line| line.total).sum();
        let fees: Decimal = self.fee_lines.iter().map(|line| line.total).sum();
        lines + fees + self.shipping_total() + self.cart_tax() + self.shipping_tax()
    }

    /// What was given back.
    pub fn refunded(&self) -> Decimal {
        self.refunds.iter().map(|refund| refund.amount).sum()
    }
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
