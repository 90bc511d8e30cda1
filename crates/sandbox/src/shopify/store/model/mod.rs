//! What a simulated shop holds, in the shapes of the Admin API. Amounts are in the shop's currency.

mod catalog;
mod customer;
mod order;

pub use catalog::{Image, InventoryLevel, Location, Metafield, Product, ProductOption, Variant};
pub use customer::{Customer, EmailAddress, PhoneNumber};
pub use order::{
    AbandonedCheckout, Fulfillment, LineItem, Order, Presentment, Refund, RefundLine, ShippingLine, Totals, Transaction,
};

/// The number in a `gid://shopify/{Type}/{n}`.
pub type Id = u64;

/// `MailingAddress`; every field may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Address {
    /// Of the address.
    pub id: Id,
    /// Addressee.
    pub first_name: Option<String>,
    /// Addressee.
    pub last_name: Option<String>,
    /// Addressee.
    pub company: Option<String>,
    /// Street and number.
    pub address1: Option<String>,
    /// Floor, door.
    pub address2: Option<String>,
    /// City.
    pub city: Option<String>,
    /// Postal code.
    pub zip: Option<String>,
    /// Two-letter code of the state, where the country has them.
    pub province_code: Option<String>,
    /// ISO 3166-1 alpha-2.
    pub country_code: Option<String>,
    /// As written.
    pub phone: Option<String>,
}
