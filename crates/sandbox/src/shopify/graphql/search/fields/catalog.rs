//! Products, variants and locations.

use super::{Searchable, VariantOf, is_id};
use crate::shopify::graphql::search::term::Term;
use crate::shopify::store::model::{Id, Location, Product};
use crate::shopify::store::{Key, Listed, Store};
use rust_decimal::Decimal;

impl Searchable for Product {
    const FIELDS: &'static [&'static str] = &[
        "updated_at",
        "created_at",
        "published_at",
        "status",
        "handle",
        "id",
        "sku",
        "barcode",
        "title",
        "vendor",
        "product_type",
        "tag",
        "tag_not",
        "inventory_total",
        "variant_id",
        "gift_card",
    ];

    fn matches(&self, term: &Term, _: &Store) -> bool {
        let variants = &self.variants;
        match term.field.as_deref() {
            Some("updated_at") => term.time(self.updated_at),
            Some("created_at") => term.time(self.created_at),
            Some("published_at") => term.time(self.published_at),
            Some("status") => term.keyword(self.status.as_str()),
            Some("handle") => term.whole(self.handle.as_str()),
            Some("id") => is_id(term, self.id),
            Some("sku") => variants.iter().any(|variant| term.words(variant.sku.as_deref())),
            Some("barcode") => variants.iter().any(|variant| term.whole(variant.barcode.as_deref())),
            Some("title") => term.words(self.title.as_str()),
            Some("vendor") => term.whole(self.vendor.as_str()),
            Some("product_type") => term.whole(self.product_type.as_str()),
            Some("tag") => self.tags.iter().any(|tag| term.whole(tag.as_str())),
            Some("tag_not") => !self.tags.iter().any(|tag| term.whole(tag.as_str())),
            Some("inventory_total") => term.number(self.total_inventory()),
            Some("variant_id") => variants.iter().any(|variant| is_id(term, variant.id)),
            Some("gift_card") => term.flag(self.gift_card),
            _ => {
                let texts = [&self.title, &self.vendor, &self.product_type].into_iter().chain(&self.tags);
                texts
                    .chain(variants.iter().filter_map(|variant| variant.sku.as_ref()))
                    .any(|text| term.words(text.as_str()))
            }
        }
    }
}

impl Listed for Product {
    const LIST: &'static str = "products";

    fn id(&self) -> Id {
        self.id
    }

    fn key(&self, sort: &str) -> Key {
        match sort {
            "CREATED_AT" => self.created_at.into(),
            "UPDATED_AT" => self.updated_at.into(),
            "PUBLISHED_AT" => self.published_at.into(),
            "TITLE" => self.title.as_str().into(),
            "VENDOR" => self.vendor.as_str().into(),
            "PRODUCT_TYPE" => self.product_type.as_str().into(),
            "INVENTORY_TOTAL" => Decimal::from(self.total_inventory()).into(),
            _ => Key::Missing,
        }
    }
}

impl Searchable for VariantOf<'_> {
    const FIELDS: &'static [&'static str] = &[
        "updated_at",
        "created_at",
        "sku",
        "barcode",
        "product_id",
        "product_ids",
        "id",
        "location_id",
        "inventory_quantity",
        "title",
        "product_status",
        "vendor",
    ];

    fn matches(&self, term: &Term, store: &Store) -> bool {
        let (product, variant) = *self;
        match term.field.as_deref() {
            Some("updated_at") => term.time(variant.updated_at),
            Some("created_at") => term.time(variant.created_at),
            Some("sku") => term.words(variant.sku.as_deref()),
            Some("barcode") => term.whole(variant.barcode.as_deref()),
            Some("product_id" | "product_ids") => is_id(term, product.id),
            Some("id") => is_id(term, variant.id),
            Some("location_id") => {
                let mut locations = variant.levels.iter().filter_map(|level| store.locations.get(level.location));
                locations.any(|location| is_id(term, location.id))
            }
            Some("inventory_quantity") => term.number(variant.available()),
            Some("title") => term.words(variant.title().as_str()),
            Some("product_status") => term.keyword(product.status.as_str()),
            Some("vendor") => term.whole(product.vendor.as_str()),
            _ => {
                [Some(&product.title), variant.sku.as_ref()].into_iter().flatten().any(|text| term.words(text.as_str()))
            }
        }
    }
}

impl Listed for VariantOf<'_> {
    const LIST: &'static str = "variants";

    fn id(&self) -> Id {
        self.1.id
    }

    fn key(&self, sort: &str) -> Key {
        let (product, variant) = *self;
        match sort {
            "SKU" => variant.sku.as_deref().into(),
            "TITLE" | "NAME" => variant.title().as_str().into(),
            "FULL_TITLE" => format!("{} - {}", product.title, variant.title()).as_str().into(),
            "POSITION" => Decimal::from(variant.position_in(product)).into(),
            "INVENTORY_QUANTITY" | "INVENTORY_LEVELS_AVAILABLE" => Decimal::from(variant.available()).into(),
            "INVENTORY_POLICY" => (if variant.oversell { "CONTINUE" } else { "DENY" }).into(),
            "ITEM" => Decimal::from(variant.item_id).into(),
            _ => Key::Missing,
        }
    }
}

impl Searchable for Location {
    const FIELDS: &'static [&'static str] = &["id", "name", "active", "created_at"];

    fn matches(&self, term: &Term, _: &Store) -> bool {
        match term.field.as_deref() {
            Some("id") => is_id(term, self.id),
            Some("active") => term.flag(self.active),
            Some("created_at") => term.time(self.created_at),
            _ => term.words(self.name.as_str()),
        }
    }
}

impl Listed for Location {
    const LIST: &'static str = "locations";

    fn id(&self) -> Id {
        self.id
    }

    fn key(&self, sort: &str) -> Key {
        match sort {
            "NAME" => self.name.as_str().into(),
            _ => Key::Missing,
        }
    }
}
