//! What a shop sells.

use super::Id;
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

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
