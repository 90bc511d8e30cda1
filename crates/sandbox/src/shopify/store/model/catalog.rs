//! Products and stock.

use super::super::values::ProductStatus;
use super::{Address, Id};
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

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
    /// Index into [`Store::locations`](crate::shopify::store::Store::locations).
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
