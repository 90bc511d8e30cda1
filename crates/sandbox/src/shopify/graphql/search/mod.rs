//! Shopify's search syntax, as used in `query` arguments.
//!
//! Terms joined by blanks or `AND`, `OR`, `-` and `NOT`, brackets; a term is `field:value`, `field:>=value`, `field:a..b`,
//! `field:a,b`, or free text. Values may stand in single or double quotes.

mod fields;
mod parse;
mod term;

pub(in crate::shopify) use fields::Searchable;
pub(in crate::shopify) use term::Term;

use crate::shopify::store::Store;
use apollo_compiler::response::JsonValue;
use apollo_compiler::response::serde_json_bytes::json;

/// What a query text means.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::shopify) enum Filter {
    /// Matches everything: an empty text, or a term that is ignored.
    Any,
    Term(Term),
    Not(Box<Filter>),
    And(Vec<Filter>),
    Or(Vec<Filter>),
}

impl Filter {
    /// Reads a query text. Fields that `known` refuses are ignored; each adds a warning.
    pub(in crate::shopify) fn parse(text: &str, known: &[&str], warnings: &mut Vec<JsonValue>) -> Filter {
        parse::parse(text).without_unknown(known, warnings)
    }

    /// Whether `item` matches.
    pub(in crate::shopify) fn matches<T: Searchable>(&self, item: &T, store: &Store) -> bool {
        match self {
            Filter::Any => true,
            Filter::Term(term) => item.matches(term, store),
            Filter::Not(inner) => !inner.matches(item, store),
            Filter::And(all) => all.iter().all(|part| part.matches(item, store)),
            Filter::Or(any) => any.iter().any(|part| part.matches(item, store)),
        }
    }

    fn without_unknown(self, known: &[&str], warnings: &mut Vec<JsonValue>) -> Filter {
        let mut each = |parts: Vec<Filter>| -> Vec<Filter> {
            let parts = parts.into_iter().map(|part| part.without_unknown(known, warnings));
            parts.filter(|part| *part != Filter::Any).collect()
        };
        match self {
            Filter::Term(Term { field: Some(field), .. }) if !known.contains(&field.as_str()) => {
                warnings.push(json!({"field": field, "message": "Invalid search field for this query."}));
                Filter::Any
            }
            Filter::Not(inner) => match inner.without_unknown(known, warnings) {
                Filter::Any => Filter::Any,
                inner => Filter::Not(Box::new(inner)),
            },
            Filter::And(parts) => Filter::And(each(parts)),
            Filter::Or(parts) => match each(parts) {
                parts if parts.is_empty() => Filter::Any,
                parts => Filter::Or(parts),
            },
            other => other,
        }
    }
}
