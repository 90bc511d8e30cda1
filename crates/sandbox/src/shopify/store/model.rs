//! What a simulated shop holds, in the shapes of the Admin API. Amounts are in the shop's currency.

use super::values::{
    CancelReason, CustomerState, EmailMarketing, FinancialStatus, FulfillmentStatus, OptInLevel, PhoneMarketing,
    ProductStatus, TransactionKind, TransactionStatus,
};
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

/// The number in a `gid://shopify/{Type}/{n}`.
pub type Id = u64;

/// `Product`.
#[derive(Debug, Clone)]
pub struct Product {
    /// `legacyResourceId`.
    pub id: Id,
    /// Unique in the shop; part of the storefront address.
    pub handle: String,
    /// For people.
    pub title: String,
    /// Whether it is sold, hidden from search, unfinished or put away.
    pub status: ProductStatus,
    /// The maker.
    pub vendor: String,
    /// The merchant's own category.
    pub product_type: String,
    /// The merchant's words.
    pub tags: Vec<String>,
    /// HTML.
    pub description_html: String,
    /// `SEO.title` and `SEO.description`.
    pub seo: (Option<String>, Option<String>),
    /// Whether it is a gift card.
    pub gift_card: bool,
    /// `TaxonomyCategory`: id and full name.
    pub category: Option<(&'static str, &'static str)>,
    /// At least one; `Title` with `Default Title` where there is nothing to choose.
    pub options: Vec<ProductOption>,
    /// In the merchant's order.
    pub images: Vec<Image>,
    /// At least one; up to 2048.
    pub variants: Vec<Variant>,
    /// Custom fields.
    pub metafields: Vec<Metafield>,
    /// `createdAt`.
    pub created_at: DateTime<Utc>,
    /// `updatedAt`.
    pub updated_at: DateTime<Utc>,
    /// `None`: not on the online store, which makes `onlineStoreUrl` null.
    pub published_at: Option<DateTime<Utc>>,
}

/// `ProductOption` with its values.
#[derive(Debug, Clone)]
pub struct ProductOption {
    /// Of the option.
    pub id: Id,
    /// For example `Color`.
    pub name: String,
    /// Id and name of each value.
    pub values: Vec<(Id, String)>,
}

/// `MediaImage`.
#[derive(Debug, Clone)]
pub struct Image {
    /// Of the media, not of the image inside.
    pub id: Id,
    /// On Shopify's file server.
    pub url: String,
    /// Alternative text.
    pub alt: Option<String>,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

/// `Metafield`.
#[derive(Debug, Clone)]
pub struct Metafield {
    /// Of the metafield.
    pub id: Id,
    /// Namespace, `app--{app id}` for the app's own.
    pub namespace: String,
    /// Key within the namespace.
    pub key: String,
    /// Type name, for example `single_line_text_field`.
    pub kind: String,
    /// As text, whatever the type.
    pub value: String,
    /// `updatedAt`, also used as `createdAt`.
    pub updated_at: DateTime<Utc>,
}

/// `ProductVariant` with its `InventoryItem`.
#[derive(Debug, Clone)]
pub struct Variant {
    /// Of the variant.
    pub id: Id,
    /// Of its inventory item.
    pub item_id: Id,
    /// One value per option of the product.
    pub option_values: Vec<String>,
    /// Not unique in a shop.
    pub sku: Option<String>,
    /// EAN or the like.
    pub barcode: Option<String>,
    /// What it costs now.
    pub price: Decimal,
    /// What it cost before, when on sale.
    pub compare_at_price: Option<Decimal>,
    /// Whether tax is charged.
    pub taxable: bool,
    /// Whether it is sold when out of stock (`inventoryPolicy: CONTINUE`).
    pub oversell: bool,
    /// Whether stock is counted.
    pub tracked: bool,
    /// Whether it is a thing that is sent.
    pub requires_shipping: bool,
    /// What the merchant pays.
    pub unit_cost: Option<Decimal>,
    /// `None`: not known.
    pub weight_grams: Option<u32>,
    /// Stock at each location that has it.
    pub levels: Vec<InventoryLevel>,
    /// `createdAt`.
    pub created_at: DateTime<Utc>,
    /// `updatedAt`.
    pub updated_at: DateTime<Utc>,
}

/// `InventoryLevel`: the stock of an item at a location.
#[derive(Debug, Clone)]
pub struct InventoryLevel {
    /// The number before the query string of its gid.
    pub id: Id,
    /// Index into [`super::Store::locations`].
    pub location: usize,
    /// May be negative.
    pub available: i32,
    /// Sold, not yet sent.
    pub committed: i32,
    /// Ordered from a supplier.
    pub incoming: i32,
    /// `updatedAt`.
    pub updated_at: DateTime<Utc>,
}

/// `Location`.
#[derive(Debug, Clone)]
pub struct Location {
    /// Of the location.
    pub id: Id,
    /// For people.
    pub name: String,
    /// Whether it is in use.
    pub active: bool,
    /// Where it is.
    pub address: Address,
    /// `createdAt`.
    pub created_at: DateTime<Utc>,
}

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

/// `Customer`.
#[derive(Debug, Clone)]
pub struct Customer {
    /// Of the customer.
    pub id: Id,
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: Option<String>,
    /// Unique in the shop.
    pub email: Option<EmailAddress>,
    /// Unique in the shop.
    pub phone: Option<PhoneNumber>,
    /// ISO 639-1.
    pub locale: String,
    /// State of the account.
    pub state: CustomerState,
    /// The merchant's.
    pub note: Option<String>,
    /// The merchant's.
    pub tags: Vec<String>,
    /// Pays no tax.
    pub tax_exempt: bool,
    /// Whether the email was confirmed.
    pub verified_email: bool,
    /// The first is the default one.
    pub addresses: Vec<Address>,
    /// `createdAt`.
    pub created_at: DateTime<Utc>,
    /// `updatedAt`.
    pub updated_at: DateTime<Utc>,
}

/// `CustomerEmailAddress`.
#[derive(Debug, Clone)]
pub struct EmailAddress {
    /// The address.
    pub address: String,
    /// Whether it may be written to.
    pub marketing: EmailMarketing,
    /// How that was agreed.
    pub opt_in: Option<OptInLevel>,
    /// When.
    pub consent_at: Option<DateTime<Utc>>,
}

/// `CustomerPhoneNumber`.
#[derive(Debug, Clone)]
pub struct PhoneNumber {
    /// E.164.
    pub number: String,
    /// Whether text messages may be sent.
    pub sms: PhoneMarketing,
    /// Whether WhatsApp messages may be sent.
    pub whats_app: PhoneMarketing,
    /// How that was agreed.
    pub opt_in: Option<OptInLevel>,
    /// When.
    pub consent_at: Option<DateTime<Utc>>,
}

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
