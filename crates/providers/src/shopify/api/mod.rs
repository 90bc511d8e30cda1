//! The calls: which documents, how many records at a time, how pages and their children are followed.

pub(super) mod error;
mod read;
mod resource;
pub(super) mod search;
mod session;

use serde_json::{Map, Value};

pub(super) use error::Failure;
pub(super) use read::{list, one};
#[cfg(test)]
pub(super) use resource::Resource;
pub(super) use resource::{Customers, Orders, Products};
pub(super) use session::Session;

/// A document of `graphql/`.
pub(super) struct Operation {
    /// As in the document.
    pub(super) name: &'static str,
    pub(super) document: &'static str,
    /// Shopify's fields and the unified ones that are filled from them, to say what is withheld.
    pub(super) fields: &'static [(&'static str, &'static str)],
}

impl Operation {
    /// Of all variables those that the document declares.
    fn declared(&self, variables: &Map<String, Value>) -> Map<String, Value> {
        let is_declared = |name: &String| self.document.contains(&format!("${name}:"));
        variables
            .iter()
            .filter(|(name, _)| is_declared(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }
}

/// The shop that a token belongs to.
pub(super) const SHOP: Operation =
    Operation { name: "Shop", document: include_str!("../graphql/shop.graphql"), fields: &[] };
