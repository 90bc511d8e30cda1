//! The canonical models: one form for the customers, orders and products of every shop.
//!
//! What a shop does not have is `None`. What identifies or describes a person is [`Personal`]. Ids are the shop's own, as
//! text. `platform_specific` holds what the shop sent and no other field carries.

use kernel::{Personal, Time, personal::Wipe};
use rust_decimal::Decimal;
use serde_json::Value;

pub struct Customer {
    pub id: String,
    pub email: Option<Personal<String>>,
    pub first_name: Option<Personal<String>>,
    pub last_name: Option<Personal<String>>,
    pub phone: Option<Personal<String>>,
    pub company: Option<Personal<String>>,
    pub addresses: Vec<Personal<Address>>,
    pub default_address: Option<Personal<Address>>,
    pub orders_count: Option<u64>,
    pub total_spent: Option<Decimal>,
    pub currency: Option<String>,
    pub tags: Vec<Personal<String>>,
    pub marketing: Marketing,
    pub locale: Option<String>,
    pub created_at: Option<Time>,
    pub updated_at: Option<Time>,
    pub platform_specific: Option<Personal<Value>>,
}

/// Consent to be written to; `None` where the shop does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marketing {
    pub email: Option<bool>,
    pub sms: Option<bool>,
    /// When the consent was last changed.
    pub at: Option<Time>,
}

#[derive(Clone, Default, PartialEq, Eq)]
pub struct Address {
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub company: Option<String>,
    pub address1: Option<String>,
    pub address2: Option<String>,
    pub city: Option<String>,
    pub postcode: Option<String>,
    /// State, county or province, as the shop names it.
    pub province: Option<String>,
    /// ISO 3166-1 alpha-2.
    pub country_code: Option<String>,
    pub phone: Option<String>,
}

impl Address {
    /// True when the shop sent an address without content: it is then no address.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Wipe for Address {
    fn wipe(&mut self) {
        let Self { first_name, last_name, company, address1, address2, city, postcode, province, country_code, phone } =
            self;
        for field in [first_name, last_name, company, address1, address2, city, postcode, province, country_code, phone]
        {
            field.wipe();
        }
    }
}

pub struct Order {
    pub id: String,
    /// What people call it (`#1042`).
    pub number: Option<String>,
    pub status: OrderStatus,
    pub payment_status: Option<PaymentStatus>,
    /// None on shops that do not track it.
    pub fulfillment_status: Option<FulfillmentStatus>,
    pub customer: Option<OrderCustomer>,
    pub line_items: Vec<LineItem>,
    /// What the lines come to after discounts, before shipping; with or without tax as the shop keeps its prices.
    pub subtotal: Option<Decimal>,
    pub discount_total: Option<Decimal>,
    pub shipping_total: Option<Decimal>,
    pub tax_total: Option<Decimal>,
    /// What was to be paid when the order was placed; refunds do not reduce it.
    pub total: Option<Decimal>,
    pub refunded_total: Option<Decimal>,
    pub currency: Option<String>,
    pub billing_address: Option<Personal<Address>>,
    pub shipping_address: Option<Personal<Address>>,
    pub note: Option<Personal<String>>,
    pub tags: Vec<Personal<String>>,
    pub placed_at: Option<Time>,
    pub updated_at: Option<Time>,
    pub platform_specific: Option<Personal<Value>>,
}

/// The buyer as an order names them. A guest has no id.
#[derive(Clone)]
pub struct OrderCustomer {
    pub id: Option<String>,
    pub email: Option<Personal<String>>,
    pub first_name: Option<Personal<String>>,
    pub last_name: Option<Personal<String>>,
    pub phone: Option<Personal<String>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct LineItem {
    pub id: String,
    /// None when the product is gone, or never was one.
    pub product_id: Option<String>,
    pub variant_id: Option<String>,
    pub sku: Option<String>,
    pub name: String,
    /// As ordered.
    pub quantity: Decimal,
    pub unit_price: Option<Decimal>,
    pub discount: Option<Decimal>,
    pub tax: Option<Decimal>,
    /// After discount, for the whole line.
    pub total: Option<Decimal>,
}

pub struct Product {
    pub id: String,
    pub title: String,
    pub handle: Option<String>,
    pub description_html: Option<String>,
    pub status: ProductStatus,
    pub vendor: Option<String>,
    /// The shop's own word for the kind of product.
    pub product_type: Option<String>,
    pub tags: Vec<String>,
    pub images: Vec<Image>,
    pub options: Vec<ProductOption>,
    pub variants: Vec<Variant>,
    /// Of all prices in the product.
    pub currency: Option<String>,
    pub url: Option<String>,
    pub created_at: Option<Time>,
    pub updated_at: Option<Time>,
    pub platform_specific: Option<Value>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    pub id: Option<String>,
    pub url: String,
    pub alt: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProductOption {
    pub name: String,
    pub values: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Variant {
    pub id: String,
    pub sku: Option<String>,
    pub barcode: Option<String>,
    pub price: Option<Decimal>,
    /// The price before a reduction.
    pub compare_at_price: Option<Decimal>,
    /// None when the shop does not count it; may be negative.
    pub inventory_quantity: Option<i64>,
    pub weight: Option<Weight>,
    pub options: Vec<SelectedOption>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weight {
    pub value: Decimal,
    /// `kg`, `g`, `lb` or `oz`; None when the shop does not say.
    pub unit: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectedOption {
    pub name: String,
    pub value: String,
}

macro_rules! statuses {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }
        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|status| status.as_str() == text)
            }
        }
    };
}

statuses! {
    OrderStatus {
        Pending = "pending",
        Processing = "processing",
        OnHold = "on_hold",
        Completed = "completed",
        Cancelled = "cancelled",
        Refunded = "refunded",
        Failed = "failed",
    }
}

statuses! {
    PaymentStatus {
        Pending = "pending",
        Authorized = "authorized",
        PartiallyPaid = "partially_paid",
        Paid = "paid",
        PartiallyRefunded = "partially_refunded",
        Refunded = "refunded",
        Voided = "voided",
        Expired = "expired",
    }
}

statuses! {
    FulfillmentStatus {
        Unfulfilled = "unfulfilled",
        /// Begun: open, in progress, scheduled or requested.
        InProgress = "in_progress",
        Partial = "partial",
        Fulfilled = "fulfilled",
        OnHold = "on_hold",
        Restocked = "restocked",
        NotRequired = "not_required",
    }
}

statuses! {
    ProductStatus {
        Active = "active",
        Draft = "draft",
        Archived = "archived",
        /// Reachable by its address only, or hidden from the catalogue.
        Unlisted = "unlisted",
    }
}
