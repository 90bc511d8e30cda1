//! Which fields each list can be searched by, and what it is sorted by.

use super::term::Term;
use crate::shopify::store::model::{AbandonedCheckout, Customer, Id, Location, Order, Product, Variant};
use crate::shopify::store::values::FulfillmentStatus;
use crate::shopify::store::{Key, Listed, Store};
use rust_decimal::Decimal;

/// Something that `query` arguments filter.
pub(in crate::shopify) trait Searchable {
    /// The fields it knows; others are ignored with a warning.
    const FIELDS: &'static [&'static str];

    /// Whether it meets a condition on one of its fields, or on its text.
    fn matches(&self, term: &Term, store: &Store) -> bool;
}

/// A variant with its product: what `productVariants` lists and what `inventoryItems` stands on.
pub(in crate::shopify) type VariantOf<'a> = (&'a Product, &'a Variant);

/// A number as it is, or at the end of a gid.
fn is_id(term: &Term, id: Id) -> bool {
    term.number(Decimal::from(id)) || term.id_text().any(|text| text.rsplit('/').next() == Some(&id.to_string()))
}

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

impl Searchable for Customer {
    const FIELDS: &'static [&'static str] = &[
        "updated_at",
        "customer_date",
        "email",
        "phone",
        "id",
        "tag",
        "tag_not",
        "state",
        "country",
        "order_date",
        "orders_count",
        "total_spent",
        "accepts_marketing",
        "first_name",
        "last_name",
    ];

    fn matches(&self, term: &Term, store: &Store) -> bool {
        let email = self.email.as_ref().map(|email| email.address.as_str());
        match term.field.as_deref() {
            Some("updated_at") => term.day(self.updated_at),
            Some("customer_date") => term.time(self.created_at),
            Some("email") => term.email(email),
            Some("phone") => self.phone.as_ref().is_some_and(|phone| term.whole(phone.number.as_str())),
            Some("id") => is_id(term, self.id),
            Some("tag") => self.tags.iter().any(|tag| term.whole(tag.as_str())),
            Some("tag_not") => !self.tags.iter().any(|tag| term.whole(tag.as_str())),
            Some("state") => term.keyword(self.state.as_str()),
            Some("country") => {
                let codes = self.addresses.iter().filter_map(|address| address.country_code.as_deref());
                codes.into_iter().any(|code| term.whole(code) || term.whole(super::super::countries::name(code)))
            }
            Some("order_date") => store.orders_of(self.id).iter().any(|order| term.time(order.processed_at)),
            Some("orders_count") => term.number(store.orders_of(self.id).len() as u64),
            Some("total_spent") => term.number(store.amount_spent(self.id)),
            Some("accepts_marketing") => term.flag(self.accepts_marketing()),
            Some("first_name") => term.words(self.first_name.as_deref()),
            Some("last_name") => term.words(self.last_name.as_deref()),
            _ => {
                let texts = [self.first_name.as_deref(), self.last_name.as_deref(), email];
                texts.into_iter().flatten().any(|text| term.words(text))
            }
        }
    }
}

impl Listed for Customer {
    const LIST: &'static str = "customers";

    fn id(&self) -> Id {
        self.id
    }

    fn key(&self, sort: &str) -> Key {
        match sort {
            "CREATED_AT" => self.created_at.into(),
            "UPDATED_AT" => self.updated_at.into(),
            "NAME" => {
                format!("{}, {}", self.last_name.as_deref().unwrap_or(""), self.first_name.as_deref().unwrap_or(""))
                    .as_str()
                    .into()
            }
            "LOCATION" => self.addresses.first().and_then(|address| address.country_code.as_deref()).into(),
            _ => Key::Missing,
        }
    }
}

impl Searchable for Order {
    const FIELDS: &'static [&'static str] = &[
        "updated_at",
        "created_at",
        "processed_at",
        "status",
        "financial_status",
        "fulfillment_status",
        "return_status",
        "id",
        "name",
        "email",
        "customer_id",
        "tag",
        "tag_not",
        "test",
        "source_name",
        "source_identifier",
        "sku",
        "discount_code",
        "checkout_token",
        "cart_token",
        "confirmation_number",
        "po_number",
    ];

    fn matches(&self, term: &Term, _: &Store) -> bool {
        match term.field.as_deref() {
            Some("updated_at") => term.time(self.updated_at),
            Some("created_at") => term.time(self.created_at),
            Some("processed_at") => term.time(self.processed_at),
            Some("status") => {
                let (closed, cancelled) = (self.closed_at.is_some(), self.cancelled.is_some());
                term.keyword("any")
                    || (term.keyword("open") && !closed && !cancelled)
                    || (term.keyword("closed") && closed)
                    || (term.keyword("cancelled") && cancelled)
                    || (term.keyword("not_closed") && !closed)
            }
            Some("financial_status") => {
                term.keyword("any") || self.financial.is_some_and(|status| term.keyword(status.as_str()))
            }
            Some("fulfillment_status") => {
                let also = match self.fulfillment {
                    FulfillmentStatus::Unfulfilled => "unshipped",
                    FulfillmentStatus::Fulfilled => "shipped",
                    FulfillmentStatus::PartiallyFulfilled => "partial",
                    _ => "any",
                };
                term.keyword("any") || term.keyword(also) || term.keyword(self.fulfillment.as_str())
            }
            Some("return_status") => term.keyword(self.return_status()),
            Some("id") => is_id(term, self.id),
            Some("name") => term.whole(self.name().as_str()) || term.whole(self.number.to_string().as_str()),
            Some("email") => term.email(self.email.as_deref()),
            Some("customer_id") => self.customer_id.is_some_and(|id| is_id(term, id)),
            Some("tag") => self.tags.iter().any(|tag| term.whole(tag.as_str())),
            Some("tag_not") => !self.tags.iter().any(|tag| term.whole(tag.as_str())),
            Some("test") => term.flag(self.test),
            Some("source_name") => term.whole(self.source_name.as_str()),
            Some("source_identifier") => term.whole(self.source_identifier.as_deref()),
            Some("sku") => self.lines.iter().any(|line| term.words(line.sku.as_deref())),
            Some("discount_code") => self.discount_codes.iter().any(|code| term.whole(code.as_str())),
            Some("checkout_token") => term.whole(self.checkout_token.as_deref()),
            Some("cart_token") => term.whole(self.cart_token.as_deref()),
            Some("confirmation_number") => term.whole(self.confirmation_number.as_str()),
            Some("po_number") => term.whole(self.po_number.as_deref()),
            _ => {
                let billing = self.billing.as_ref();
                let names =
                    [billing.and_then(|b| b.first_name.as_deref()), billing.and_then(|b| b.last_name.as_deref())];
                let texts = names.into_iter().chain([self.email.as_deref()]).flatten();
                term.whole(self.name().as_str()) || texts.into_iter().any(|text| term.words(text))
            }
        }
    }
}

impl Listed for Order {
    const LIST: &'static str = "orders";

    fn id(&self) -> Id {
        self.id
    }

    fn key(&self, sort: &str) -> Key {
        match sort {
            "PROCESSED_AT" => self.processed_at.into(),
            "CREATED_AT" => self.created_at.into(),
            "UPDATED_AT" => self.updated_at.into(),
            "ORDER_NUMBER" => Decimal::from(self.number).into(),
            "TOTAL_PRICE" => self.totals.total.into(),
            "CURRENT_TOTAL_PRICE" => self.totals.current_total().into(),
            "TOTAL_ITEMS_QUANTITY" => Decimal::from(self.lines.iter().map(|line| line.quantity).sum::<u32>()).into(),
            "FINANCIAL_STATUS" => self.financial.map(|status| status.as_str()).into(),
            "FULFILLMENT_STATUS" => self.fulfillment.as_str().into(),
            "PO_NUMBER" => self.po_number.as_deref().into(),
            "CUSTOMER_NAME" => self.billing.as_ref().and_then(|billing| billing.last_name.as_deref()).into(),
            "DESTINATION" => self.shipping.as_ref().and_then(|shipping| shipping.city.as_deref()).into(),
            _ => Key::Missing,
        }
    }
}

impl Searchable for AbandonedCheckout {
    const FIELDS: &'static [&'static str] = &["updated_at", "created_at", "status", "recovery_state", "id"];

    fn matches(&self, term: &Term, _: &Store) -> bool {
        let completed = self.completed_at.is_some();
        match term.field.as_deref() {
            Some("updated_at") => term.time(self.updated_at),
            Some("created_at") => term.time(self.created_at),
            Some("status") => term.keyword("any") || term.keyword(if completed { "closed" } else { "open" }),
            Some("recovery_state") => term.keyword(if completed { "recovered" } else { "not_recovered" }),
            Some("id") => is_id(term, self.id),
            _ => self.lines.iter().any(|line| term.words(line.title.as_str())),
        }
    }
}

impl Listed for AbandonedCheckout {
    const LIST: &'static str = "abandonedCheckouts";

    fn id(&self) -> Id {
        self.id
    }

    fn key(&self, sort: &str) -> Key {
        match sort {
            "CREATED_AT" => self.created_at.into(),
            "TOTAL_PRICE" => self.total.into(),
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
