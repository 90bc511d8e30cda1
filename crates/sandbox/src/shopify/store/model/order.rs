//! Orders and abandoned checkouts.

use super::super::values::{CancelReason, FinancialStatus, FulfillmentStatus, TransactionKind, TransactionStatus};
use super::{Address, Id};
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

/// `Order`.
#[derive(Debug, Clone)]
pub struct Order {
    /// Of the order: above 2^53.
    pub id: Id,
    /// Counts orders of the shop, from 1001.
    pub number: u32,
    /// Nine characters that the buyer sees.
    pub confirmation_number: String,
    /// `None`: a guest without any customer record, or a deleted customer.
    pub customer_id: Option<Id>,
    /// As given at the checkout.
    pub email: Option<String>,
    /// As given at the checkout.
    pub phone: Option<String>,
    /// As given at the checkout.
    pub billing: Option<Address>,
    /// `None`: nothing is sent.
    pub shipping: Option<Address>,
    /// Where the money stands; `None` occurs.
    pub financial: Option<FinancialStatus>,
    /// Where the goods stand.
    pub fulfillment: FulfillmentStatus,
    /// Test orders look like any other.
    pub test: bool,
    /// Changed after it was placed.
    pub edited: bool,
    /// `web`, `pos`, `shopify_draft_order`, or an app's id.
    pub source_name: String,
    /// Number in the system it came from.
    pub source_identifier: Option<String>,
    /// The buyer's words.
    pub note: Option<String>,
    /// The merchant's.
    pub tags: Vec<String>,
    /// `customAttributes`.
    pub attributes: Vec<(String, Option<String>)>,
    /// Purchase order number of a business.
    pub po_number: Option<String>,
    /// What the buyer saw prices in.
    pub presentment: Presentment,
    /// Whether prices hold tax.
    pub taxes_included: bool,
    /// ISO 639-1, maybe with country.
    pub locale: Option<String>,
    /// As typed.
    pub discount_codes: Vec<String>,
    /// Names of payment gateways.
    pub gateways: Vec<String>,
    /// `cartToken`; `None` for orders not made in the online store.
    pub cart_token: Option<String>,
    /// `checkoutToken`.
    pub checkout_token: Option<String>,
    /// At least one.
    pub lines: Vec<LineItem>,
    /// Usually one; none where nothing is sent.
    pub shipping_lines: Vec<ShippingLine>,
    /// Tax in percent; zero: no tax line.
    pub tax_percent: Decimal,
    /// Oldest first.
    pub transactions: Vec<Transaction>,
    /// Oldest first.
    pub refunds: Vec<Refund>,
    /// Oldest first.
    pub fulfillments: Vec<Fulfillment>,
    /// The sums.
    pub totals: Totals,
    /// The buyer's address.
    pub client_ip: Option<String>,
    /// `createdAt`.
    pub created_at: DateTime<Utc>,
    /// `updatedAt`.
    pub updated_at: DateTime<Utc>,
    /// `processedAt`: differs from `createdAt` for imported orders.
    pub processed_at: DateTime<Utc>,
    /// Archived.
    pub closed_at: Option<DateTime<Utc>>,
    /// Called off, and why.
    pub cancelled: Option<(DateTime<Utc>, CancelReason)>,
}

/// The currency that the buyer saw.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Presentment {
    /// ISO 4217.
    pub currency: &'static str,
    /// Digits of its amounts.
    pub decimals: u32,
    /// How many of its units one unit of the shop's currency was.
    pub rate: Decimal,
}

/// The sums of an order, with tax where the shop's prices have it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Totals {
    /// Lines after discounts.
    pub subtotal: Decimal,
    /// All discounts.
    pub discounts: Decimal,
    /// Shipping after discounts.
    pub shipping: Decimal,
    /// All tax.
    pub tax: Decimal,
    /// What the buyer was to pay.
    pub total: Decimal,
    /// What was paid, before refunds.
    pub received: Decimal,
    /// What was given back.
    pub refunded: Decimal,
}

/// `LineItem`.
#[derive(Debug, Clone)]
pub struct LineItem {
    /// Of the line.
    pub id: Id,
    /// `None`: a custom item, or the product was deleted.
    pub product_id: Option<Id>,
    /// `None`: as above.
    pub variant_id: Option<Id>,
    /// The product's then.
    pub title: String,
    /// The variant's then.
    pub variant_title: Option<String>,
    /// The variant's then.
    pub sku: Option<String>,
    /// The product's then.
    pub vendor: Option<String>,
    /// As ordered.
    pub quantity: u32,
    /// Less by refunds and edits.
    pub current_quantity: u32,
    /// Sent.
    pub fulfilled_quantity: u32,
    /// For one, before discounts.
    pub unit_price: Decimal,
    /// For all, after discounts.
    pub discounted_total: Decimal,
    /// Tax on `discounted_total`.
    pub tax: Decimal,
    /// Whether it is a thing that is sent.
    pub requires_shipping: bool,
    /// Whether it is a gift card.
    pub gift_card: bool,
}

/// `ShippingLine`.
#[derive(Debug, Clone)]
pub struct ShippingLine {
    /// Of the line.
    pub id: Id,
    /// For people.
    pub title: String,
    /// Of the method.
    pub code: Option<String>,
    /// `shopify`, or a carrier service.
    pub source: Option<String>,
    /// As the buyer saw it.
    pub price: Decimal,
    /// Tax on it.
    pub tax: Decimal,
}

/// `OrderTransaction`.
#[derive(Debug, Clone)]
pub struct Transaction {
    /// Of the transaction.
    pub id: Id,
    /// What was tried.
    pub kind: TransactionKind,
    /// Whether it worked.
    pub status: TransactionStatus,
    /// Which gateway.
    pub gateway: String,
    /// How much.
    pub amount: Decimal,
    /// What a capture or refund is for.
    pub parent: Option<Id>,
    /// `OrderTransactionErrorCode`, of a failure.
    pub error: Option<&'static str>,
    /// When.
    pub at: DateTime<Utc>,
}

/// `Refund`.
#[derive(Debug, Clone)]
pub struct Refund {
    /// Of the refund.
    pub id: Id,
    /// Why.
    pub note: Option<String>,
    /// How much, also beyond the lines.
    pub total: Decimal,
    /// Which lines; may be none.
    pub lines: Vec<RefundLine>,
    /// When.
    pub at: DateTime<Utc>,
}

/// `RefundLineItem`.
#[derive(Debug, Clone)]
pub struct RefundLine {
    /// Of the refund's line.
    pub id: Id,
    /// Of the order's line.
    pub line_id: Id,
    /// How many.
    pub quantity: u32,
    /// How much, without tax unless prices hold it.
    pub subtotal: Decimal,
    /// Tax on it.
    pub tax: Decimal,
    /// `RefundLineItemRestockType`.
    pub restock: &'static str,
}

/// `Fulfillment`.
#[derive(Debug, Clone)]
pub struct Fulfillment {
    /// Of the fulfillment.
    pub id: Id,
    /// `FulfillmentStatus`.
    pub status: &'static str,
    /// `FulfillmentDisplayStatus`.
    pub display_status: &'static str,
    /// Carrier, number, address.
    pub tracking: Option<(String, String, String)>,
    /// Own id, the order line's id, and how many.
    pub lines: Vec<(Id, Id, u32)>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it arrived.
    pub delivered_at: Option<DateTime<Utc>>,
}

/// `AbandonedCheckout`.
#[derive(Debug, Clone)]
pub struct AbandonedCheckout {
    /// Of the checkout.
    pub id: Id,
    /// Its address has it.
    pub token: String,
    /// `None`: nobody known.
    pub customer_id: Option<Id>,
    /// What was in the cart.
    pub lines: Vec<LineItem>,
    /// As typed.
    pub discount_codes: Vec<String>,
    /// As given.
    pub shipping: Option<Address>,
    /// Of the lines, with tax where prices hold it.
    pub total: Decimal,
    /// `createdAt`.
    pub created_at: DateTime<Utc>,
    /// `updatedAt`.
    pub updated_at: DateTime<Utc>,
    /// Bought after all.
    pub completed_at: Option<DateTime<Utc>>,
}
