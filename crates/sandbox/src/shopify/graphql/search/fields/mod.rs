//! Which fields each list can be searched by, and what it is sorted by.

mod catalog;
mod people;

use super::term::Term;
use crate::shopify::store::Store;
use crate::shopify::store::model::{Id, Product, Variant};
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
