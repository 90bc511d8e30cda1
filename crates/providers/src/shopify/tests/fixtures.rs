//! The answers in `fixtures/`, of our own making, with the documents that they answer.

use connector::Selection;
use serde_json::{Value, json};

use crate::shopify::api::{Customers, Orders, Products, Resource};

macro_rules! fixture {
    ($name:literal) => {
        serde_json::from_str::<serde_json::Value>(include_str!(concat!("../fixtures/", $name, ".json"))).unwrap()
    };
}
pub(super) use fixture;

/// File of the document, answer, variables. Partial answers are no part of it: what they lack is their point.
pub(super) fn answers() -> Vec<(&'static str, Value, Value)> {
    let (standard, all) = (Selection::standard(), Selection::everything());
    let counted = |mut switches: serde_json::Map<String, Value>| {
        switches.insert("count".to_owned(), json!(true));
        Value::Object(switches)
    };
    let plain = Value::Object;
    vec![
        ("orders.graphql", fixture!("orders"), counted(Orders::switches(&standard, false))),
        ("order.graphql", fixture!("order"), plain(Orders::switches(&all, true))),
        ("customers.graphql", fixture!("customers"), counted(Customers::switches(&standard, false))),
        ("customer.graphql", fixture!("customer"), plain(Customers::switches(&all, true))),
        ("products.graphql", fixture!("products"), counted(Products::switches(&standard, false))),
        ("product.graphql", fixture!("product"), plain(Products::switches(&all, true))),
        ("shop.graphql", fixture!("shop"), json!({})),
    ]
}
