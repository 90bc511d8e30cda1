//! The calls: which documents, how many records at a time, how pages and their children are followed.

mod document;
pub(super) mod error;
mod read;
mod resource;
pub(super) mod search;
mod session;

pub(super) use document::Operation;
pub(super) use error::Failure;
pub(super) use read::{list, one};
#[cfg(test)]
pub(super) use resource::Resource;
pub(super) use resource::{Customers, Orders, Products};
pub(super) use session::Session;

/// The shop that a token belongs to.
pub(super) const SHOP: Operation =
    Operation { name: "Shop", document: include_str!("../graphql/shop.graphql"), fields: &[] };

/// Takes our app out of the shop.
pub(super) const UNINSTALL: Operation =
    Operation { name: "Uninstall", document: include_str!("../graphql/uninstall.graphql"), fields: &[] };
